import { createHash, type Hash } from 'node:crypto'
import { openCanonical } from './canonical.ts'
import { DSIG, openRecorder, type SignatureNode, type Signed } from './signature.ts'
import { type Events, refused, type Tag } from './xml.ts'

/** A document that is read and compared with its signature at once. */
export interface Enveloped {
  /** What the document is to be told to. */
  readonly events: Events
  /** After its end. @throws {LoginError} `upstream_unavailable` where it is not what was signed */
  check(): void
}

/**
 * Lets a document through to `content`, without the signature that must be the first element in its root
 * (Metadata, section 2.3.1), and makes the digest that this signature speaks of.
 * @param read what the signature says, once somebody's key was found to have made it
 */
export function openEnveloped(content: Events, read: (signature: SignatureNode, root: Tag) => Signed): Enveloped {
  let signed: { readonly by: Signed; readonly hash: Hash } | undefined
  let reader: Events = openHead(({ root, lead, signature }) => {
    const by = read(signature, root)
    const hash = createHash(by.hash)
    signed = { by, hash }
    reader = both(
      openCanonical(by.inclusive, (text) => hash.update(text)),
      content,
    )
    reader.open(root)
    reader.text(lead)
  })
  return {
    events: {
      open: (tag) => reader.open(tag),
      text: (text) => reader.text(text),
      close: (tag) => reader.close(tag),
      instruction: (target, body) => reader.instruction(target, body),
    },
    check() {
      if (!signed?.hash.digest().equals(signed.by.digest)) throw refused('it is not what was signed')
    },
  }
}

interface Head {
  readonly root: Tag
  /** White space before the signature; it is signed, and the algorithm is not known before the signature was read. */
  readonly lead: string
  readonly signature: SignatureNode
}

/** Takes a document up to the end of its signature. */
function openHead(done: (head: Head) => void): Events {
  const recorder = openRecorder()
  let root: Tag | undefined
  let lead = ''
  let depth = 0
  return {
    open(tag) {
      depth += 1
      if (depth === 1) root = tag
      else if (depth > 2 || (tag.uri === DSIG && tag.local === 'Signature')) recorder.open(tag)
      else throw refused('it is not signed')
    },
    text(text) {
      if (depth === 1) lead += text
      else recorder.text(text)
    },
    close(tag) {
      depth -= 1
      if (depth === 0) throw refused('it is not signed')
      recorder.close(tag)
      const signature = recorder.ended()
      if (signature && root) done({ root, lead, signature })
    },
    instruction() {
      throw refused('a processing instruction stands before its signature')
    },
  }
}

const both = (one: Events, other: Events): Events => ({
  open(tag) {
    one.open(tag)
    other.open(tag)
  },
  text(text) {
    one.text(text)
    other.text(text)
  },
  close(tag) {
    one.close(tag)
    other.close(tag)
  },
  instruction(target, body) {
    one.instruction(target, body)
    other.instruction(target, body)
  },
})
