/** Markup that may stand in a document as it is: made by `html` or vouched for by `trusted`. */
export interface Html {
  readonly [markup]: string
}

const markup = Symbol('markup')

export type Value = string | number | undefined | Html | readonly (Html | undefined)[]

/** Where in the markup a value stands; decides how it is written. */
type Slot = 'text' | 'attribute' | 'url' | 'raw'

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '\r': '&#13;',
  '\n': '&#10;',
}

// Control characters do nothing good in a page, and direction overrides make a name read as another.
const unprintable = /(?![\t\n])[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** Text as HTML text; control and direction characters become U+FFFD. */
export function escapeText(text: string): string {
  return text.replace(unprintable, '\ufffd').replace(/[&<>"']/g, (char) => entities[char] ?? char)
}

/** Text as a quoted attribute value, character by character what it was: the value of a hidden field must arrive unchanged. */
export function escapeAttribute(text: string): string {
  return text.replace(/[&<>"'\r\n]/g, (char) => entities[char] ?? char)
}

/**
 * The URL itself where it is relative, http or https, otherwise `about:invalid`. Read by the WHATWG parser, which drops
 * tabs and newlines as browsers do: `java\tscript:` is seen for what it is.
 */
export function safeUrl(url: string): string {
  const base = 'https://relative.invalid/'
  if (!URL.canParse(url, base)) return 'about:invalid'
  const { protocol } = new URL(url, base)
  return protocol === 'https:' || protocol === 'http:' ? url : 'about:invalid'
}

/** Schemes by which a browser runs something itself, or shows what a link holds or a disk has. */
const browsersOwn = /^(?:javascript|vbscript|data|blob|file|filesystem|about|view-source|ftp):/i

/**
 * A link that opens a program of the person's device, by a scheme of its own or by https; `about:invalid` where it would be anything else.
 * @param kind of the look, as a class
 */
export function appLink(href: string, text: string, kind: string): Html {
  const fine = /^[a-z][a-z0-9+.-]*:\/\/[\x21-\x7e]*$/.test(href) && !browsersOwn.test(href)
  const attributes = `class="${escapeAttribute(kind)}" href="${escapeAttribute(fine ? href : 'about:invalid')}"`
  return { [markup]: `<a ${attributes}>${escapeText(text)}</a>` }
}

/** Markup that was not made by `html`: for the constants of this folder (style sheet, script), never for input. */
export function trusted(constant: string): Html {
  return { [markup]: constant }
}

/**
 * A template whose values are escaped by the place in which they stand. Strings and numbers are escaped; `undefined` is
 * nothing; markup made by `html` goes in as it is, but only between tags. A URL attribute takes one whole value, which
 * `safeUrl` has checked. `<style>` and `<script>` take trusted constants only.
 * @throws TypeError where a template puts a value into a place that cannot be made safe (unquoted, `style=`, `on…=`,
 * part of a URL attribute, a tag's name): a mistake in the page, whatever the value is
 */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  const slots = slotsOf(strings)
  let out = strings[0] ?? ''
  values.forEach((value, index) => {
    out += written(value, slots[index] ?? 'attribute') + (strings[index + 1] ?? '')
  })
  return { [markup]: out }
}

/** The markup as text, for a response body. */
export function render(page: Html): string {
  return page[markup]
}

function written(value: Value, slot: Slot): string {
  if (value === undefined) return ''
  if (typeof value === 'object') {
    if (slot === 'attribute' || slot === 'url') throw new TypeError('markup cannot stand in an attribute')
    if (!isHtml(value)) return value.map((part) => (part === undefined ? '' : part[markup])).join('')
    return value[markup]
  }
  if (slot === 'raw') throw new TypeError('text cannot stand in a script or style element')
  if (slot === 'text') return escapeText(String(value))
  return escapeAttribute(slot === 'url' ? safeUrl(String(value)) : String(value))
}

function isHtml(value: Html | readonly (Html | undefined)[]): value is Html {
  return markup in value
}

const known = new WeakMap<TemplateStringsArray, readonly Slot[]>()

function slotsOf(strings: TemplateStringsArray): readonly Slot[] {
  const seen = known.get(strings)
  if (seen) return seen
  const slots = strings
    .slice(1)
    .map((_, index) => slotAfter(strings.slice(0, index + 1).join('\u0000'), strings[index + 1]))
  known.set(strings, slots)
  return slots
}

const urlAttributes = new Set(['href', 'action', 'src', 'formaction', 'cite', 'poster', 'data', 'srcset', 'ping'])

/** Which slot follows the markup `before` (earlier values are U+0000 there), and is closed by `after`. */
function slotAfter(before: string, after = ''): Slot {
  const raw = /<(script|style)\b[^>]*>[^<]*$/i.test(before)
  if (raw) return 'raw'
  const openTag = /<[^<>]*$/.exec(before.replace(/"[^"<]*"/g, '""'))?.[0]
  if (openTag === undefined) return 'text'
  const attribute = /\s([a-z][a-z0-9-]*)="([^"]*)$/i.exec(openTag)
  const name = attribute?.[1]?.toLowerCase()
  if (!attribute || name === undefined || name === 'style' || name.startsWith('on')) {
    throw new TypeError(`a value cannot stand here: ${openTag.slice(-40)}`)
  }
  if (!urlAttributes.has(name)) return 'attribute'
  if (attribute[2] !== '' || !after.startsWith('"')) throw new TypeError(`${name} takes one whole value`)
  return 'url'
}
