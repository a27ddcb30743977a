import { open, stat } from 'node:fs/promises'
import { LoginError } from '../../../core/errors.ts'
import type { ConnectorPorts } from '../../connector.ts'
import type { MetadataSource } from '../options.ts'
import { type Feed, parseApart } from './apart.ts'
import type { Copy } from './good-copy.ts'
import type { Block, Parsed } from './parse.ts'
import { refused } from './xml.ts'

/** A source that lists IdPs: a file, or a document at an URL. */
export type Listing = Exclude<MetadataSource, { readonly mdq: string }>

interface Wanted {
  readonly settings: Parameters<typeof parseApart>[0]
  readonly ports: ConnectorPorts
  readonly before: Copy | undefined
}

type Write = Parameters<Feed>[0]
type Version = Copy['version']

const PIECE = 65_536

/**
 * The newest document of a source, checked, or that it is the one that is here.
 * @throws {LoginError} `upstream_unavailable`; and what reading a file or asking a server throws
 */
export async function newest(listing: Listing, wanted: Wanted): Promise<Copy | 'same'> {
  const { settings, ports, before } = wanted
  let version = 'same' as Version | 'same'
  const parsed = await parseApart(settings, async (write) => {
    version =
      'url' in listing
        ? await fromUrl(listing.url, { ports, before }, write)
        : await fromFile(listing.file, before, write)
  })
  if (version === 'same') return 'same'
  if (!parsed) throw refused('it is empty')
  checkBelief(listing, parsed.entities)
  const { validUntil, cacheDuration } = parsed
  const times = {
    ...(validUntil !== undefined && { validUntil }),
    ...(cacheDuration !== undefined && { cacheDuration }),
  }
  return { blocks: completed(parsed.blocks, before?.blocks ?? []), ...times, version, readAt: settings.now }
}

async function fromFile(path: string, before: Copy | undefined, write: Write): Promise<Version | 'same'> {
  const { mtimeMs, size } = await stat(path)
  const stamp = `${mtimeMs} ${size}`
  if (before?.version['stamp'] === stamp) return 'same'
  await using file = await open(path)
  const piece = new Uint8Array(PIECE)
  for (let got = await file.read(piece); got.bytesRead > 0; got = await file.read(piece))
    await write(piece.subarray(0, got.bytesRead))
  return { stamp }
}

async function fromUrl(
  url: string,
  { ports, before }: Pick<Wanted, 'ports' | 'before'>,
  write: Write,
): Promise<Version | 'same'> {
  const { status, headers } = await ports.download(url, conditions(before), write)
  if (status === 304 && before !== undefined) return 'same'
  if (status !== 200) throw new LoginError('upstream_unavailable', `metadata answered with status ${status}`)
  return versionOf(headers)
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
