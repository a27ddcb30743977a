import type { BindingPlan, BindingStep } from '../../bindings.ts'
import type { KubernetesConfig } from '../target.ts'
import { isMade, isOurs, keyOf, type Manifest, sameRole, sameSubjects, saysOf, UNNEEDED } from './manifest.ts'

/** What is at a cluster, by key; `all`: everything of the gateway's own is among it. */
export interface Seen {
  readonly found: ReadonlyMap<string, Manifest>
  readonly which: 'all' | 'these'
}

/** What a step does; `seen` is what it was planned from, and has to be the same still. */
export type Does =
  | { readonly do: 'create'; readonly wanted: Manifest }
  | { readonly do: 'replace' | 'patch'; readonly wanted: Manifest; readonly seen: Manifest }
  | { readonly do: 'note'; readonly seen: Manifest; readonly since: string }
  | { readonly do: 'delete'; readonly seen: Manifest }
  | { readonly do: 'nothing' }

interface Planning {
  readonly config: KubernetesConfig
  readonly wanted: readonly Manifest[]
  readonly seen: Seen
  /** Unix seconds. */
  readonly now: number
}

/** What has to be done so that exactly the wanted bindings stand there, and nobody else's is touched. Pure. */
export function plan(planning: Planning): BindingPlan {
  const { config, wanted, seen } = planning
  const made = wanted.map((each) => ({ key: keyOf(each), step: wantedStep(config, each, seen.found.get(keyOf(each))) }))
  const ours = [...seen.found.values()].filter((each) => isMade(config, each))
  const keys = new Set(made.map(({ key }) => key))
  const unneeded = seen.which === 'all' ? ours.filter((each) => !keys.has(keyOf(each))) : []
  return {
    steps: [...made.flatMap(({ step }) => step ?? []), ...unneeded.map((each) => unneededStep(planning, each))],
    inPlace: made.flatMap(({ key, step }) => (step ? [] : [key])),
    kept: ours.length,
  }
}

const stepOf = (kind: BindingStep['kind'], about: Manifest, does: Does, more = ''): BindingStep => ({
  kind,
  key: keyOf(about),
  says: saysOf(about) + more,
  does,
})

/** Undefined where it is what it is to be, by whose hand ever. */
function wantedStep(config: KubernetesConfig, wanted: Manifest, seen: Manifest | undefined): BindingStep | undefined {
  if (seen === undefined) return stepOf('make', wanted, { do: 'create', wanted })
  const same = sameRole(wanted, seen) && sameSubjects(wanted, seen)
  if (!isOurs(config, seen)) return same ? undefined : stepOf('foreign', wanted, { do: 'nothing' })
  if (same && seen.metadata.annotations?.[UNNEEDED] === undefined) return undefined
  // What a binding refers to cannot be changed: it goes, and comes again.
  return stepOf('mend', wanted, { do: sameRole(wanted, seen) ? 'patch' : 'replace', wanted, seen })
}

function unneededStep({ config, now }: Planning, seen: Manifest): BindingStep {
  const since = Date.parse(seen.metadata.annotations?.[UNNEEDED] ?? '') / 1000
  // A moment that is yet to come was written by a clock that is wrong, or by hand.
  if (!Number.isFinite(since) || since > now) return stepOf('note', seen, { do: 'note', seen, since: timeText(now) })
  const end = since + (config.apply?.keep ?? Number.POSITIVE_INFINITY)
  if (now >= end) return stepOf('remove', seen, { do: 'delete', seen })
  return stepOf('waits', seen, { do: 'nothing' }, ` (goes after ${timeText(end)})`)
}

const timeText = (seconds: number) => `${new Date(Math.floor(seconds) * 1000).toISOString().slice(0, 19)}Z`
