import { randomInt } from 'node:crypto'
import type { Log } from '../../core/ports.ts'
import { StoreUnavailable } from '../store.ts'
import { textOf } from './connection.ts'
import type { Locator } from './locate.ts'
import { openSession, type Session, type SessionOptions } from './session.ts'

/** The primary, whoever it is at the moment. */
export interface Client {
  /** @throws {StoreUnavailable} where there is none now, or it is doubted; waits a moment for one that is being connected to */
  session(): Promise<Session>
  /** As `session`, also where it is doubted. */
  reach(): Promise<Session>
  /** While there is a reason, nothing is read or written: a primary without its replicas may be one that was replaced. */
  doubt(reason: StoreUnavailable | undefined): void
  /** Why the last attempt failed, where waiting does not help. */
  refusal(): StoreUnavailable | undefined
  close(): void
}

export interface ClientOptions extends SessionOptions {
  readonly locator: Locator
  readonly log: Log
}

/** Milliseconds: how long an operation waits for a connection that is under way, and between two attempts to connect. */
const MOMENT = 250
const PAUSE = { least: 50, most: 250 }

/**
 * Keeps a session with the primary: whenever it is lost, asks where the primary is and tries there, until there is one. Each
 * attempt comes at another moment, so that all gateways do not come at once.
 */
export function openClient(options: ClientOptions): Client {
  let session: Session | undefined
  let connecting: Promise<Session> | undefined
  let trouble: unknown
  let doubted: StoreUnavailable | undefined
  let closed = false

  const connect = async (): Promise<Session> => {
    for (;;) {
      if (closed) throw new StoreUnavailable('the store is closed')
      try {
        const opened = await openSession(await options.locator.locate(), options)
        if (closed) opened.destroy()
        if (trouble) options.log('info', 'the store is connected again', { server: textOf(opened.address) })
        trouble = undefined
        return opened
      } catch (error) {
        if (!trouble && !closed) options.log('warn', 'the store is away', { error: detailOf(error) })
        trouble = error
        await pause(randomInt(PAUSE.least, PAUSE.most))
      }
    }
  }
  const reconnect = (): Promise<Session> => {
    const gone = session?.lost()
    if (gone) options.log('warn', 'the connection to the store was lost', { error: gone.message })
    session = undefined
    connecting ??= connect()
      .then((opened) => {
        session = opened
        doubted = undefined
        return opened
      })
      .finally(() => {
        connecting = undefined
      })
    return connecting
  }
  const reach = async (): Promise<Session> => {
    if (closed) throw new StoreUnavailable('the store is closed')
    if (session && !session.lost()) return session
    const opened = await within(MOMENT, reconnect())
    if (opened) return opened
    throw new StoreUnavailable(`no connection to the store: ${detailOf(trouble)}`)
  }
  return {
    reach,
    async session() {
      if (doubted && session && !session.lost()) throw doubted
      return await reach()
    },
    doubt(reason) {
      if (reason && !doubted) options.log('warn', 'the store is not trusted now', { error: reason.detail })
      if (!reason && doubted) options.log('info', 'the store is trusted again')
      doubted = reason
    },
    refusal: () => (trouble instanceof StoreUnavailable && final.test(trouble.detail) ? trouble : undefined),
    close() {
      closed = true
      session?.destroy()
      options.locator.close()
    },
  }
}

/** What is said to whom will not be served later either. */
const final =
  /WRONGPASS|NOAUTH|NOPERM|can't run this command|certificate|with another root secret|a newer version|an import into/

const detailOf = (error: unknown) =>
  error instanceof StoreUnavailable ? error.detail : error instanceof Error ? error.message : 'not there yet'

/** Between attempts that nobody may be waiting for. */
const pause = (milliseconds: number) => new Promise<void>((done) => setTimeout(done, milliseconds).unref())

/** Undefined where it takes longer. A command without a connection has nothing else that keeps it alive until it is told so. */
async function within<T>(milliseconds: number, work: Promise<T>): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => resolve(undefined), milliseconds)
  return await Promise.race([work, late]).finally(() => clearTimeout(timer))
}
