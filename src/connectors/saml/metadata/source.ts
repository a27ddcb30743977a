import { hash } from 'node:crypto'
import { open, stat } from 'node:fs/promises'
import { LoginError } from '../../../core/errors.ts'
import type { ConnectorPorts } from '../../connector.ts'
import type { MetadataSource } from '../options.ts'
import { type Feed, parseApart } from './apart.ts'
import { type Copy, endOf, openCopyShelf } from './good-copy.ts'
import { type Index, indexOf } from './index-of.ts'
import type { Block, Only, Parsed } from './parse.ts'
import { pauseFor, SOONEST } from './time.ts'
import { refused } from './xml.ts'

/** A source that lists IdPs: a file, or a document at an URL. */
export type Listing = Exclude<MetadataSource, { readonly mdq: string }>

/** What is known of one source at this moment. */
export interface Known extends Index {
  readonly copy: Copy
}

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
  const shelf = openCopyShelf(ports, hash('sha256', JSON.stringify([place, certificates, only]), 'base64url'))
  const facts = { connector, source: name }
  let known: Known | undefined
  let running: Promise<Known> | undefined
  let restored: Promise<void> | undefined
  let dueAt = Number.NEGATIVE_INFINITY
  let failures = 0

  const use = async (copy: Copy) => {
    known = known?.copy.blocks === copy.blocks ? { ...known, copy } : { ...(await indexOf(copy.blocks)), copy }
    return known
  }

  /** The good copy of an earlier process; what cannot be read of it is read from the source. */
  const restore = async () => {
    const copy = await shelf.load().catch((error: Error) => {
      ports.log('warn', 'kept metadata cannot be read', { ...facts, error: error.message })
    })
    if (!copy || known) return
    await use(copy)
    // A file is looked at at once: it may have changed meanwhile, and that costs nothing.
    if ('url' in listing) dueAt = copy.readAt + pause(copy)
  }

  const readOnce = async (): Promise<Known> => {
    restored ??= restore()
    await restored
    const before = good()
    const begun = performance.now()
    const digests = before?.copy.blocks.map(({ digest }) => digest) ?? []
    const settings = { certificates, only, most: MOST, now: ports.now(), known: digests }
    const got = await fetchCopy(listing, { settings, ports, before: before?.copy })
    const copy = got === 'same' && before ? { ...before.copy, readAt: ports.now() } : got
    if (copy === 'same') throw new LoginError('upstream_unavailable', 'metadata was not sent, though none is here')
    const now = await use(copy)
    const keep = shelf.save(copy)
    await keep.catch((error: Error) => ports.log('warn', 'metadata cannot be kept', { ...facts, error: error.message }))
    const seen = { idps: now.size, validUntil: copy.validUntil, milliseconds: Math.round(performance.now() - begun) }
    if (got !== 'same') ports.log('info', 'metadata was read', { ...facts, ...seen })
    return now
  }

  const read = () => {
    running ??= readOnce()
      .then(
        (now) => {
          failures = 0
          dueAt = ports.now() + ('file' in listing ? FILE_LOOK : pause(now.copy))
          return now
        },
        (error: Error) => {
          dueAt = ports.now() + Math.min(FIRST_WAIT * 2 ** failures, LONGEST_WAIT)
          failures = Math.min(failures + 1, 10)
          const until = known && endOf(known.copy)
          ports.log('warn', 'metadata could not be read; what is known stays', { ...facts, error: why(error), until })
          throw error instanceof LoginError ? error : new LoginError('upstream_unavailable', why(error))
        },
      )
      .finally(() => {
        running = undefined
      })
    return running
  }

  const good = () => {
    if (known && endOf(known.copy) <= ports.now()) {
      ports.log('error', 'metadata has come to its end and is not used any more', facts)
      known = undefined
    }
    return known
  }

  return {
    name,
    known: good,
    async ready() {
      restored ??= restore()
      await restored
      const now = good()
      if (now) return now
      if (ports.now() < dueAt && !running)
        throw new LoginError('upstream_unavailable', `metadata of ${name} could not be read a moment ago`)
      return await read()
    },
    tend() {
      good()
      restored ??= restore()
      // What went wrong stands in the log.
      if (!running && ports.now() >= dueAt)
        restored.then(() => (ports.now() >= dueAt ? read() : undefined)).catch(() => {})
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

interface Wanted {
  readonly settings: Parameters<typeof parseApart>[0]
  readonly ports: ConnectorPorts
  readonly before: Copy | undefined
}

const PIECE = 65_536

/** The newest document, or that it is the one that is here. */
async function fetchCopy(listing: Listing, { settings, ports, before }: Wanted): Promise<Copy | 'same'> {
  let version: Readonly<Record<string, string>> = {}
  let same = false
  const fromFile = async (path: string): Promise<Feed | undefined> => {
    const { mtimeMs, size } = await stat(path)
    version = { stamp: `${mtimeMs} ${size}` }
    if (before?.version['stamp'] === version['stamp']) return undefined
    return async (write) => {
      await using file = await open(path)
      const piece = new Uint8Array(PIECE)
      for (let got = await file.read(piece); got.bytesRead > 0; got = await file.read(piece))
        await write(piece.subarray(0, got.bytesRead))
    }
  }
  const fromUrl =
    (url: string): Feed =>
    async (write) => {
      const response = await ports.download(url, conditions(before), write)
      same = response.status === 304 && before !== undefined
      if (response.status !== 200 && !same)
        throw new LoginError('upstream_unavailable', `metadata answered with status ${response.status}`)
      version = versionOf(response.headers)
    }
  const feed = 'url' in listing ? fromUrl(listing.url) : await fromFile(listing.file)
  if (!feed) return 'same'
  const parsed = await parseApart(settings, feed)
  if (same) return 'same'
  if (!parsed) throw refused('it is empty')
  checkBelief(listing, parsed.entities)
  const { validUntil, cacheDuration } = parsed
  const times = {
    ...(validUntil !== undefined && { validUntil }),
    ...(cacheDuration !== undefined && { cacheDuration }),
  }
  return { blocks: completed(parsed.blocks, before?.blocks ?? []), ...times, version, readAt: settings.now }
}

/** Puts the bytes of blocks that were known into their places: what did not change is in memory once. */
export function completed(blocks: Parsed['blocks'], known: readonly Block[]): readonly Block[] {
  const by = new Map(known.map((block) => [block.digest, block]))
  return blocks.flatMap((block) => ('bytes' in block ? block : (by.get(block.digest) ?? [])))
}

/** Over TLS alone an IdP may speak for itself; about others somebody has to be believed, and that is whose certificate is configured. */
function checkBelief(listing: Listing, entities: number): void {
  if ('url' in listing && listing.certificate === undefined && entities > 1)
    throw refused('several entities from an URL need a certificate')
}

function conditions(before: Copy | undefined): Readonly<Record<string, string>> {
  const { etag, lastModified } = before?.version ?? {}
  return {
    accept: 'application/samlmetadata+xml, application/xml, text/xml',
    ...(etag === undefined ? {} : { 'if-none-match': etag }),
    ...(lastModified === undefined ? {} : { 'if-modified-since': lastModified }),
  }
}

function versionOf(headers: Headers): Readonly<Record<string, string>> {
  const etag = headers.get('etag')
  const lastModified = headers.get('last-modified')
  return { ...(etag ? { etag } : {}), ...(lastModified ? { lastModified } : {}) }
}
