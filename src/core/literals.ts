/**
 * The literal runs that every match of a regular expression must hold, for the index and as a cheap first look. Only runs
 * at the top level are found: what stands in groups, classes or alternatives is passed over, which is safe (fewer runs
 * mean more candidates, never fewer). Where in doubt, none.
 */
export function requiredLiterals(source: string): readonly string[] {
  if (/\(\?[a-zA-Z]*[imsUx]|\\[QE]/.test(source)) return []
  const runs: string[] = []
  let run = ''
  const flush = () => {
    if (run !== '') runs.push(run)
    run = ''
  }
  for (let at = 0; at < source.length; ) {
    const atom = nextAtom(source, at)
    if (atom === undefined || atom.kind === 'or') return []
    const after = source.slice(atom.end)
    const counted = /^(?:[*?]|\{[0-9,]*\})\??/.exec(after)
    const plus = /^\+\??/.exec(after)
    if (atom.kind !== 'char' || counted) flush()
    else run += atom.text
    if (plus) flush()
    at = atom.end + (counted ?? plus ?? [''])[0].length
  }
  flush()
  return runs
}

type Atom = { readonly kind: 'char' | 'other' | 'or'; readonly text: string; readonly end: number }

function nextAtom(source: string, at: number): Atom | undefined {
  const char = String.fromCodePoint(source.codePointAt(at) ?? 0)
  const end = at + char.length
  if (char === '|') return { kind: 'or', text: '', end }
  if (char === '.' || char === '^' || char === '$') return { kind: 'other', text: '', end }
  if (char === '\\') {
    const next = source[end]
    if (next === undefined) return undefined
    if (/[^A-Za-z0-9]/.test(next)) return { kind: 'char', text: next, end: end + 1 }
    return /[dDsSwWbBAz]/.test(next) ? { kind: 'other', text: '', end: end + 1 } : undefined
  }
  if (char === '[' || char === '(') {
    const close = char === '[' ? endOfClass(source, at) : endOfGroup(source, at)
    return close === undefined ? undefined : { kind: 'other', text: '', end: close }
  }
  return /[)\]{}*+?]/.test(char) ? undefined : { kind: 'char', text: char, end }
}

function endOfClass(source: string, at: number): number | undefined {
  let i = at + 1
  if (source[i] === '^') i++
  if (source[i] === ']') i++
  for (; i < source.length; i++) {
    if (source[i] === '\\') i++
    else if (source[i] === '[') return undefined
    else if (source[i] === ']') return i + 1
  }
  return undefined
}

function endOfGroup(source: string, at: number): number | undefined {
  let depth = 0
  for (let i = at; i < source.length; i++) {
    const char = source[i]
    if (char === '\\') i++
    else if (char === '[') {
      const end = endOfClass(source, i)
      if (end === undefined) return undefined
      i = end - 1
    } else if (char === '(') depth++
    else if (char === ')' && --depth === 0) return i + 1
  }
  return undefined
}
