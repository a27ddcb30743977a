import { hash } from 'node:crypto'
import { LoginError } from '../../../core/errors.ts'
import type { ConnectorPorts } from '../../connector.ts'
import type { Copy } from './good-copy.ts'
import { type Known, openKeeper } from './known.ts'
import { type Listing, newest } from './newest.ts'
import type { Only } from './parse.ts'
import { pauseFor, SOONEST } from './time.ts'

export interface Source {
  /** Its name in logs: the URL without its query, or the path. */
  readonly name: string
  /** What is good now; undefined before the first reading and past the end. */
  known(): Known | undefined
  /** The same; waits for the first reading. @throws {LoginError} `upstream_unavailable` */
  ready(): Promise<Known>
  /** Begins to read where that is due, and does not wait. */
  tend(): void
  /** Reads now. @throws {LoginError} `upstream_unavailable` */
  read(): Promise<Known>
}

/** What a connector gives each of its sources. */
export interface SourceSetting {
  readonly connector: string
  readonly only: Only
}

/** Bytes of the largest document; eduGAIN's has 80 million. */
const MOST = 200_000_000
/** Seconds between two looks at a file, which costs nothing while it is the same. */
const FILE_LOOK = 10
/** Seconds of waiting after a failure: 30, 60, 120 … */
const FIRST_WAIT = 30
const LONGEST_WAIT = 3600

/**
 * A source that reads itself again when it is due. A reading that fails changes nothing: the good copy stays, over restarts too, until
 * its own end.
 */
export function openSource(listing: Listing, { connector, only }: SourceSetting, ports: ConnectorPorts): Source {
  const place = 'url' in listing ? listing.url : listing.file
  // Some federations put a member's key into the query: it stands in no log.
  const name = 'url' in listing ? place.replace(/\?.*$/, '') : place
  const certificates = listing.certificate === undefined ? [] : [listing.certificate]
  const facts = { connector, source: name }
  const keeper = openKeeper(ports, hash('sha256', JSON.stringify([place, certificates, only]), 'base64url'), facts)
  let running: Promise<Known> | undefined
  let restored: Promise<void> | undefined
  let dueAt = Number.NEGATIVE_INFINITY
  let failures = 0

  const restore = (): Promise<void> => {
    restored ??= keeper.restore().then((copy) => {
      // A file is looked at at once: it may have changed meanwhile, and that costs nothing.
      if (copy && 'url' in listing) dueAt = copy.readAt + pause(copy)
    })
    return restored
  }

  const readOnce = async (): Promise<Known> => {
    await restore()
    const before = keeper.good()?.copy
    const begun = performance.now()
    const digests = before?.blocks.map(({ digest }) => digest) ?? []
    const settings = { certificates, only, most: MOST, now: ports.now(), known: digests }
    const got = await newest(listing, { settings, ports, before })
    const copy = got === 'same' && before ? { ...before, readAt: ports.now() } : got
    if (copy === 'same') throw new LoginError('upstream_unavailable', 'metadata was not sent, though none is here')
    const now = await keeper.take(copy)
    const seen = { idps: now.size, validUntil: copy.validUntil, milliseconds: Math.round(performance.now() - begun) }
    if (got !== 'same') ports.log('info', 'metadata was read', { ...facts, ...seen })
    return now
  }

  const failed = (error: Error): never => {
    dueAt = ports.now() + Math.min(FIRST_WAIT * 2 ** failures, LONGEST_WAIT)
    failures = Math.min(failures + 1, 10)
    const fails = { ...facts, error: why(error), until: keeper.goodUntil() }
    ports.log('warn', 'metadata could not be read; what is known stays', fails)
    throw error instanceof LoginError ? error : new LoginError('upstream_unavailable', why(error))
  }

  const read = (): Promise<Known> => {
    running ??= readOnce()
      .then((now) => {
        failures = 0
        dueAt = ports.now() + ('file' in listing ? FILE_LOOK : pause(now.copy))
        return now
      }, failed)
      .finally(() => {
        running = undefined
      })
    return running
  }

  return {
    name,
    known: keeper.good,
    async ready() {
      await restore()
      const now = keeper.good()
      if (now) return now
      if (ports.now() < dueAt && !running)
        throw new LoginError('upstream_unavailable', `metadata of ${name} could not be read a moment ago`)
      return await read()
    },
    tend() {
      keeper.good()
      const there = restore()
      // What went wrong stands in the log.
      if (!running && ports.now() >= dueAt)
        there.then(() => (ports.now() >= dueAt ? read() : undefined)).catch(() => {})
    },
    read,
  }
}

/** Seconds after which a copy is to be read again: soon enough to try several times before its end. */
function pause({ cacheDuration, validUntil, readAt }: Copy): number {
  const wish = pauseFor(cacheDuration)
  return validUntil === undefined ? wish : Math.max(Math.min(wish, (validUntil - readAt) / 4), SOONEST / 5)
}

const why = (error: Error) =>
  error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
