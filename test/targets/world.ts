import { z } from 'zod'
import { targetFields } from '../../src/config/schema.ts'
import type { Decision, Grant, Identity } from '../../src/core/decision.ts'
import { targetTypes } from '../../src/targets/index.ts'

type Types = typeof targetTypes
type Written = Readonly<Record<string, unknown>>

/** A target as the configuration makes it: the same schema, the same defaults. */
export function open(type: keyof Types, written: Written) {
  const { options, open: opener } = targetTypes[type]
  const config = z.strictObject({ ...targetFields, ...options }).parse(written)
  return (opener as (config: unknown) => ReturnType<Types['keystone']['open']>)(config)
}

/** What the schema says against a target's configuration; empty where nothing. */
export function problems(type: keyof Types, written: Written): string[] {
  const result = z.strictObject({ ...targetFields, ...targetTypes[type].options }).safeParse(written)
  return result.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? []
}

export const keystone = (more: Written = {}) =>
  open('keystone', { id: 'cloud', url: 'https://keystone.example/v3', ...more })
export const kubernetes = (more: Written = {}) =>
  open('kubernetes', { id: 'prod', server: 'https://10.0.0.1:6443', ...more })
export const oidc = (more: Written = {}) => open('oidc', { id: 'argocd', ...more })

export function decision(grants: readonly Grant[], identity: Partial<Identity> = {}): Decision {
  return { allowed: true, identity: { username: 'alice', ...identity }, grants, until: Infinity, because: [] }
}

/** Repeatable chance (mulberry32). */
export function chance(seed: number) {
  const next = (): number => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (end: number) => Math.floor(next() * end)
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T
  return { below, pick }
}

/** Pieces of names that bite somewhere: separators, syntax, other scripts, invisible characters, reserved words. */
const pieces = [
  ...'ab;,:{}[]()"\'\\/%<>&=#| .-_*?\u0000\u0007\n\r\t\u200b\u202e\u2066\ufeff\u2028\ud800ßééЖ漢😀ａ'.normalize('NFC'),
  ...'name JSON: \\u003b \\u007b {0} {1} system: kubeadm: masters ns: cluster: admin ADMIN Federated domain web prod kube-'.split(
    ' ',
  ),
  ...[
    'e\u0301',
    "'], 'x",
    '"},{"name":"x"',
    '__proto__',
    'null',
    '\\',
    ';ops',
    'JSON:{"name":"x","domain":{"name":"d"}}',
  ],
]

/** A name made of such pieces, now and then a plain, empty or very long one. */
export function badName({ below, pick }: ReturnType<typeof chance>): string {
  const kind = below(10)
  if (kind === 0) return ''
  if (kind === 1) return pick(pieces).repeat(1 + below(90))
  if (kind < 4) return pick(['web', 'prod', 'team-a', 'namespace-admins', 'größe', 'edit', 'view'])
  return Array.from({ length: 1 + below(5) }, () => pick(pieces)).join('')
}

/** A grant of any shape, mostly at one of the named targets. */
export function badGrant(random: ReturnType<typeof chance>, targets: readonly string[]): Grant {
  const { below, pick } = random
  const target = pick([...targets, ...targets, 'elsewhere'])
  const name = () => badName(random)
  const roles = Array.from({ length: below(3) }, name)
  const domain = below(2) ? { domain: name() } : {}
  const shapes: readonly (() => Grant)[] = [
    () => ({ target, project: name(), roles, ...domain }),
    () => ({ target, domain: name(), roles }),
    () => ({ target, namespace: name(), roles }),
    () => ({ target, cluster: true, roles }),
    () => ({ target, group: name(), ...domain }),
    () => ({ target, group: name() }),
  ]
  return pick(shapes)()
}
