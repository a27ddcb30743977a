import { setImmediate } from 'node:timers/promises'
import type { Idp } from '../idp.ts'
import { type Listed, listed } from './search.ts'

/** The IdPs of one document by entityID; a few megabytes beside the blocks. */
export interface Index {
  readonly size: number
  /** Those that discovery may show. */
  readonly listed: readonly Listed[]
  get(entityId: string): Idp | undefined
  first(): Idp | undefined
}

const NEWLINE = 10

/** Reads the blocks of a parsed document, one a turn of the event loop: each takes a millisecond or two. */
export async function indexOf(blocks: readonly Uint8Array[]): Promise<Index> {
  const places = new Map<string, Buffer>()
  const shown: Listed[] = []
  for (const block of blocks) {
    const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength)
    for (let start = 0, end = 0; start < bytes.length; start = end + 1) {
      end = bytes.indexOf(NEWLINE, start)
      if (end < 0) break
      const line = bytes.subarray(start, end)
      const idp = idpOf(line)
      // The first of one name counts, as with sources.
      if (places.has(idp.entityId)) continue
      places.set(idp.entityId, line)
      if (!idp.hidden) shown.push(listed(idp))
    }
    await setImmediate()
  }
  const get = (entityId: string) => {
    const line = places.get(entityId)
    return line && idpOf(line)
  }
  return {
    size: places.size,
    listed: shown,
    get,
    first: () => get(places.keys().next().value ?? ''),
  }
}

/** A line is what this gateway wrote itself. */
const idpOf = (line: Buffer) => JSON.parse(line.toString()) as Idp
