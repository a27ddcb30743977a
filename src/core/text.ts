/**
 * Texts with holes. Everything is parsed once, when the rules are compiled; what a claim contributes later is a literal
 * and never parsed (law 16).
 */

/** A literal run, or the name of a hole. */
export type Part = string | { readonly hole: string }

/** Values longer than this fit no pattern and no expression. */
export const LONGEST_VALUE = 4096

const holeName = /^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)?$/

/** A text's parts, neighbours merged; `<<` is a literal `<`. An error is a sentence for the operator. */
export function parseText(text: string): readonly Part[] | { readonly error: string } {
  const parts: Part[] = []
  for (const [token, hole] of text.matchAll(/<<|<([^<>]*)>|[^<]+|</g)) {
    if (token === '<') return { error: `\`${text}\` opens a hole with < and does not close it; write << for a plain <` }
    if (hole === undefined) parts.push(token === '<<' ? '<' : token)
    else if (holeName.test(hole)) parts.push({ hole })
    else return { error: `<${hole}> is not a name in \`${text}\`; write << for a plain <` }
  }
  return merged(parts)
}

/** The parts of a text that was checked before; a text that cannot be parsed stands for itself. */
export function partsOf(text: string): readonly Part[] {
  const parsed = parseText(text)
  return 'error' in parsed ? [text] : parsed
}

/** The names of the holes. */
export function holesOf(parts: readonly Part[]): readonly string[] {
  return parts.flatMap((part) => (typeof part === 'string' ? [] : [part.hole]))
}

/** Fills the holes that are known when the rules are compiled: vars and the tenant's id. */
export function resolve(parts: readonly Part[], constants: ReadonlyMap<string, string>): readonly Part[] {
  return merged(parts.map((part) => (typeof part === 'string' ? part : (constants.get(part.hole) ?? part))))
}

/** The text, where no hole is left. */
export function literalOf(parts: readonly Part[]): string | undefined {
  if (parts.length === 0) return ''
  return parts.length === 1 && typeof parts[0] === 'string' ? parts[0] : undefined
}

function merged(parts: readonly Part[]): readonly Part[] {
  const out: Part[] = []
  for (const part of parts) {
    const last = out.at(-1)
    if (typeof part === 'string' && typeof last === 'string') out[out.length - 1] = last + part
    else if (part !== '') out.push(part)
  }
  return out
}

/** ASCII letters in lower case and nothing else: no letter of another alphabet becomes one of ours. */
export function fold(text: string): string {
  return text.replace(/[A-Z]+/g, (run) => run.toLowerCase())
}

/** A pattern: the literals around its holes (one more than holes), and the slot that each hole fills, -1 for none. */
export interface Runs {
  readonly literals: readonly string[]
  readonly slots: readonly number[]
}

/** Cuts resolved parts into runs; undefined where two holes touch, so that nobody could say where one ends. */
export function runsOf(parts: readonly Part[], slotOf: (hole: string) => number): Runs | undefined {
  const literals = ['']
  const slots: number[] = []
  for (const part of parts) {
    if (typeof part === 'string') literals[literals.length - 1] += part
    else {
      if (slots.length > 0 && literals.at(-1) === '') return undefined
      slots.push(slotOf(part.hole))
      literals.push('')
    }
  }
  return { literals, slots }
}

/**
 * Whether the whole value fits, writing what the holes caught to `caught`. A hole catches one or more characters without
 * `/`, `:` or the literal that follows it, so that there is one reading of a value at most. Linear, never backtracks.
 */
export function fits(runs: Runs, value: string, caught: string[]): boolean {
  const { literals, slots } = runs
  const first = literals[0] ?? ''
  if (value.length > LONGEST_VALUE || !value.startsWith(first)) return false
  let at = first.length
  for (let i = 0; i < slots.length; i++) {
    const next = literals[i + 1] ?? ''
    const end = next === '' ? value.length : value.indexOf(next, at)
    if (end <= at || crosses(value, at, end)) return false
    const slot = slots[i] ?? -1
    if (slot >= 0) caught[slot] = value.slice(at, end)
    at = end + next.length
  }
  return at === value.length
}

function crosses(value: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const code = value.charCodeAt(i)
    if (code === 47 || code === 58) return true
  }
  return false
}

/** Whether a text fits literals with any text between each two of them. Linear in both. */
export function fitsGlob(literals: readonly string[], text: string): boolean {
  const first = literals[0] ?? ''
  if (literals.length === 1) return text === first
  const last = literals.at(-1) ?? ''
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false
  let at = first.length
  for (const literal of literals.slice(1, -1)) {
    const found = text.indexOf(literal, at)
    if (found < 0) return false
    at = found + literal.length
  }
  return at <= text.length - last.length
}

/** A configured glob without holes. */
export function globMatcher(glob: string): (text: string) => boolean {
  const literals = glob.split('*')
  return (text) => fitsGlob(literals, text)
}

/** Why a filled text is no name anywhere: empty, longer than 255, control characters, half a surrogate pair. */
export function badName(text: string): string | undefined {
  if (text === '') return 'the name is empty'
  if (text.length > 255) return `the name has ${text.length} characters, 255 is the most`
  for (let i = 0; i < text.length; i++) if (controls(text.charCodeAt(i))) return 'the name holds a control character'
  return text.isWellFormed() ? undefined : 'the name is not well-formed Unicode'
}

/** C0, DEL, C1, line and paragraph separators, and the marks that turn the direction of writing. */
function controls(code: number): boolean {
  if (code < 127) return code < 32
  if (code < 160) return true
  return (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)
}
