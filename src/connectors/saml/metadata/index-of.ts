import { setImmediate } from 'node:timers/promises'
import type { Idp } from '../idp.ts'
import type { Block } from './parse.ts'
import type { Listed } from './search.ts'

/** The IdPs of one document by entityID; a few megabytes beside the blocks. */
export interface Index {
  readonly size: number
  /** Those that discovery may show. */
  readonly listed: readonly Listed[]
  get(entityId: string): Idp | undefined
  first(): Idp | undefined
}

const [TAB, NEWLINE] = [9, 10]

/** An IdP of a block: what was read of it, and all of it as it is. */
type Line = readonly [one: Listed, rest: Buffer]

/** Of a document that is signed anew each hour most blocks are those of before: these are read once. */
const read = new WeakMap<Block, readonly Line[]>()

/** Reads the blocks of a parsed document, one a turn of the event loop: each takes less than a millisecond. */
export async function indexOf(blocks: readonly Block[]): Promise<Index> {
  const places = new Map<string, Buffer>()
  const shown: Listed[] = []
  for (const block of blocks) {
    const lines = read.get(block) ?? (await readBlock(block))
    for (const [one, rest] of lines) {
      // The first of one name counts, as with sources.
      if (places.has(one.id)) continue
      places.set(one.id, rest)
      if (!one.hidden) shown.push(one)
    }
  }
  const get = (entityId: string) => {
    const line = places.get(entityId)
    return line && (JSON.parse(line.toString()) as Idp)
  }
  return { size: places.size, listed: shown, get, first: () => get(places.keys().next().value ?? '') }
}

/** The lines of a block as `parse.ts` wrote them: the first half read, the second as it is. */
async function readBlock(block: Block): Promise<readonly Line[]> {
  const { buffer, byteOffset, byteLength } = block.bytes
  const bytes = Buffer.from(buffer, byteOffset, byteLength)
  const lines: Line[] = []
  for (let start = 0, end = bytes.indexOf(NEWLINE); end >= 0; start = end + 1, end = bytes.indexOf(NEWLINE, start)) {
    const tab = bytes.indexOf(TAB, start)
    lines.push([JSON.parse(bytes.toString('utf8', start, tab)) as Listed, bytes.subarray(tab + 1, end)])
  }
  read.set(block, lines)
  await setImmediate()
  return lines
}
