import { empty, type State, step, textOf } from './model.ts'
import { type Operation, told } from './operation.ts'

/** One way in which things may have happened up to a moment. */
interface Way {
  readonly state: State
  /** Operations that are under way and have happened already. */
  readonly happened: ReadonlySet<number>
}

type Moment = readonly [at: number, what: 'start' | 'end' | 'over', operation: number]

/** At equal times what begins comes before what ends: their order is not known, so they count as simultaneous. */
const order = { start: 0, end: 1, over: 2 }

/**
 * Whether a history can be explained: every operation with an answer happened at one moment between its call and its answer, one after
 * another, by the model; one without may have happened at any moment from its call on, or never (linearizability, Herlihy and Wing 1990; the
 * search keeps all ways at once, Lowe 2017).
 * @returns the operation whose answer nothing explains, with what went before; undefined where all is well
 */
export function unexplained(operations: readonly Operation[]): string | undefined {
  const open = new Set<number>()
  let ways = keyed([{ state: empty, happened: new Set() }])
  for (const [, what, index] of momentsOf(operations)) {
    if (what === 'start') open.add(index)
    else {
      // Without an answer both is possible; one that has an answer has happened.
      const without = what === 'end' ? [] : [...ways.values()]
      const before = [...without, ...happeningBy(ways, index, operations, open).values()]
      open.delete(index)
      ways = keyed(before.map((way) => ({ ...way, happened: minus(way.happened, index) })))
      if (ways.size === 0) return report(operations, index)
    }
  }
  return undefined
}

function momentsOf(operations: readonly Operation[]): readonly Moment[] {
  const moments = operations.flatMap(({ start, end, over }, index): Moment[] => [
    [start, 'start', index],
    ...(end === undefined ? [] : [[end, 'end', index] as const]),
    ...(end === undefined && over !== undefined ? [[over, 'over', index] as const] : []),
  ])
  return moments.sort(([one, a], [other, b]) => one - other || order[a] - order[b])
}

/** Some dozen calls at once: a history with more of them says too little. */
const MOST = 200_000

const keyed = (ways: readonly Way[]) =>
  new Map(ways.map((way) => [`${textOf(way.state)} ${[...way.happened].sort((a, b) => a - b)}`, way]))

function minus(set: ReadonlySet<number>, one: number): ReadonlySet<number> {
  const rest = new Set(set)
  rest.delete(one)
  return rest
}

/** All ways in which an operation has happened, with whatever of the others that are under way may have happened before it. */
function happeningBy(
  ways: ReadonlyMap<string, Way>,
  index: number,
  operations: readonly Operation[],
  open: ReadonlySet<number>,
): ReadonlyMap<string, Way> {
  const done = new Map<string, Way>()
  const seen = new Set(ways.keys())
  const left = [...ways]
  for (let next = left.pop(); next; next = left.pop()) {
    const [key, way] = next
    if (way.happened.has(index)) {
      done.set(key, way)
      continue
    }
    for (const [other, found] of keyed([...open].flatMap((one) => happened(way, one, operations)))) {
      if (seen.has(other)) continue
      seen.add(other)
      if (seen.size > MOST) throw new Error(`more than ${MOST} ways to explain ${told(operations[index] as Operation)}`)
      left.push([other, found])
    }
  }
  return done
}

function happened(way: Way, one: number, operations: readonly Operation[]): readonly Way[] {
  const operation = operations[one]
  if (!operation || way.happened.has(one)) return []
  const states = step(way.state, operation)
  // What nobody was told of and changes nothing is as if it had not happened.
  const told = operation.end === undefined ? states.filter((state) => textOf(state) !== textOf(way.state)) : states
  return told.map((state) => ({ state, happened: new Set([...way.happened, one]) }))
}

function report(operations: readonly Operation[], index: number): string {
  const wrong = operations[index] as Operation
  const before = operations.filter(({ start }) => start <= (wrong.end ?? Infinity)).sort((a, b) => a.start - b.start)
  return [`nothing explains: ${told(wrong)}`, 'what went before:', ...before.map(told)].join('\n')
}
