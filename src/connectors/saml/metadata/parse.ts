import { createHash, type Hash } from 'node:crypto'
import type { Idp } from '../idp.ts'
import { openCanonical } from './canonical.ts'
import { openExtraction, type Whole } from './extract.ts'
import { listed } from './search.ts'
import { attributeOf } from './shape.ts'
import { DSIG, keysOf, openRecorder, readSignature, type Signed } from './signature.ts'
import { type Events, openReader, refused, type Tag } from './xml.ts'

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
}

/** What a document said, once all of it was read and its signature found good. */
export interface Parsed extends Whole {
  /**
   * The IdPs, one a line, in blocks of about 64 KB of UTF-8: what the search needs (`Listed`) and all of it (`Idp`), each as JSON, with a
   * tab between. Whoever lists them reads a tenth.
   */
  readonly blocks: readonly Uint8Array<ArrayBuffer>[]
  readonly idps: number
}

export interface Parser {
  /** @throws {LoginError} `upstream_unavailable` */
  write(chunk: Uint8Array): void
  /** @throws {LoginError} `upstream_unavailable` */
  end(): Parsed
}

const BLOCK = 65_536
/** Bytes of one entity's JSON; the largest of eduGAIN have 20 KB. */
const ENTITY = 131_072

/**
 * Reads a document of metadata as it comes, in one pass: the digest that its signature is compared with is made of the very events
 * that the IdPs are read from, and they are handed over only after it was found equal. So nothing that was not signed is read.
 */
export function openParser({ certificates, only, most, now }: ParseSettings): Parser {
  const keys = keysOf(certificates)
  const lines = openLines()
  const extraction = openExtraction((idp) => {
    if (wanted(idp, only) && (idp.validUntil ?? now + 1) > now) lines.add(idp)
  })
  const enveloped = openEnveloped(extraction, (signature, root) =>
    readSignature(signature, attributeOf(root, 'ID'), keys),
  )
  const events = keys.length > 0 ? enveloped : extraction
  const reader = openReader(events, most)

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

type SignatureNode = NonNullable<ReturnType<ReturnType<typeof openRecorder>['ended']>>

/**
 * Lets a document through to `content`, without the signature that must be the first element in its root
 * (Metadata, section 2.3.1), and makes the digest that this signature speaks of.
 */
function openEnveloped(
  content: Events,
  read: (signature: SignatureNode, root: Tag) => Signed,
): Events & { check(): void } {
  const recorder = openRecorder()
  let root: Tag | undefined
  /** White space before the signature; it is signed, and the algorithm is not known before the signature was read. */
  let lead = ''
  let signed: { readonly by: Signed; readonly hash: Hash; readonly form: Events } | undefined
  let depth = 0

  const begin = () => {
    const signature = recorder.ended()
    if (!signature || !root) return
    const by = read(signature, root)
    const hash = createHash(by.hash)
    signed = { by, hash, form: openCanonical(by.inclusive, (text) => hash.update(text)) }
    for (const each of [signed.form, content]) {
      each.open(root)
      each.text(lead)
    }
  }

  return {
    open(tag) {
      depth += 1
      if (signed) {
        signed.form.open(tag)
        content.open(tag)
      } else if (depth === 1) root = tag
      else if (depth > 2 || (tag.uri === DSIG && tag.local === 'Signature')) recorder.open(tag)
      else throw refused('it is not signed')
    },
    text(text) {
      if (signed) {
        signed.form.text(text)
        content.text(text)
      } else if (depth === 1) lead += text
      else recorder.text(text)
    },
    close(tag) {
      depth -= 1
      if (signed) {
        signed.form.close(tag)
        content.close(tag)
      } else if (depth === 0) throw refused('it is not signed')
      else {
        recorder.close(tag)
        if (depth === 1) begin()
      }
    },
    instruction(target, body) {
      if (!signed) throw refused('a processing instruction stands before its signature')
      signed.form.instruction(target, body)
      content.instruction(target, body)
    },
    check() {
      if (!signed?.hash.digest().equals(signed.by.digest)) throw refused('it is not what was signed')
    },
  }
}

function wanted(idp: Idp, { registrationAuthorities, categories, entities }: Only): boolean {
  if (entities && !entities.includes(idp.entityId)) return false
  if (registrationAuthorities && !registrationAuthorities.includes(idp.registrationAuthority ?? '')) return false
  return !categories || categories.some((category) => idp.categories.includes(category))
}

/** Gathers lines of JSON outside the heap. */
function openLines() {
  const blocks: Uint8Array<ArrayBuffer>[] = []
  let open = ''
  let idps = 0
  const seal = () => {
    if (open !== '') blocks.push(new TextEncoder().encode(open))
    open = ''
  }
  return {
    add(idp: Idp) {
      const line = `${JSON.stringify(listed(idp))}\t${JSON.stringify(idp)}`
      if (line.length > ENTITY) return
      open += `${line}\n`
      idps += 1
      if (open.length > BLOCK) seal()
    },
    all() {
      seal()
      return { blocks, idps }
    },
  }
}
