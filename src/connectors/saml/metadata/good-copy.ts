import { hash } from 'node:crypto'
import type { ConnectorPorts } from '../../connector.ts'

/** A document that was read and found good, and what to ask for a newer one by. */
export interface Copy {
  readonly blocks: readonly Uint8Array[]
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
export const WITHOUT_END = 90 * 86_400

/** When a copy may not be used any more (Unix seconds). */
export const endOf = ({ validUntil, readAt }: Pick<Copy, 'validUntil' | 'readAt'>) => validUntil ?? readAt + WITHOUT_END

type Head = Omit<Copy, 'blocks'> & { readonly blocks: readonly string[] }

/**
 * Keeps the copy in the connector's shelf until its own end. Keys that prove people are read from it, so its head is sealed by the
 * root secret and names each block by its hash: what was put there by another hand is not taken.
 * @param name the same for the same source under the same certificates and filters, and for no other
 */
export function openCopyShelf({ kept, seal, open, now }: ConnectorPorts, name: string): CopyShelf {
  const context = `saml metadata ${name}`
  const nameOf = (digest: string) => `${name} ${digest}`
  let there: { readonly blocks: Copy['blocks']; readonly digests: readonly string[] } | undefined

  /** Puts the blocks one by one: each is a write of its own, and what waits in between is not held up. */
  const putBlocks = async (blocks: Copy['blocks'], seconds: number) => {
    const digests: string[] = []
    for (const block of blocks) {
      const text = Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString()
      const digest = digestOf(text)
      digests.push(digest)
      await kept.put(nameOf(digest), text, seconds)
    }
    return digests
  }

  return {
    async load() {
      const sealed = await kept.get(name)
      if (sealed === undefined) return undefined
      const { blocks: digests, ...head } = JSON.parse(open(sealed, context)) as Head
      const blocks: Uint8Array[] = []
      for (const digest of digests) {
        const text = await kept.get(nameOf(digest))
        if (text === undefined || digestOf(text) !== digest) return undefined
        blocks.push(Buffer.from(text))
      }
      there = { blocks, digests }
      return endOf(head) > now() ? { ...head, blocks } : undefined
    },
    async save(copy) {
      const seconds = endOf(copy) - now()
      if (seconds < 1) return
      const before = there
      // What was confirmed only is there already, for as long as the document is good.
      const same = before?.blocks === copy.blocks && copy.validUntil !== undefined
      const digests = same ? before.digests : await putBlocks(copy.blocks, seconds)
      const head: Head = { ...copy, blocks: digests }
      await kept.put(name, seal(JSON.stringify(head), context), seconds)
      there = { blocks: copy.blocks, digests }
      const fresh = new Set(digests)
      for (const digest of before?.digests ?? []) if (!fresh.has(digest)) await kept.delete(nameOf(digest))
    },
  }
}

const digestOf = (text: string) => hash('sha256', text, 'base64url')
