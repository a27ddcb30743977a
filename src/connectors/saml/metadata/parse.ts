import { hash } from 'node:crypto'
import type { Idp } from '../idp.ts'
import { openEnveloped } from './enveloped.ts'
import { openExtraction, type Whole } from './extract.ts'
import { listed } from './search.ts'
import { attributeOf } from './shape.ts'
import { keysOf, readSignature } from './signature.ts'
import { openReader, refused } from './xml.ts'

/** Which IdPs of a source are taken: those that satisfy every list that is there. */
export interface Only {
  readonly registrationAuthorities?: readonly string[]
  readonly categories?: readonly string[]
  readonly entities?: readonly string[]
}

/** How to read a document. Plain data: it goes to another thread. */
export interface ParseSettings {
  /** PEM; where there is one, only what a signature by its key covers is believed. */
  readonly certificates: readonly string[]
  readonly only: Only
  /** Bytes of the document. */
  readonly most: number
  /** Unix seconds. */
  readonly now: number
  /** Digests of blocks that whoever asks has: they come back without their bytes. */
  readonly known?: readonly string[]
}

/**
 * Some IdPs, one a line of UTF-8: what the search needs (`Listed`) and all of it (`Idp`), each as JSON, with a tab between. Whoever lists
 * them reads a tenth. The end of the whole document holds for each and is in none.
 */
export interface Block {
  /** SHA-256, base64url. */
  readonly digest: string
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** What a document said, once all of it was read and its signature found good. */
export interface Parsed extends Whole {
  /** All IdPs, in the document's order. */
  readonly blocks: readonly (Block | Pick<Block, 'digest'>)[]
  readonly idps: number
}

export interface Parser {
  /** @throws {LoginError} `upstream_unavailable` */
  write(chunk: Uint8Array): void
  /** @throws {LoginError} `upstream_unavailable` */
  end(): Parsed
}

const BLOCK = 131_072
/** A block ends behind one entity of so many, whatever stands before it: one that is added changes its own block alone. */
const RUN = 16
/** Bytes of one entity's JSON; the largest of eduGAIN have 20 KB. */
const ENTITY = 131_072

/**
 * Reads a document of metadata as it comes, in one pass: the digest that its signature is compared with is made of the very events
 * that the IdPs are read from, and they are handed over only after it was found equal. So nothing that was not signed is read.
 */
export function openParser({ certificates, only, most, now, known = [] }: ParseSettings): Parser {
  const keys = keysOf(certificates)
  const lines = openLines(new Set(known))
  const extraction = openExtraction((idp) => {
    if (wanted(idp, only) && (idp.validUntil ?? now + 1) > now) lines.add(idp)
  })
  const enveloped = openEnveloped(extraction, (signature, root) =>
    readSignature(signature, attributeOf(root, 'ID'), keys),
  )
  const reader = openReader(keys.length > 0 ? enveloped.events : extraction, most)

  return {
    write: (chunk) => reader.write(chunk),
    end() {
      reader.end()
      if (keys.length > 0) enveloped.check()
      const { whole } = extraction
      if (whole.entities === 0) throw refused('it is no SAML metadata')
      if ((whole.validUntil ?? now + 1) <= now) throw refused(`its validUntil has passed`)
      // Without an end an old copy, with keys that were stolen since, could be played back for ever.
      if (keys.length > 0 && whole.kind === 'aggregate' && whole.validUntil === undefined)
        throw refused('a signed aggregate needs a validUntil')
      return { ...whole, ...lines.all() }
    },
  }
}

function wanted(idp: Idp, { registrationAuthorities, categories, entities }: Only): boolean {
  if (entities && !entities.includes(idp.entityId)) return false
  if (registrationAuthorities && !registrationAuthorities.includes(idp.registrationAuthority ?? '')) return false
  return !categories || categories.some((category) => idp.categories.includes(category))
}

/** Gathers lines of JSON outside the heap. */
function openLines(known: ReadonlySet<string>) {
  const blocks: (Block | Pick<Block, 'digest'>)[] = []
  let open = ''
  let idps = 0
  const seal = () => {
    if (open === '') return
    const digest = hash('sha256', open, 'base64url')
    blocks.push(known.has(digest) ? { digest } : { digest, bytes: new TextEncoder().encode(open) })
    open = ''
  }
  return {
    add(idp: Idp) {
      const line = `${JSON.stringify(listed(idp))}\t${JSON.stringify(idp)}`
      if (line.length > ENTITY) return
      open += `${line}\n`
      idps += 1
      if (open.length > BLOCK || (hash('sha256', idp.entityId, 'buffer')[0] ?? 0) % RUN === 0) seal()
    },
    all() {
      seal()
      return { blocks, idps }
    },
  }
}
