import type { Grant } from '../core/decision.ts'

/**
 * What a target has to have so that a group in a token means something there, such as a RoleBinding. It is the same for everybody who has
 * the group, so it rests on no person: whoever is not given the group cannot show it, and a binding for which nobody has it does no harm.
 */
export interface Binding {
  /** The target's own stable name of it. */
  readonly key: string
  /** In words that people read: `namespace web: edit`. */
  readonly says: string
}

/** One thing to be done, or to be told, about a binding. */
export interface BindingStep extends Binding {
  /**
   * `make` and `mend` bring it to what it is to be; `note` writes into it that nobody needs it since now, `remove` takes it away some time
   * after that. Two are for telling alone: a binding that nobody needs `waits`, and what somebody else made in its place is `foreign`.
   */
  readonly kind: 'make' | 'mend' | 'note' | 'remove' | 'waits' | 'foreign'
  /** The target's own data. */
  readonly does: unknown
}

export interface BindingPlan {
  readonly steps: readonly BindingStep[]
  /** Keys of wanted bindings that are what they are to be. */
  readonly inPlace: readonly string[]
  /** How many the gateway keeps there. */
  readonly kept: number
}

/** What a target says about bindings; only the target that made it reads it. */
export interface ObservedBindings {
  readonly of: unknown
}

/** A target at which the gateway keeps bindings. The target itself is the ledger: what is the gateway's own says so. */
export interface Bindings {
  /** Seconds. */
  readonly every: number
  readonly atOnce: { readonly bindings: number; readonly percent: number }
  /** What grants of this target need; one for each role. Pure. */
  bindingsOf(grants: readonly Grant[]): readonly Binding[]
  /**
   * What is there now: everything of the gateway's own, and what is wanted; `these` is what is wanted alone.
   * @throws {TargetUnavailable}
   */
  observe(wanted: readonly Grant[], which: 'all' | 'these'): Promise<ObservedBindings>
  /** What has to be done. Pure; the same input gives the same steps in the same order. @param now Unix seconds */
  plan(wanted: readonly Grant[], observed: ObservedBindings, now: number): BindingPlan
  /**
   * Does one step, unless what it was planned from has changed since: then the next look finds out. `try` asks the target whether it would
   * be done, and changes nothing.
   * @returns `no-place` where that is not there in which it is to be: a namespace, which somebody else makes, if anybody does
   * @throws {TargetUnavailable}
   */
  apply(step: BindingStep, how: 'do' | 'try'): Promise<'done' | 'no-place'>
}
