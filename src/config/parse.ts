import type { z } from 'zod'
import type { Path } from './problem.ts'
import { type Finding, findingsOf } from './say.ts'

/** What a schema made of a file, and as much of it as can be used to look for further mistakes. */
export interface Parsed<T> {
  readonly findings: readonly Finding[]
  /** Complete where there are no findings; otherwise without the entries that have one. Undefined where nothing is left. */
  readonly value: T | undefined
  /** Top-level keys of which something was left out. */
  readonly incomplete: ReadonlySet<string>
  /** The path in the file for a path in `value`, whose lists may be shorter. */
  readonly original: (path: Path) => Path
}

type Tree = Record<string, unknown>

/**
 * Reads a value; after a mistake the rest is read too, so that all mistakes are known at once.
 * @param stand what takes the place of required top-level keys that are wrong
 */
export function parse<T>(schema: z.ZodType<T>, value: unknown, stand: Readonly<Tree> = {}): Parsed<T> {
  const first = schema.safeParse(value)
  if (first.success) return { findings: [], value: first.data, incomplete: new Set(), original: (path) => path }
  const findings = withoutEchoes(findingsOf(schema, value, first.error.issues))
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { findings, value: undefined, incomplete: new Set(), original: (path) => path }
  }
  const pruned = prune(value as Tree, findings)
  const rest = schema.safeParse({ ...stand, ...pruned.tree })
  return {
    findings,
    value: rest.success ? rest.data : undefined,
    incomplete: new Set(pruned.incomplete),
    original: ([top, index, ...more]) => {
      if (top === undefined || index === undefined) return top === undefined ? [] : [top]
      const kept = typeof index === 'number' ? pruned.kept.get(String(top))?.[index] : undefined
      return [top, kept ?? index, ...more]
    },
  }
}

/** A mistyped key is one mistake: not an unknown key, a missing one, and a whole that lacks something. */
function withoutEchoes(findings: readonly Finding[]): readonly Finding[] {
  const mistyped = findings.filter(({ meant }) => meant !== undefined)
  const echoes = new Set(
    mistyped.flatMap(({ path, meant }) => {
      const parent = path.slice(0, -1)
      return [JSON.stringify([...parent, meant]), JSON.stringify(parent)]
    }),
  )
  return findings.filter(({ path, unknown }) => unknown || !echoes.has(JSON.stringify(path)))
}

function prune(value: Readonly<Tree>, findings: readonly Finding[]) {
  const tree = structuredClone(value) as Tree
  // An unknown key is simply taken out, unless a known one was meant by it: then something is missing, too.
  const isSurplus = ({ path, unknown, meant }: Finding) =>
    unknown === true && (meant === undefined || path.length === 1)
  const incomplete = findings.flatMap((each) =>
    isSurplus(each) || each.path[0] === undefined ? [] : [String(each.path[0])],
  )
  for (const each of findings) if (isSurplus(each)) remove(tree, each.path)
  const kept = new Map<string, readonly number[]>()
  for (const key of new Set(incomplete)) {
    const list = tree[key]
    const bad = findings.flatMap((each) => (each.path[0] === key && !isSurplus(each) ? [each.path[1]] : []))
    if (!Array.isArray(list) || bad.some((index) => typeof index !== 'number')) {
      delete tree[key]
      continue
    }
    const indexes = list.map((_, index) => index).filter((index) => !bad.includes(index))
    kept.set(key, indexes)
    tree[key] = indexes.map((index) => list[index] as unknown)
  }
  return { tree, kept, incomplete }
}

function remove(tree: Tree, path: Path): void {
  const parent = path.slice(0, -1).reduce<unknown>((node, step) => (node as Tree | undefined)?.[step], tree)
  const key = path.at(-1)
  if (typeof parent === 'object' && parent !== null && key !== undefined) delete (parent as Tree)[key]
}
