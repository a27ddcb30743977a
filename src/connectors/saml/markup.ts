/** A piece of XML that is well-formed by construction: `xml` escapes every text that is put into it. */
export interface Xml {
  readonly text: string
}

type Part = string | Xml | undefined | readonly (Xml | undefined)[]

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
// Characters that XML 1.0 cannot say at all (2.2) are left out; line ends and tabs would not survive in an attribute as they are (3.3.3).
const unsayable = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu

/** A text for an element or an attribute in double quotes. */
function escapeXml(text: string): string {
  const escaped = text
    .toWellFormed()
    .replace(unsayable, '')
    .replace(/[&<>"]/g, (one) => entities[one] ?? '')
  return escaped.replace(/[\t\n\r]/g, (one) => `&#${one.charCodeAt(0)};`)
}

const textOf = (part: Part): string => {
  if (part === undefined) return ''
  if (typeof part === 'string') return escapeXml(part)
  return 'text' in part ? part.text : part.map((each) => each?.text ?? '').join('')
}

/** Markup as it stands, with texts escaped in its holes; a hole of undefined is empty. */
export function xml(markup: readonly string[], ...holes: readonly Part[]): Xml {
  return { text: markup.map((piece, index) => piece + textOf(holes[index])).join('') }
}

/** An attribute with a space before it; nothing where there is no value. */
export function attribute(name: string, value: string | undefined): Xml {
  return { text: value === undefined ? '' : ` ${name}="${escapeXml(value)}"` }
}
