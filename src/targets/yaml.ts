import { yamlText } from './quote.ts'

/** What YAML is written from; a key without a value is left out. */
export type Yaml = string | number | boolean | readonly Yaml[] | { readonly [key: string]: Yaml | undefined }

/** Block style, the same for YAML 1.1 and 1.2: plain words, everything else quoted, texts of several lines as blocks. Ends with a line end. */
export function yamlOf(value: Yaml): string {
  return isLeaf(value) ? `${leaf(value, '')}\n` : lines(value, '').join('\n').concat('\n')
}

/** Several documents of one file. */
export const yamlDocuments = (values: readonly Yaml[]): string => values.map(yamlOf).join('---\n')

type Leaf = string | number | boolean
type Tree = Exclude<Yaml, Leaf>

function isLeaf(value: Yaml): value is Leaf {
  return typeof value !== 'object' || Object.values(value).every((each) => each === undefined)
}

function lines(value: Tree, indent: string): readonly string[] {
  if (isList(value)) {
    return value.flatMap((item) => {
      if (isLeaf(item)) return [`${indent}- ${leaf(item, `${indent}  `)}`]
      const [first = '', ...rest] = lines(item as Tree, `${indent}  `)
      return [`${indent}- ${first.slice(indent.length + 2)}`, ...rest]
    })
  }
  return Object.entries(value).flatMap(([key, item]) => {
    if (item === undefined) return []
    const head = `${indent}${word(key)}:`
    if (isLeaf(item)) return [`${head} ${leaf(item, `${indent}  `)}`]
    return [head, ...lines(item as Tree, `${indent}  `)]
  })
}

const isList = (value: Yaml): value is readonly Yaml[] => Array.isArray(value)

function leaf(value: Leaf | Tree, indent: string): string {
  if (typeof value === 'string') return isBlock(value) ? block(value, indent) : word(value)
  return typeof value === 'object' ? (isList(value) ? '[]' : '{}') : String(value)
}

/** Whether a text can stand line by line: printable, one line end at the end, no blank at a line's end that nobody would see. */
const isBlock = (text: string) =>
  /^[\x21-\x7e][^\n]*\n/.test(text) && /^(?:[\x20-\x7e]*[\x21-\x7e]\n|\n)+$/.test(text) && !text.endsWith('\n\n')

const block = (text: string, indent: string) =>
  `|\n${text
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? '' : indent + line))
    .join('\n')}`

/** Words that YAML 1.1 takes for something else than text. */
const meant = /^(?:y|n|yes|no|on|off|true|false|null)$/i

const word = (text: string) => (/^[A-Za-z][\w./-]*$/.test(text) && !meant.test(text) ? text : yamlText(text))
