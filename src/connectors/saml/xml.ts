import { SaxesParser, type SaxesTagNS } from 'saxes'
import { type Limits, limits as messageLimits, printable, refusal } from './limits.ts'

/** Namespaces that SAML messages are made of. */
export const ns = {
  saml: 'urn:oasis:names:tc:SAML:2.0:assertion',
  samlp: 'urn:oasis:names:tc:SAML:2.0:protocol',
  ds: 'http://www.w3.org/2000/09/xmldsig#',
  xenc: 'http://www.w3.org/2001/04/xmlenc#',
  xenc11: 'http://www.w3.org/2009/xmlenc11#',
  ec: 'http://www.w3.org/2001/10/xml-exc-c14n#',
  xsi: 'http://www.w3.org/2001/XMLSchema-instance',
} as const

/** One element, without comments and without what namespaces it declares. */
export interface Tag {
  readonly uri: string
  readonly name: string
  /** By name; those with a prefix as `{uri}name`. No prototype: what is there was sent. */
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly Tag[]
  /** Its own characters, all of them: a comment or a child in between cuts nothing off. */
  readonly text: string
}

interface Open extends Tag {
  readonly attributes: Record<string, string>
  readonly children: Open[]
  text: string
  /** Namespaces in scope, its own and those around it. */
  readonly scope: number
}

/**
 * Reads a document in one pass, within the limits and well-formed by the letter: what is refused here no other parser sees, so that no two of
 * them can read it differently. No DOCTYPE, so no entities (XXE, bombs); no processing instructions; no relative namespaces, at which
 * canonicalisation must fail and in some libraries yields nothing, whose digest everybody knows.
 * @throws {LoginError} `upstream_rejected`
 */
export function readXml(text: string, limits: Limits = messageLimits): Tag {
  if (text.length > limits.xml) throw refusal(`it has more than ${limits.xml} characters of XML`)
  const parser = new SaxesParser({ xmlns: true, position: false })
  const open: Open[] = []
  const count = { nodes: 0, attributes: 0, own: 0 }
  let root: Open | undefined
  const node = () => {
    count.nodes += 1
    if (count.nodes > limits.nodes) throw refusal(`it has more than ${limits.nodes} elements and comments`)
  }
  const add = (characters: string) => {
    const last = open.at(-1)
    if (last !== undefined) last.text += characters
  }
  parser.on('error', (error) => {
    throw refusal(`it is not well-formed XML: ${printable(error.message)}`)
  })
  parser.on('doctype', () => {
    throw refusal('it has a DOCTYPE')
  })
  parser.on('processinginstruction', () => {
    throw refusal('it has a processing instruction')
  })
  parser.on('xmldecl', ({ version, encoding }) => {
    if (version !== '1.0' || (encoding !== undefined && !/^utf-?8$/i.test(encoding)))
      throw refusal('it is not XML 1.0 in UTF-8')
  })
  parser.on('opentagstart', () => {
    node()
    count.own = 0
    if (open.length >= limits.depth) throw refusal(`it is nested deeper than ${limits.depth} levels`)
  })
  parser.on('attribute', () => {
    count.own += 1
    count.attributes += 1
    if (count.own > limits.attributesOfOne || count.attributes > limits.attributes)
      throw refusal('it has too many attributes')
  })
  parser.on('opentag', (tag) => {
    const parent = open.at(-1)
    const next = opened(tag, parent?.scope ?? 0)
    if (next.scope > limits.inScope) throw refusal(`more than ${limits.inScope} namespaces are in scope`)
    if (parent === undefined) root = next
    else parent.children.push(next)
    open.push(next)
  })
  parser.on('closetag', () => void open.pop())
  parser.on('text', add)
  parser.on('cdata', (characters) => {
    node()
    add(characters)
  })
  parser.on('comment', node)
  parser.write(text).close()
  if (root === undefined) throw refusal('it has no element')
  return root
}

function opened(tag: SaxesTagNS, outer: number): Open {
  const declared = Object.values(tag.ns)
  const scope = outer + declared.length
  for (const uri of declared)
    if (uri !== '' && !/^[A-Za-z][A-Za-z0-9+.-]*:/.test(uri)) throw refusal('a namespace is not an absolute URI')
  const attributes: Record<string, string> = Object.create(null)
  for (const { prefix, local, uri, value } of Object.values(tag.attributes)) {
    if (prefix === 'xmlns' || (prefix === '' && local === 'xmlns')) continue
    attributes[uri === '' ? local : `{${uri}}${local}`] = value
  }
  return { uri: tag.uri, name: tag.local, attributes, children: [], text: '', scope }
}

/** Its children of one name, in their order. */
export function childrenOf(tag: Tag, uri: string, name: string): readonly Tag[] {
  return tag.children.filter((child) => child.uri === uri && child.name === name)
}

/** The only child of a name; undefined where there is none, or more than one. */
export function onlyChild(tag: Tag | undefined, uri: string, name: string): Tag | undefined {
  const [first, second] = tag === undefined ? [] : childrenOf(tag, uri, name)
  return second === undefined ? first : undefined
}

/**
 * Its characters without white space around them: pretty-printed documents mean the same. By hand, since an expression for the end of a
 * text begins anew at each blank: 46,000 of them in an Issuer held the process for two seconds.
 */
export function textIn(tag: Tag | undefined): string {
  const text = tag?.text ?? ''
  let [start, end] = [0, text.length]
  while (start < end && isBlank(text.charCodeAt(start))) start += 1
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

/** White space of XML (2.3), and no other: a no-break space is part of a name. */
const isBlank = (unit: number) => unit === 0x20 || unit === 0x9 || unit === 0xa || unit === 0xd

/** The element and all inside it, in the document's order. */
export function* within(tag: Tag): Generator<Tag> {
  yield tag
  for (const child of tag.children) yield* within(child)
}
