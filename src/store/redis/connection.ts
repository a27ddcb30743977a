import { createClient } from 'redis'
import { StoreUnavailable } from '../store.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** PEM texts; what is absent is the system's, or not sent. */
export interface Tls {
  readonly ca?: string | undefined
  readonly certificate?: string | undefined
  readonly key?: string | undefined
}

/** How a server is spoken to. */
export interface Access {
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly database?: number | undefined
  readonly tls?: Tls | undefined
}

/** One connection to one server. It is never mended: who needs it longer opens another. */
export interface Connection {
  /** @throws the server's own error, or {StoreUnavailable} where no answer came or comes */
  call(...words: readonly string[]): Promise<unknown>
  /** Why it is of no use any more. */
  readonly lost: () => Error | undefined
  readonly destroy: () => void
}

/** Milliseconds for the connection, and without any answer while one is due: `WAIT` takes less. What a busy process gets on top. */
const CONNECT = 500
const SILENCE = 450
const BENEFIT = 100

/**
 * Connects, signs in and chooses the database.
 * @throws {StoreUnavailable} where that does not succeed in time
 */
export async function openConnection(address: Address, access: Access): Promise<Connection> {
  const client = createClient({
    socket: socketOf(address, access.tls),
    ...(access.username === undefined ? {} : { username: access.username }),
    ...(access.password === undefined ? {} : { password: access.password }),
    ...(access.database === undefined ? {} : { database: access.database }),
    RESP: 2,
    // A server that is away must be an error now, not an answer in some seconds: the library keeps commands for later by default.
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    // Its own time limit does not end a command that was sent; the one below ends the connection.
    commandOptions: { timeout: 0 },
  })
  let lost: Error | undefined
  const lose = (error: Error) => {
    lost ??= error
    watch.stop()
    client.destroy()
  }
  const why = () => lost
  const gone = (cause: unknown) =>
    new StoreUnavailable(`redis ${textOf(address)}: ${(why() ?? (cause as Error)).message}`, { cause })
  const watch = silence(() => lose(new Error(`no answer within ${SILENCE + BENEFIT} ms`)))
  client.on('error', lose)
  const within = setTimeout(() => lose(new Error(`no connection within ${CONNECT} ms`)), CONNECT)
  try {
    await client.connect()
  } catch (cause) {
    lose(cause as Error)
    throw gone(cause)
  } finally {
    clearTimeout(within)
  }
  return {
    async call(...words) {
      if (lost) throw gone(lost)
      watch.asked()
      try {
        return await client.sendCommand(words)
      } catch (error) {
        throw why() ? gone(error) : error
      } finally {
        watch.answered()
      }
    },
    lost: why,
    destroy: () => lose(new Error('the connection is closed')),
  }
}

export const textOf = ({ host, port }: Address) => `${host.includes(':') ? `[${host}]` : host}:${port}`

function socketOf({ host, port }: Address, tls: Tls | undefined) {
  const common = { host, port, connectTimeout: CONNECT, reconnectStrategy: false } as const
  if (!tls) return common
  const { ca, certificate: cert, key } = tls
  return { ...common, tls: true as const, ...(ca ? { ca } : {}), ...(cert ? { cert } : {}), ...(key ? { key } : {}) }
}

/** Tells where answers are due and none has come for too long; each answer is a sign of life for all that wait. */
function silence(tell: () => void) {
  let due = 0
  let heard = 0
  let timer: NodeJS.Timeout | undefined
  const late = () => {
    const before = heard
    // Where this process itself stood still, the question may have been sent only now.
    setTimeout(() => {
      if (due === 0) return
      if (heard === before) tell()
      else timer?.refresh()
    }, BENEFIT).unref()
  }
  return {
    asked() {
      if (due++ > 0) return
      if (timer) timer.refresh()
      else timer = setTimeout(late, SILENCE).unref()
    },
    answered() {
      heard++
      if (--due > 0) timer?.refresh()
    },
    stop: () => clearTimeout(timer),
  }
}
