import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../core/ports.ts'
import { checkEntry, checkedTtl, checkKey, isKey } from '../limits.ts'
import { entryOf } from '../shelf.ts'
import { type Entry, type Kind, type Links, type Store, StoreUnavailable } from '../store.ts'
import type { Client } from './client.ts'
import type { Concealer } from './conceal.ts'
import { type ScriptName, timesOf } from './scripts.ts'

/** Members of a group that end in one step of the server, entries that are read in one, and names that are read in one turn. */
const AT_ONCE = 200

type Args = readonly string[]
type Row = readonly [value: string, end: string, consumed: string | null, ...more: (string | null)[]]

/**
 * The verbs of `Store`, each a script. Durable kinds, and all that happens once, are waited for; a `put` of another kind is not: what
 * its loss costs is one sign-in in flight.
 */
export function verbsOn(client: Client, hidden: Concealer, now: Clock): Omit<Store, 'close'> {
  const run = async (script: ScriptName, args: Args) => (await client.session()).run({ script, now: now(), args })
  const written = async (script: ScriptName, args: Args, kind?: Kind) => {
    const session = await client.session()
    const call = { script, now: now(), args }
    const reply = await (kind?.durable === false ? session.run(call) : session.acknowledged(call))
    return (reply as readonly [number, unknown])[1]
  }
  const names = namesOf(hidden)
  const entry = (kind: Kind, id: string, row: unknown): Entry | undefined =>
    row === null ? undefined : opened(hidden, kind, id, row as Row)

  /** What `put` and `add` take. */
  const whole = (kind: Kind, id: string, value: string, [ttl, given]: readonly [number, Links | undefined]): Args => {
    const links = given ?? {}
    checkEntry(kind, id, value, links)
    const alias = links.alias === undefined ? '' : names.alias(kind, links.alias)
    const groups = (links.groups ?? []).map(names.group).join(' ')
    return [...names.entry(kind, id, value), ...times(ttl), kind.lapses ? '1' : '0', alias, groups]
  }
  const times = (ttl: number): Args => {
    const at = now()
    return timesOf(at + checkedTtl(ttl), at)
  }
  const add: Store['add'] = async (kind, id, value, ttl, links) =>
    (await written('add', whole(kind, id, value, [ttl, links]))) === 1

  return {
    get: async (kind, id) => (isKey(id) ? entry(kind, id, await run('get', names.key(kind, id))) : undefined),
    async find(kind, alias) {
      if (!isKey(alias)) return undefined
      const row = (await run('find', [kind.name, names.alias(kind, alias)])) as Row | null
      return row === null ? undefined : entry(kind, names.idIn(kind.name, row[3] ?? ''), row)
    },
    put: async (kind, id, value, ttl, links) =>
      (await written('put', whole(kind, id, value, [ttl, links]), kind)) === 1,
    add,
    async swap(kind, id, from, to, ttl) {
      if (from === undefined) return await add(kind, id, to, ttl)
      const args = whole(kind, id, to, [ttl, undefined])
      return (await written('replace', [...args.slice(0, 6), names.value(kind, id, from)])) === 1
    },
    take: async (kind, id) => (isKey(id) ? entry(kind, id, await written('take', names.key(kind, id))) : undefined),
    async consume(kind, id) {
      const before = isKey(id) ? await written('consume', names.key(kind, id)) : null
      return before === null ? undefined : before === 'first' ? 'first' : Number(before)
    },
    async delete(kind, id) {
      if (isKey(id)) await written('delete', names.key(kind, id))
    },
    async members(group) {
      const found = (await run('members', [names.group(group)])) as readonly string[]
      const members: { readonly kind: string; readonly id: string }[] = []
      for (const member of found) {
        const [kind = '', id = ''] = member.split(':')
        members.push({ kind, id: names.idIn(kind, id) })
        if (members.length % AT_ONCE === 0) await nextTurn()
      }
      return members
    },
    async list(kind, limit) {
      const ids = (await run('ids', [kind.name, String(limit)])) as readonly string[]
      const found: Entry[] = []
      for await (const [id, ...row] of rowsOf(kind, ids, (args) => run('many', args)))
        found.push(opened(hidden, kind, names.idIn(kind.name, id), row))
      return found
    },
    async revoke(group, ttl) {
      checkKey(group)
      const args = [names.group(group), ...times(ttl), String(AT_ONCE)]
      // The first step refuses new members already.
      while ((await written('revoke', args)) === AT_ONCE);
    },
    async check() {
      // Also where the primary is doubted: this is what ends the doubt.
      await (await client.reach()).acknowledged({ script: 'check', now: now(), args: [] })
    },
  }
}

/** An entry as `many` answers. */
export type Found = readonly [
  id: string,
  value: string,
  end: string,
  consumed: string | null,
  alias: string | null,
  groups: string | null,
]

/** Those of one kind that are still there, some at once, and fewer where they are large. */
export async function* rowsOf(
  kind: Kind,
  ids: readonly string[],
  many: (args: readonly string[]) => Promise<unknown>,
): AsyncIterable<Found> {
  for (let from = 0; from < ids.length; ) {
    const reply = await many([kind.name, ...ids.slice(from, from + AT_ONCE)])
    const [looked, rows] = reply as readonly [number, readonly Found[]]
    yield* rows
    from += looked
  }
}

/** What entries, aliases and groups are called on the server. */
export function namesOf({ conceal, reveal }: Concealer) {
  const named = remembering(conceal)
  const name = (kind: Kind, id: string) => named(`id\n${kind.name}`, id)
  const value = (kind: Kind, id: string, text: string) => conceal(contextOf(kind, id), text)
  return {
    key: (kind: Kind, id: string): Args => [kind.name, name(kind, id)],
    entry: (kind: Kind, id: string, text: string): Args => [kind.name, name(kind, id), value(kind, id, text)],
    value,
    alias: (kind: Kind, alias: string) => named(`alias\n${kind.name}`, alias),
    group: (group: string) => named('group', group),
    idIn: (kind: string, concealed: string) => readable(() => reveal(`id\n${kind}`, concealed)),
  }
}

/** So many names at most are remembered: one request uses the same ones again and again. */
const NAMES = 2000

function remembering(conceal: Concealer['conceal']): Concealer['conceal'] {
  const known = new Map<string, string>()
  return (context, text) => {
    const both = `${context}\n${text}` // contexts of names have one line or two, by their first word
    const found = known.get(both)
    if (found !== undefined) return found
    if (known.size >= NAMES) known.clear()
    const made = conceal(context, text)
    known.set(both, made)
    return made
  }
}

/** A value is bound to its place: put elsewhere by somebody who can write into the server, it opens no more. */
const contextOf = (kind: Kind, id: string) => `value\n${kind.name}\n${id}`

function opened(hidden: Concealer, kind: Kind, id: string, [value, end, consumed]: Row): Entry {
  const text = readable(() => hidden.reveal(contextOf(kind, id), value))
  return entryOf(
    id,
    text,
    end === 'inf' ? Number.POSITIVE_INFINITY : Number(end),
    consumed === null ? undefined : Number(consumed),
  )
}

/** Damage is a failure of the store, never "not found" (law 4). */
function readable(read: () => string): string {
  try {
    return read()
  } catch (cause) {
    throw new StoreUnavailable(`redis: something there is ${(cause as Error).message}`, { cause })
  }
}
