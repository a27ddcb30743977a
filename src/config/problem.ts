/** Where in a configuration something stands: keys and list positions from the top. */
export type Path = readonly (string | number)[]

/** One mistake, and what to write instead. Never holds a secret's text. */
export interface Problem {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 1. */
  readonly column: number
  readonly path: Path
  readonly message: string
}

/** `clients[0].redirectUris[1]`: the path as people write it. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`
    if (/^[\w-]+$/.test(step)) return text === '' ? step : `${text}.${step}`
    return `${text}[${JSON.stringify(step)}]`
  }, '')
}

/** One line for one problem: `file:line:column path: what is wrong, what to write instead`. */
export function problemText({ file, line, column, path, message }: Problem): string {
  const where = path.length > 0 ? ` ${pathText(path)}` : ''
  return `${file}:${line}:${column}${where}: ${message.replaceAll(/\s*\n\s*/g, ' ')}`
}

/** In file order, each once; files in the order of `files`. */
export function inFileOrder(problems: readonly Problem[], files: readonly string[]): readonly Problem[] {
  const unique = new Map(problems.map((problem) => [problemText(problem), problem]))
  return [...unique.values()].sort(
    (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
  )
}
