import type { Attribute, Events, Tag } from './xml.ts'

const amp = /&/g
const less = /</g
const greater = />/g

/** Writes what it is told as exclusive canonical XML without comments. */
export type Canonical = Events

/** Pieces are handed on in about this many UTF-16 units: a digest has a price for each call. */
const PIECE = 65_536

/**
 * Exclusive XML canonicalisation of one element as it is read. It is the apex: nothing around it is written, so no declaration has been.
 * @param inclusive the prefixes of `InclusiveNamespaces`, '' for `#default`: declared as in inclusive canonicalisation
 * @param write gets the form piece by piece; all of it after the close of the apex
 * @see https://www.w3.org/TR/xml-exc-c14n/ sections 3 and 4, and Canonical XML 1.0, section 2.3 for text and attributes
 */
export function openCanonical(inclusive: readonly string[], write: (text: string) => void): Canonical {
  /** What the output declares at this point, and how to go back at the end of each open element. */
  const declared = new Map<string, string>()
  const undo: (readonly [prefix: string, before: string | undefined][] | undefined)[] = []
  let out = ''

  /** Declarations that this element needs and no element around it in the output has made, by prefix. */
  const declare = ({ prefix, attributes, scope }: Tag): string => {
    let made: [string, string | undefined][] | undefined
    const need = (name: string) => {
      if (name === 'xml') return
      const uri = scope[name] ?? ''
      const before = declared.get(name)
      if (uri === (before ?? '')) return
      made = [...(made ?? []), [name, before]]
      declared.set(name, uri)
    }
    need(prefix)
    // An attribute without a prefix is in no name space, whatever the default is.
    for (const attribute of attributes) if (attribute.prefix !== '') need(attribute.prefix)
    for (const name of inclusive) if (scope[name] !== undefined) need(name)
    undo.push(made)
    if (!made) return ''
    return made
      .map(([name]) => name)
      .sort(byUnits)
      .map((name) => ` xmlns${name && ':'}${name}="${escapeValue(declared.get(name) ?? '')}"`)
      .join('')
  }

  return {
    open(tag) {
      out += `<${tag.name}${declare(tag)}`
      const { attributes } = tag
      if (attributes.length > 1) for (const each of [...attributes].sort(byName)) out += written(each)
      else if (attributes.length === 1) out += written(attributes[0]!)
      out += '>'
    },
    text(text) {
      out += escapeText(text)
    },
    close(tag) {
      out += `</${tag.name}>`
      for (const [prefix, before] of undo.pop() ?? [])
        if (before === undefined) declared.delete(prefix)
        else declared.set(prefix, before)
      if (out.length < PIECE && undo.length > 0) return
      write(out)
      out = ''
    },
    instruction(target, body) {
      out += `<?${target}${body && ' '}${body}?>`
    },
  }
}

const written = ({ name, value }: Attribute) => ` ${name}="${escapeValue(value)}"`

const byUnits = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0)
/** Attributes in no name space come first; then by name space, then by local name. */
const byName = (one: Attribute, other: Attribute) => byUnits(one.uri, other.uri) || byUnits(one.local, other.local)

function escapeText(text: string): string {
  if (!/[&<>\r]/.test(text)) return text
  return text.replace(amp, '&amp;').replace(less, '&lt;').replace(greater, '&gt;').replace(/\r/g, '&#xD;')
}

function escapeValue(value: string): string {
  if (!/[&<"\t\n\r]/.test(value)) return value
  return value
    .replace(amp, '&amp;')
    .replace(less, '&lt;')
    .replace(/"/g, '&quot;')
    .replace(/\t/g, '&#x9;')
    .replace(/\n/g, '&#xA;')
    .replace(/\r/g, '&#xD;')
}
