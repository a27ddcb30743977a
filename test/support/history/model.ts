import type { Entry } from '../../../src/store/store.ts'
import type { Call, Named, Operation, Outcome, Time } from './operation.ts'

/* The port's promises as a model of one caller at a time: what a store may hold, and what a call may do to it. */

interface Row {
  readonly kind: string
  readonly id: string
  readonly value: string
  readonly expiresAt: Time
  readonly used: Time | undefined
  readonly alias: string | undefined
  readonly groups: readonly string[]
}

/** All that a store holds, by name. Times of a real clock are known to lie between two moments, until somebody was told one. */
export interface State {
  readonly rows: Readonly<Record<string, Row>>
  /** Until when a group refuses members. */
  readonly revoked: Readonly<Record<string, Time>>
}

export const empty: State = { rows: {}, revoked: {} }

const keyOf = (kind: string, id: string) => `${kind} ${id}`

/** Equal texts for equal states. */
export function textOf({ rows, revoked }: State): string {
  const sorted = (all: object) => Object.entries(all).sort(([one], [other]) => (one < other ? -1 : 1))
  return JSON.stringify([sorted(rows), sorted(revoked)], (_, value) => (value === Infinity ? '∞' : value))
}

const after = ([from, to]: Time, seconds: number): Time => [from + seconds, to + seconds]

/** Whether a moment is still ahead: yes, no, or both where the clocks are not known well enough. */
function ahead(moment: Time | undefined, now: Time): readonly boolean[] {
  if (moment === undefined || moment[1] <= now[0]) return [false]
  return moment[0] > now[1] ? [true] : [true, false]
}

/** What may be there under an id: the row, nothing, or either. */
function standing(state: State, kind: string, id: string, now: Time): readonly (Row | undefined)[] {
  const row = state.rows[keyOf(kind, id)]
  return row ? ahead(row.expiresAt, now).map((live) => (live ? row : undefined)) : [undefined]
}

/** Whether a group refuses members now. */
function refused(state: State, groups: readonly string[], now: Time): readonly boolean[] {
  const all = groups.map((group) => ahead(state.revoked[group], now))
  if (all.some((each) => !each.includes(false))) return [true]
  return all.some((each) => each.includes(true)) ? [true, false] : [false]
}

function without(state: State, gone: (row: Row) => boolean): State {
  return { ...state, rows: Object.fromEntries(Object.entries(state.rows).filter(([, row]) => !gone(row))) }
}

const remove = (state: State, kind: string, id: string): State =>
  without(state, (row) => row.kind === kind && row.id === id)

/** Writes a row; its alias leaves whoever had it. */
function write(state: State, row: Row): State {
  const rows = Object.entries(state.rows).map(([key, other]): [string, Row] => {
    const robbed = row.alias !== undefined && other.kind === row.kind && other.alias === row.alias
    return [key, robbed ? { ...other, alias: undefined } : other]
  })
  return { ...state, rows: { ...Object.fromEntries(rows), [keyOf(row.kind, row.id)]: row } }
}

const within = (moment: number, [from, to]: Time) => moment >= from && moment <= to

/** The row as somebody was told of it, its times pinned to what was said; undefined where that cannot be. */
function matched(row: Row, entry: Entry): Row | undefined {
  const { value, expiresAt, consumedAt } = entry
  if (row.id !== entry.id || row.value !== value || !within(expiresAt, row.expiresAt)) return undefined
  const end: Time = [expiresAt, expiresAt]
  if (row.used === undefined) return consumedAt === undefined ? { ...row, expiresAt: end } : undefined
  if (consumedAt === undefined || !within(consumedAt, row.used)) return undefined
  return { ...row, expiresAt: end, used: [consumedAt, consumedAt] }
}

/** A read of one row, or of nothing. */
function read(state: State, rows: readonly (Row | undefined)[], outcome: Outcome): readonly State[] {
  return rows.flatMap((row) => {
    if (row === undefined) return 'nothing' in outcome ? [state] : []
    const seen = 'entry' in outcome ? matched(row, outcome.entry) : undefined
    return seen ? [{ ...state, rows: { ...state.rows, [keyOf(row.kind, row.id)]: seen } }] : []
  })
}

type Step<C extends Call> = (state: State, call: C, now: Time, outcome: Outcome | undefined) => readonly State[]
type Of<V extends Call['verb']> = Call & { readonly verb: V }

/** Whether a call may have said this; a call without an answer may have said anything. */
const said = (outcome: Outcome | undefined, done: boolean) =>
  outcome === undefined || ('done' in outcome && outcome.done === done)

const get: Step<Of<'get'>> = (state, { kind, id }, now, outcome) =>
  outcome ? read(state, standing(state, kind, id, now), outcome) : [state]

const find: Step<Of<'find'>> = (state, { kind, alias }, now, outcome) => {
  const row = Object.values(state.rows).find((each) => each.kind === kind && each.alias === alias)
  return outcome ? read(state, row ? standing(state, kind, row.id, now) : [undefined], outcome) : [state]
}

type Written = Pick<Of<'put'>, 'kind' | 'id' | 'value' | 'ttl'>

const rowOf = (call: Written, now: Time, used: Time | undefined, links: Pick<Row, 'alias' | 'groups'>): Row => ({
  kind: call.kind,
  id: call.id,
  value: call.value,
  expiresAt: after(now, call.ttl),
  used,
  alias: links.alias,
  groups: links.groups,
})

const linksOf = ({ links: { alias, groups = [] } }: { readonly links: Named }) => ({ alias, groups })

const put: Step<Of<'put'>> = (state, call, now, outcome) =>
  refused(state, call.links.groups ?? [], now).flatMap((no) => {
    if (no) return said(outcome, false) ? [state] : []
    if (!said(outcome, true)) return []
    return standing(state, call.kind, call.id, now).map((row) =>
      write(state, rowOf(call, now, row?.used, linksOf(call))),
    )
  })

const add: Step<Of<'add'>> = (state, call, now, outcome) =>
  refused(state, call.links.groups ?? [], now).flatMap((no) =>
    standing(state, call.kind, call.id, now).flatMap((row) => {
      if (no || row) return said(outcome, false) ? [state] : []
      return said(outcome, true) ? [write(state, rowOf(call, now, undefined, linksOf(call)))] : []
    }),
  )

const swap: Step<Of<'swap'>> = (state, call, now, outcome) =>
  standing(state, call.kind, call.id, now).flatMap((row) => {
    if (row?.value !== call.from) return said(outcome, false) ? [state] : []
    if (!said(outcome, true)) return []
    const next = rowOf({ ...call, value: call.to }, now, row?.used, row ?? { alias: undefined, groups: [] })
    return [write(state, next)]
  })

const take: Step<Of<'take'>> = (state, { kind, id }, now, outcome) =>
  standing(state, kind, id, now).flatMap((row) => {
    const seen = outcome ? read(state, [row], outcome) : [state]
    return row ? seen.map((each) => remove(each, kind, id)) : seen
  })

const consume: Step<Of<'consume'>> = (state, { kind, id }, now, outcome) =>
  standing(state, kind, id, now).flatMap((row) => {
    if (!row) return !outcome || 'nothing' in outcome ? [state] : []
    const used = outcome && ('used' in outcome ? outcome.used : undefined)
    if (outcome && used === undefined) return []
    const marked = (at: Time) => [{ ...state, rows: { ...state.rows, [keyOf(kind, id)]: { ...row, used: at } } }]
    if (row.used === undefined) return !outcome || used === 'first' ? marked(now) : []
    if (typeof used !== 'number') return outcome ? [] : [state]
    return within(used, row.used) ? marked([used, used]) : []
  })

/** Of a set of rows each that is surely there was told of, and none that is surely not. */
function all(
  state: State,
  now: Time,
  wanted: (row: Row) => boolean,
  told: readonly { readonly key: string; readonly entry?: Entry }[],
): readonly State[] {
  if (new Set(told.map(({ key }) => key)).size !== told.length) return []
  const missing = Object.entries(state.rows).some(
    ([key, row]) => wanted(row) && !ahead(row.expiresAt, now).includes(false) && !told.some((one) => one.key === key),
  )
  if (missing) return []
  let next = state
  for (const { key, entry } of told) {
    const row = state.rows[key]
    if (!row || !wanted(row) || !ahead(row.expiresAt, now).includes(true)) return []
    const seen = entry ? matched(row, entry) : row
    if (!seen) return []
    next = { ...next, rows: { ...next.rows, [key]: seen } }
  }
  return [next]
}

const members: Step<Of<'members'>> = (state, { group }, now, outcome) => {
  if (!outcome) return [state]
  if (!('members' in outcome)) return []
  return all(
    state,
    now,
    (row) => row.groups.includes(group),
    outcome.members.map((key) => ({ key })),
  )
}

const list: Step<Of<'list'>> = (state, { kind }, now, outcome) => {
  if (!outcome) return [state]
  if (!('entries' in outcome)) return []
  const told = outcome.entries.map((entry) => ({ key: keyOf(kind, entry.id), entry }))
  return all(state, now, (row) => row.kind === kind, told)
}

const revoke: Step<Of<'revoke'>> = (state, { group, ttl }, now) => {
  const [from, to] = after(now, ttl)
  const [before = 0, later = 0] = state.revoked[group] ?? []
  const revoked = { ...state.revoked, [group]: [Math.max(from, before), Math.max(to, later)] as const }
  return [{ ...without(state, (row) => row.groups.includes(group)), revoked }]
}

const gone: Step<Of<'delete' | 'lose'>> = (state, { kind, id }) => [remove(state, kind, id)]

const steps = { get, find, put, add, swap, take, consume, members, list, revoke, delete: gone, lose: gone }

/** Every state in which a store may be once this operation has happened; none where its answer cannot be explained. */
export function step(state: State, { call, now, outcome }: Operation): readonly State[] {
  return (steps[call.verb] as Step<Call>)(state, call, now, outcome) // a verb has the step of its own call
}
