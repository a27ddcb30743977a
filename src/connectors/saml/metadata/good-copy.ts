import { hash } from 'node:crypto'
import type { ConnectorPorts } from '../../connector.ts'
import type { Block } from './parse.ts'

/** A document that was read and found good, and what to ask for a newer one by. */
export interface Copy {
  readonly blocks: readonly Block[]
  /** Unix seconds at which it was last the newest there is. */
  readonly readAt: number
  /** Unix seconds. */
  readonly validUntil?: number
  /** Seconds; the document's own wish. */
  readonly cacheDuration?: number
  /** What its source called this version: an ETag and a date, or the stamp of a file. */
  readonly version: Readonly<Record<string, string>>
}

/** Where good copies outlive the process. */
export interface CopyShelf {
  load(): Promise<Copy | undefined>
  save(copy: Copy): Promise<void>
}

/** Seconds for which a document that names no end may be used after its source was last read: people must notice, and nobody signs in with keys of years ago. */
const WITHOUT_END = 90 * 86_400

/** When a copy may not be used any more (Unix seconds). */
export const endOf = ({ validUntil, readAt }: Pick<Copy, 'validUntil' | 'readAt'>) => validUntil ?? readAt + WITHOUT_END

/** Blocks that are written together. */
const AT_ONCE = 4

/** Seconds for which blocks are kept: without a head they are of no use, so they may stay for longer than it. */
const LAID_FOR = 2 * WITHOUT_END

interface Head extends Omit<Copy, 'blocks'> {
  /** The blocks' digests, in their order. */
  readonly blocks: readonly string[]
  /** Unix seconds at which the oldest of them was put. */
  readonly laidAt: number
}

/**
 * Keeps the copy in the connector's shelf until its own end. Keys that prove people are read from it, so its head is sealed by the
 * root secret and names each block by its hash: what was put there by another hand is not taken. Of a document that is signed anew each
 * hour the blocks that changed are written, and no others.
 * @param name the same for the same source under the same certificates and filters, and for no other
 */
export function openCopyShelf({ kept, seal, open, now }: ConnectorPorts, name: string): CopyShelf {
  const context = `saml metadata ${name}`
  const nameOf = (digest: string) => `${name} ${digest}`
  let there: { readonly digests: readonly string[]; readonly laidAt: number } | undefined

  /** Puts a few at a time: they are one write to the disk together, and what waits is held up by no more than that. */
  const putBlocks = async (blocks: readonly Block[]) => {
    for (let at = 0; at < blocks.length; at += AT_ONCE) {
      const some = blocks.slice(at, at + AT_ONCE)
      await Promise.all(some.map((block) => kept.put(nameOf(block.digest), textOf(block), LAID_FOR)))
    }
  }

  return {
    async load() {
      const sealed = await kept.get(name)
      if (sealed === undefined) return undefined
      const { blocks: digests, laidAt, ...head } = JSON.parse(open(sealed, context)) as Head
      const blocks: Block[] = []
      for (const digest of digests) {
        const text = await kept.get(nameOf(digest))
        if (text === undefined || digestOf(text) !== digest) return undefined
        blocks.push({ digest, bytes: new TextEncoder().encode(text) })
      }
      there = { digests, laidAt }
      return endOf(head) > now() ? { ...head, blocks } : undefined
    },
    async save(copy) {
      const seconds = endOf(copy) - now()
      if (seconds < 1) return
      const before = there && there.laidAt + WITHOUT_END > now() ? there : undefined
      const laid = new Set(before?.digests)
      await putBlocks(copy.blocks.filter(({ digest }) => !laid.has(digest)))
      const digests = copy.blocks.map(({ digest }) => digest)
      const laidAt = before?.laidAt ?? now()
      const head: Head = { ...copy, blocks: digests, laidAt }
      await kept.put(name, seal(JSON.stringify(head), context), seconds)
      const fresh = new Set(digests)
      const stale = (there?.digests ?? []).filter((digest) => !fresh.has(digest))
      await Promise.all(stale.map((digest) => kept.delete(nameOf(digest))))
      there = { digests, laidAt }
    },
  }
}

const textOf = ({ bytes }: Block) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
const digestOf = (text: string) => hash('sha256', text, 'base64url')
