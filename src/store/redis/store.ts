import type { Check, Clock, Log } from '../../core/ports.ts'
import type { Mover } from '../move.ts'
import { type Store, StoreUnavailable } from '../store.ts'
import { type Client, openClient } from './client.ts'
import { concealer } from './conceal.ts'
import { type Connection, openConnection, textOf } from './connection.ts'
import { openMemory, UNFINISHED } from './epoch.ts'
import { inspect, refusal } from './inspect.ts'
import { type Locator, openLocator, type Place } from './locate.ts'
import { moverOf } from './move.ts'
import type { Session } from './session.ts'
import { verbsOn } from './verbs.ts'

export interface RedisOptions extends Pick<Place, 'topology' | 'servers' | 'primary' | 'sentinelAccess' | 'access'> {
  /** What all keys of this installation begin with. */
  readonly prefix: string
  /** How many replicas have to hold a write before it is told of; 0 where there are none. */
  readonly replicas: number
  /** 32 bytes for a purpose, from the root secret: what is stored is concealed by it. */
  readonly derive: (purpose: string) => Buffer
  readonly now: Clock
  readonly log?: Log
  /** `serve`: looks after the primary once a second. `command`: an operator's command beside it. `serve` if absent. */
  readonly mode?: 'serve' | 'command'
}

/** Milliseconds: how long a primary may be looked for at the start, and between two looks at it. */
const START = 10_000
const EVERY = 1000

/**
 * The store on Redis or Valkey: one server, the primary that Sentinels name, or the node of a Cluster that has the gateway's keys.
 * @throws {StoreUnavailable} where no primary is found within ten seconds, or what is there is not for this installation
 */
export async function openRedis(options: RedisOptions): Promise<Store> {
  const { client, hidden, locator } = await connected(options)
  const verbs = verbsOn(client, hidden, options.now)
  const tell = (session: Session) => tellWeaknesses(session, options)
  const stop = options.mode === 'command' ? () => {} : everySecond(lookingAfter({ client, locator, verbs, tell }))
  return {
    ...verbs,
    async close() {
      stop()
      client.close()
    },
  }
}

/**
 * The same as a whole, for an export or an import, while no gateway serves from it.
 * @throws {StoreUnavailable} as `openRedis`
 */
export async function openRedisToMove(options: Omit<RedisOptions, 'mode'>): Promise<Mover> {
  return moverOf({ ...(await connected(options, true)), now: options.now })
}

async function connected(options: RedisOptions, importing?: true) {
  const { prefix, derive, access, replicas, log = () => {} } = options
  const hidden = concealer(derive)
  const tagged = `{${prefix}}:`
  const root = hidden.conceal('root', prefix)
  const memory = openMemory({ prefix: tagged, root, log, ...(importing ? { importing } : {}) })
  const locator = openLocator({ ...options, key: `${tagged}state` })
  const client = openClient({ access, prefix: tagged, replicas, memory, log, locator })
  try {
    const session = await first(client)
    if (options.mode !== 'command') await tellWeaknesses(session, options, 'first')
  } catch (error) {
    client.close()
    throw error
  }
  return { client, hidden, locator, tagged }
}

/** @returns the first session */
async function first(client: Client): Promise<Session> {
  const until = performance.now() + START
  for (;;) {
    try {
      return await client.reach()
    } catch (error) {
      const refusal = client.refusal()
      if (refusal || performance.now() > until) throw refusal ?? error
    }
  }
}

/**
 * Logs what weakens the promise of a server.
 * @throws {StoreUnavailable} where the store must not be opened on it
 */
async function tellWeaknesses(
  session: Session,
  { topology, replicas, now, log = () => {} }: RedisOptions,
  time: 'first' | 'later' = 'later',
): Promise<void> {
  const checks = await inspect(session.command, { topology, replicas, now: now() })
  const refused = refusal(checks)
  if (refused && time === 'first') throw new StoreUnavailable(`redis ${textOf(session.address)}: ${refused}`)
  for (const { check, ok, note, found } of checks)
    if (!ok || note) log(ok ? 'warn' : 'error', 'the store promises less than it could', { check, found })
}

/** What servers say of themselves, and whether something is in the store there. */
export interface Probed {
  readonly checks: readonly Check[]
  readonly content: 'nothing' | 'unfinished' | 'used' | 'unreadable'
}

/**
 * Asks the server that a configuration names, without writing anything there.
 * @throws {StoreUnavailable} where no primary is found
 */
export async function probeRedis(options: Omit<RedisOptions, 'derive'>): Promise<Probed> {
  const { access, topology, replicas, now } = options
  const state = `{${options.prefix}}:state`
  const locator = openLocator({ ...options, key: state })
  using opened = new DisposableStack()
  opened.defer(locator.close)
  const address = await locator.locate()
  const { call, destroy } = await openConnection(address, access)
  opened.defer(destroy)
  const checks = await inspect(call, { topology, replicas, now: now() })
  const [content, found] = await contentOf(call, state)
  return {
    checks: [
      { check: 'primary', ok: true, found: textOf(address) },
      ...checks,
      { check: 'content', ok: content === 'nothing' || content === 'used', found },
    ],
    content,
  }
}

async function contentOf(call: Connection['call'], state: string): Promise<readonly [Probed['content'], string]> {
  try {
    const said = (await call('HMGET', state, 'schema', 'importing')) as readonly (string | null)[]
    if (said[1] !== null) return ['unfinished', UNFINISHED]
    return said[0] === null ? ['nothing', 'nothing yet'] : ['used', 'in use']
  } catch (error) {
    return ['unreadable', (error as Error).message]
  }
}

interface Looked {
  readonly client: Client
  readonly locator: Locator
  readonly verbs: Pick<Store, 'check'>
  readonly tell: (session: Session) => Promise<void>
}

/**
 * Finds out early what a request would find out late: that another server is the primary now, that this one is cut off from its
 * replicas and so may be the primary no more, or that it is not what it was.
 */
function lookingAfter({ client, locator, verbs, tell }: Looked): () => Promise<void> {
  let known: Session | undefined
  // One failure may be a busy replica. Others replace a primary no sooner than some seconds after they hear nothing of it.
  let failures = 0
  return async () => {
    const session = await client.reach()
    const elsewhere = await locator.locate().then(
      (address) => textOf(address) !== textOf(session.address),
      () => false, // sentinels that are away say nothing about the primary
    )
    if (elsewhere) return session.destroy()
    const sound = session.look().then(() => verbs.check())
    const trouble = await sound.then(
      () => undefined,
      (error) => error as StoreUnavailable,
    )
    failures = trouble ? failures + 1 : 0
    if (session.lost()) return // the next one is looked at when it is connected to
    if (failures !== 1) client.doubt(trouble)
    if (known && known !== session) await tell(session)
    known = session
  }
}

/** Does something once a second and never twice at once; what it finds is told by the operations that fail. */
function everySecond(work: () => Promise<void>): () => void {
  let busy = false
  const timer = setInterval(() => {
    if (busy) return
    busy = true
    work()
      .catch(() => {})
      .finally(() => {
        busy = false
      })
  }, EVERY).unref()
  return () => clearInterval(timer)
}
