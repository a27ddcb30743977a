import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Grant } from '../../../core/decision.ts'
import type { Bindings } from '../../bindings.ts'
import { TargetUnavailable } from '../../live.ts'
import { type ClusterAccess, type ClusterApi, openClusterApi } from '../access.ts'
import { labelsOf, RBAC_VERSION } from '../binding.ts'
import type { KubernetesConfig } from '../target.ts'
import { apply } from './apply.ts'
import { keyOf, type Manifest, manifestsOf, pathOf, saysOf } from './manifest.ts'
import { type Does, plan, type Seen } from './plan.ts'

/** Bindings asked for by name at once. */
const AT_ONCE = 8
/** Rows of one page. */
const PAGE = 500
/** Pages of one list: more is no list of this API. */
const PAGES = 2000

/**
 * The side of a cluster at which the gateway keeps RoleBindings and ClusterRoleBindings for what rules give. Nothing is touched but what
 * carries its label, its annotations and its name; no namespace and no role is ever made.
 * @throws {Error} where the configuration has no `apply`
 */
export function openBindings(config: KubernetesConfig, access: ClusterAccess): Bindings {
  if (config.apply === undefined) throw new Error(`target ${config.id} has no apply`)
  const api = openClusterApi(config.id, access)
  const { every, atOnce } = config.apply
  const wantedOf = (grants: readonly Grant[]) => manifestsOf(config, grants)
  return {
    every,
    atOnce,
    bindingsOf: (grants) => wantedOf(grants).map((each) => ({ key: keyOf(each), says: saysOf(each) })),
    async observe(grants, which) {
      const wanted = wantedOf(grants)
      const found = new Map<string, Manifest>()
      if (which === 'all') for (const each of await allOf({ api, config }, wanted)) found.set(keyOf(each), each)
      const unseen = wanted.filter((each) => !found.has(keyOf(each)))
      for (const each of await named(api, unseen)) found.set(keyOf(each), each)
      const seen: Seen = { found, which }
      return { of: seen }
    },
    plan: (grants, observed, now) => plan({ config, wanted: wantedOf(grants), seen: observed.of as Seen, now }), // what `observe` made
    apply: (step, how) => apply(api, step.does as Does, how), // what `plan` made
  }
}

interface Looking {
  readonly api: ClusterApi
  readonly config: KubernetesConfig
}

/** Everything with the gateway's labels. Of a kind that no rule gives, the account need not be allowed to look at any. */
async function allOf(looking: Looking, wanted: readonly Manifest[]): Promise<readonly Manifest[]> {
  const kinds = ['RoleBinding', 'ClusterRoleBinding'] as const
  const lists = kinds.map((kind) =>
    listOf(looking, kind).catch((error: unknown) => {
      const isWanted = wanted.some((each) => each.kind === kind)
      if (isWanted || !(error instanceof TargetUnavailable) || error.kind === 'down') throw error
      return []
    }),
  )
  return (await Promise.all(lists)).flat()
}

async function listOf({ api, config }: Looking, kind: Manifest['kind']): Promise<readonly Manifest[]> {
  const labelSelector = Object.entries(labelsOf(config))
    .map((pair) => pair.join('='))
    .join(',')
  const rows: Manifest[] = []
  const met = new Set<string>()
  let next = ''
  do {
    // What stands in between may give one page again and again.
    if (met.has(next) || met.size === PAGES)
      throw new TargetUnavailable('refused', `cluster ${config.id} gave a list of bindings that has no end`)
    met.add(next)
    const query = new URLSearchParams({ labelSelector, limit: String(PAGE), ...(next !== '' && { continue: next }) })
    const { body } = await api.send('GET', `/apis/${RBAC_VERSION}/${kind.toLowerCase()}s?${query}`)
    const list = body as { readonly items?: readonly Manifest[]; readonly metadata?: { readonly continue?: string } }
    if (!Array.isArray(list?.items))
      throw new TargetUnavailable('refused', `cluster ${config.id} gave no list of bindings; is its server right?`)
    // The rows of a list have no kind of their own.
    rows.push(...list.items.map((each) => ({ ...each, kind })))
    next = list.metadata?.continue ?? ''
    await nextTurn()
  } while (next !== '')
  return rows
}

async function named(api: ClusterApi, wanted: readonly Manifest[]): Promise<readonly Manifest[]> {
  const waiting = [...wanted]
  const found: Manifest[] = []
  const one = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { status, body } = await api.send('GET', pathOf(next), { may: [404] })
      if (status !== 404) found.push(body as Manifest)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, one))
  return found
}
