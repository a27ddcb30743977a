import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { isDeepStrictEqual } from 'node:util'
import { re2 } from '../../../src/regex.ts'
import { evaluate } from '../../../src/targets/keystone/simulate/evaluate.ts'
import type { Mapped, Outcome, Release } from '../../../src/targets/keystone/simulate/rules.ts'
import { searchBy } from '../../support/python-search.ts'
import type { Pair } from './agreement-world.ts'

/** A Python that has a Keystone. */
export interface Interpreter {
  readonly name: string
  readonly python: string
  /** Of its Keystone. */
  readonly version: string
}

/** The release whose engine a version has: schemas came with 25.0.0. */
export const releaseOf = ({ version }: Interpreter): Release => (Number.parseInt(version, 10) < 25 ? '22' : '30')

/** What Keystone's own engine answered. */
interface Answer {
  readonly mapped?: Mapped
  readonly error?: string
  /** Whether its schema for mappings would have let this one in. */
  readonly allowed: boolean
}

export interface Disagreement extends Pair {
  readonly keystone: unknown
  readonly simulator: unknown
}

export interface Agreement {
  readonly name: string
  readonly version: string
  readonly compared: number
  /** Of these how many Keystone mapped, and how many it refused, by class of error. */
  readonly mapped: number
  readonly errors: Readonly<Record<string, number>>
  /** Pairs about which the simulator says that it does not know. */
  readonly notCovered: number
  /** Mappings that Keystone's schema would have refused before: compared all the same. */
  readonly notAllowed: number
  readonly disagreements: readonly Disagreement[]
}

/** Asks Keystone's own engine about every pair, in one process. */
async function answers({ python }: Interpreter, pairs: readonly Pair[]) {
  const child = spawn(python, [join(import.meta.dirname, 'agreement.py')], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: unknown[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)))
  child.stdin.end(pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(''))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0 || lines.length !== pairs.length + 1) {
    throw new Error(`${python} ended with ${code} after ${lines.length} of ${pairs.length + 1} lines`)
  }
  const [{ keystone }, ...rest] = lines as [{ keystone: string }, ...Answer[]]
  return { version: keystone, answers: rest }
}

/** The ids of groups are a set, so they come in any order. */
function comparable(mapped: Mapped): unknown {
  const ids = mapped.group_ids.map((id) => JSON.stringify(id)).sort()
  return JSON.parse(JSON.stringify({ ...mapped, group_ids: ids }))
}

const seen = (outcome: Outcome) =>
  outcome.kind === 'mapped' ? comparable(outcome.mapped) : outcome.kind === 'refused' ? outcome.error : undefined

/** Keystone's engine and the simulator side by side, for every pair, exactly: the same properties, or the same class of error. */
export async function agree(interpreter: Interpreter, pairs: readonly Pair[]): Promise<Agreement> {
  const asked = await answers(interpreter, pairs)
  const engine = { release: releaseOf(interpreter), search: searchBy(re2) }
  const errors: Record<string, number> = {}
  const disagreements: Disagreement[] = []
  let [mapped, notCovered] = [0, 0]
  for (const [at, answer] of asked.answers.entries()) {
    const pair = pairs[at] as Pair
    if (answer.error === undefined) mapped += 1
    else errors[answer.error] = (errors[answer.error] ?? 0) + 1
    const simulator = seen(evaluate(pair.mapping, pair.environment, engine))
    const keystone = answer.mapped === undefined ? answer.error : comparable(answer.mapped)
    if (simulator === undefined) notCovered += 1
    else if (!isDeepStrictEqual(simulator, keystone)) disagreements.push({ ...pair, keystone, simulator })
  }
  const notAllowed = asked.answers.filter(({ allowed }) => !allowed).length
  const { name } = interpreter
  return {
    name,
    version: asked.version,
    compared: pairs.length - notCovered,
    mapped,
    errors,
    notCovered,
    notAllowed,
    disagreements,
  }
}
