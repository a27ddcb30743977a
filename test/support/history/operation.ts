import type { Entry } from '../../../src/store/store.ts'

/** Unix seconds between which a clock stood; both the same where the clock was injected. */
export type Time = readonly [from: number, to: number]

/** What a caller linked an entry with. */
export interface Named {
  readonly alias?: string
  readonly groups?: readonly string[]
}

/** One call of the port, as data. `lose` is no call: a crash may have taken the entry, if its kind may die with the process. */
export type Call =
  | { readonly verb: 'get' | 'take' | 'consume' | 'delete' | 'lose'; readonly kind: string; readonly id: string }
  | { readonly verb: 'find'; readonly kind: string; readonly alias: string }
  | {
      readonly verb: 'put' | 'add'
      readonly kind: string
      readonly id: string
      readonly value: string
      readonly ttl: number
      readonly links: Named
    }
  | {
      readonly verb: 'swap'
      readonly kind: string
      readonly id: string
      readonly from?: string
      readonly to: string
      readonly ttl: number
    }
  | { readonly verb: 'members'; readonly group: string }
  | { readonly verb: 'list'; readonly kind: string }
  | { readonly verb: 'revoke'; readonly group: string; readonly ttl: number }

/** What a call resolved to; `nothing` for undefined, so that it survives JSON. */
export type Outcome =
  | { readonly nothing: true }
  | { readonly entry: Entry }
  | { readonly done: boolean }
  | { readonly used: 'first' | number }
  | { readonly members: readonly string[] }
  | { readonly entries: readonly Entry[] }

/** One call and what became of it. */
export interface Operation {
  readonly call: Call
  /** The store's clock while it ran. */
  readonly now: Time
  /** Microseconds of a clock that all processes of this machine share. */
  readonly start: number
  /** When its caller had the answer; absent where there was none (it failed, or its process died): it may have happened, or not. */
  readonly end?: number
  readonly outcome?: Outcome
  /** The moment from which on a call without an answer cannot happen any more: its process was dead. */
  readonly over?: number
}

export const microseconds = (): number => Number(process.hrtime.bigint() / 1000n)

/** As one line, for a person who looks for the cause. */
export function told({ call, outcome, start, end }: Operation): string {
  const { verb, ...rest } = call
  const said = outcome === undefined ? 'no answer' : JSON.stringify(outcome)
  return `${start} – ${end ?? '…'}  ${verb} ${JSON.stringify(rest)} → ${said}`
}
