import { randomUUID } from 'node:crypto'
import type { Clock } from '../../core/ports.ts'
import { kinds } from '../kinds.ts'
import { CHANGED, isRevoked, type Moved, type Mover, type Piece } from '../move.ts'
import { entryOf } from '../shelf.ts'
import { type Kind, StoreUnavailable } from '../store.ts'
import type { Client } from './client.ts'
import type { Concealer } from './conceal.ts'
import { type ScriptName, timesOf } from './scripts.ts'
import { type Found, namesOf, rowsOf } from './verbs.ts'

export interface Within {
  readonly client: Client
  readonly hidden: Concealer
  /** What all keys begin with. */
  readonly tagged: string
  readonly now: Clock
}

/** Entries that are read, or keys that are deleted, in one step of the server. */
const AT_ONCE = 200

/** All of one installation on a server as a whole. An import that does not come to its end leaves a mark, which keeps gateways off. */
export function moverOf(within: Within): Mover {
  return {
    pieces: () => pieces(within),
    async fill(read) {
      const revoked = new Set<string>()
      // All is looked through before anything is written.
      for await (const piece of read()) {
        argsOf(within, piece)
        if ('revoked' in piece) revoked.add(piece.revoked)
      }
      const name = randomUUID()
      await begin(within, name)
      const put = async (piece: Piece) => {
        const call = isRevoked(piece, revoked) ? undefined : argsOf(within, piece)
        if (call) await run(within, call[0], [name, ...call[1]])
      }
      await inBatches(read(), put)
      await end(within, name)
    },
    close: async () => within.client.close(),
  }
}

/** Some at once; where one fails, or nothing more can be read, those under way are waited for. */
async function inBatches<T>(items: AsyncIterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  let batch: Promise<void>[] = []
  try {
    for await (const item of items) {
      const one = work(item)
      one.catch(() => {}) // heard of with the rest of the batch, which may still be read
      batch.push(one)
      if (batch.length < AT_ONCE) continue
      await Promise.all(batch)
      batch = []
    }
    await Promise.all(batch)
  } finally {
    await Promise.allSettled(batch)
  }
}

const run = async ({ client, now }: Within, script: ScriptName, args: readonly string[]): Promise<unknown> =>
  await (await client.session()).acknowledged({ script, now: now(), args })

const reading = async ({ client, now }: Within, script: ScriptName, args: readonly string[]): Promise<unknown> =>
  await (await client.session()).run({ script, now: now(), args })

async function* pieces(within: Within): AsyncIterable<Piece> {
  await refuseServing(within)
  const before = await writesIn(within)
  for (const kind of Object.values<Kind>(kinds)) {
    if (!kind.durable || kind === kinds.Process) continue
    const ids = (await reading(within, 'ids', [kind.name, '-1'])) as readonly string[]
    for await (const row of rowsOf(kind, ids, (args) => reading(within, 'many', args)))
      yield { entry: entryIn(within, kind, row) }
  }
  for await (const key of keys(within, 'r:*')) {
    const end = await (await within.client.session()).command('GET', key)
    const until = end === 'inf' ? Infinity : Number(end)
    const group = within.hidden.reveal('group', key.slice(within.tagged.length + 2))
    if (until > within.now()) yield { revoked: group, until }
  }
  if ((await writesIn(within)) !== before) throw new StoreUnavailable(CHANGED)
}

/** Changes with every write, and with every other server or start of one. */
async function writesIn({ client, tagged }: Within): Promise<string> {
  const session = await client.session()
  return String(await session.command('HMGET', `${tagged}state`, 'k', 'n'))
}

function entryIn({ hidden }: Within, kind: Kind, [id, value, end, consumed, alias, groups]: Found): Moved {
  const names = namesOf(hidden)
  const known = names.idIn(kind.name, id)
  const text = hidden.reveal(`value\n${kind.name}\n${known}`, value)
  const all = (groups ?? '').split(' ').filter((group) => group !== '')
  return {
    kind: kind.name,
    ...entryOf(known, text, end === 'inf' ? Infinity : Number(end), consumed === null ? undefined : Number(consumed)),
    ...(alias === null ? {} : { alias: hidden.reveal(`alias\n${kind.name}`, alias) }),
    ...(all.length === 0 ? {} : { groups: all.map((group) => hidden.reveal('group', group)) }),
  }
}

/** @throws {StoreUnavailable} while a process serves from it, which is told by name */
async function refuseServing(within: Within): Promise<void> {
  const ids = (await reading(within, 'ids', [kinds.Process.name, '-1'])) as readonly string[]
  if (ids.length === 0) return
  const names = ids.map((id) => namesOf(within.hidden).idIn(kinds.Process.name, id))
  throw new StoreUnavailable(
    `a gateway serves from this store: stop ${names.join(', ')}; one that was killed is forgotten after 20 seconds`,
  )
}

async function* keys({ client, tagged }: Within, pattern: string): AsyncIterable<string> {
  const seen = new Set<string>() // SCAN may say a key twice
  const session = await client.session() // a cursor of one server is of no use to another
  let cursor = '0'
  do {
    const [next, found] = (await session.command(
      'SCAN',
      cursor,
      'MATCH',
      escaped(tagged) + pattern,
      'COUNT',
      '1000',
    )) as [string, readonly string[]]
    cursor = next
    for (const key of found) {
      if (!seen.has(key)) yield key
      seen.add(key)
    }
  } while (cursor !== '0')
}

/** A prefix has dots and hyphens at most, and its tag braces: no sign of a pattern. */
const escaped = (tagged: string) => tagged.replaceAll(/[*?[\]\\]/g, '\\$&')

/** Puts the mark where nothing is, or where an import did not come to its end. @throws {StoreUnavailable} where somebody's store is there */
async function begin(within: Within, name: string): Promise<void> {
  const session = await within.client.session()
  const [writes, mark] = (await session.command('HMGET', `${within.tagged}state`, 'n', 'importing')) as readonly (
    | string
    | null
  )[]
  if (mark === null) {
    for await (const _ of keys(within, '?:*'))
      throw new StoreUnavailable('something is in this store already; name another prefix')
  }
  const [, unfinished] = (await run(within, 'importing', [name, String(writes)])) as readonly number[]
  if (unfinished !== 1) return
  const old: string[] = []
  for await (const key of keys(within, '?:*')) {
    old.push(key)
    if (old.length === AT_ONCE) await run(within, 'clear', [name, ...old.splice(0)])
  }
  if (old.length > 0) await run(within, 'clear', [name, ...old])
}

/** Takes the mark away. */
async function end(within: Within, name: string): Promise<void> {
  try {
    await run(within, 'imported', [name])
  } catch (cause) {
    if (/^another import|^the server was started anew/.test((cause as StoreUnavailable).detail)) throw cause
    const detail =
      'everything was written, but the server did not confirm the end of it: start a gateway, and where it refuses'
    throw new StoreUnavailable(`${detail} to because of this import, run lotse store import again`, { cause })
  }
}

/** What the server is told of a piece. @throws {StoreUnavailable} where this program knows no such kind */
function argsOf({ hidden, now }: Within, piece: Piece): readonly [ScriptName, readonly string[]] | undefined {
  const names = namesOf(hidden)
  const at = now()
  const end = 'entry' in piece ? piece.entry.expiresAt : piece.until
  if (end <= at) return undefined
  if ('revoked' in piece) return ['bury', [names.group(piece.revoked), ...timesOf(end, at)]]
  const { kind: name, id, value, consumedAt, alias, groups = [] } = piece.entry
  const kind: Kind | undefined = kinds[name as keyof typeof kinds]
  if (!kind)
    throw new StoreUnavailable(`the file has entries of a kind ${JSON.stringify(name)} that this program does not know`)
  const links = [alias === undefined ? '' : names.alias(kind, alias), groups.map(names.group).join(' ')]
  const args = [...names.entry(kind, id, value), ...timesOf(end, at), kind.lapses ? '1' : '0', ...links]
  return ['restore', [...args, consumedAt === undefined ? '' : String(consumedAt)]]
}
