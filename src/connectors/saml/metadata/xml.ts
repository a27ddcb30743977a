import { type SaxesAttributeNS, SaxesParser, type SaxesTagNS } from 'saxes'
import { LoginError } from '../../../core/errors.ts'

/** An attribute with the name space that its prefix stands for. */
export interface Attribute {
  readonly name: string
  readonly prefix: string
  readonly local: string
  readonly uri: string
  readonly value: string
}

/** A start tag; its declarations of name spaces stand in `scope`, not among the attributes. */
export interface Tag {
  readonly name: string
  readonly prefix: string
  readonly local: string
  readonly uri: string
  readonly attributes: readonly Attribute[]
  /** Every prefix that is bound here ('' for the default), with its name space. */
  readonly scope: Readonly<Record<string, string>>
}

/** What a reader tells of a document, in its order; comments are told to nobody. */
export interface Events {
  open(tag: Tag): void
  /** Text, with references resolved; a CDATA section is text. */
  text(text: string): void
  close(tag: Tag): void
  instruction(target: string, body: string): void
}

/** A document that comes in pieces. */
export interface Reader {
  write(chunk: Uint8Array): void
  end(): void
}

const DECLARATIONS = 'http://www.w3.org/2000/xmlns/'
/** Elements inside one another; metadata has ten. */
const DEPTH = 64
/** Attributes and declarations of one element; the roots of aggregates declare twenty name spaces. */
const ATTRIBUTES = 128
/** What is bound around the root. */
const NOTHING: Tag['scope'] = Object.freeze(Object.create(null))

/** Metadata that is not used, and why, for the log. */
export function refused(why: string, cause?: unknown): LoginError {
  return new LoginError('upstream_unavailable', `metadata refused: ${why}`, cause === undefined ? {} : { cause })
}

/**
 * Reads XML 1.0 in UTF-8 and tells its events. No document type is read, so no entity is ever declared or expanded (XXE, entity bombs).
 * @param most bytes of the whole document
 * @throws {LoginError} `upstream_unavailable` where it is not well-formed or passes a limit, at whichever call meets that
 */
export function openReader(events: Events, most: number): Reader {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const parser = new SaxesParser({ xmlns: true, position: false, defaultXMLVersion: '1.0', forceXMLVersion: true })
  let size = 0
  const tags: Tag[] = []

  // Six handlers: a seventh property makes V8 turn the parser into a slow object, and everything takes four times as long (Node 24).
  parser.on('doctype', () => {
    throw refused('it has a document type')
  })
  parser.on('opentag', (found) => {
    if (tags.length === 0) checkDeclaration(parser.xmlDecl)
    if (tags.length >= DEPTH) throw refused(`more than ${DEPTH} elements inside one another`)
    const tag = tagOf(found, tags.at(-1)?.scope ?? NOTHING)
    tags.push(tag)
    events.open(tag)
  })
  parser.on('closetag', () => events.close(tags.pop()!)) // the parser has matched the two
  const text = (text: string) => {
    if (tags.length > 0) events.text(text)
  }
  parser.on('text', text)
  parser.on('cdata', text)
  parser.on('processinginstruction', ({ target, body }) => {
    if (tags.length > 0) events.instruction(target, body)
  })

  const guarded = (step: () => void) => {
    try {
      step()
    } catch (error) {
      throw error instanceof LoginError ? error : refused('it is not well-formed XML in UTF-8', error)
    }
  }
  return {
    write: (chunk) =>
      guarded(() => {
        size += chunk.byteLength
        if (size > most) throw refused(`it is larger than ${most} bytes`)
        parser.write(decoder.decode(chunk, { stream: true }))
      }),
    end: () =>
      guarded(() => {
        parser.write(decoder.decode())
        parser.close()
      }),
  }
}

function checkDeclaration({ version = '1.0', encoding = 'utf-8' }: SaxesParser['xmlDecl']): void {
  if (version !== '1.0') throw refused(`it is XML ${version}`)
  if (!/^(?:utf-8|us-ascii)$/i.test(encoding)) throw refused('its encoding is not UTF-8')
}

/**
 * The parser's tag, with the declarations apart. Most elements declare nothing and share their parent's scope; who declares something stands
 * on it, since a copy would cost as much as there is around it: half a megabyte of declarations inside one another took minutes.
 */
function tagOf({ name, prefix, local, uri, ns, attributes }: SaxesTagNS, outer: Tag['scope']): Tag {
  let scope = outer
  for (const _declared in ns) {
    scope = Object.assign(Object.create(outer), ns)
    break
  }
  const all: SaxesAttributeNS[] = []
  let count = 0
  for (const key in attributes) {
    const attribute = attributes[key]!
    count += 1
    if (attribute.uri !== DECLARATIONS) all.push(attribute)
  }
  if (count > ATTRIBUTES) throw refused(`an element with more than ${ATTRIBUTES} attributes`)
  return { name, prefix, local, uri, attributes: all, scope }
}
