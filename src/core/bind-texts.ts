import type { Facts } from './facts.ts'
import { requiredLiterals } from './literals.ts'
import type { CompiledRegex } from './policy.ts'
import type { Lookup, Text } from './rule.ts'
import type { Scope } from './scope.ts'
import { fits, LONGEST_VALUE, literalOf, partsOf, resolve, runsOf } from './text.ts'

/** What one round of `each` caught, by slot. */
export type Caught = readonly string[]

/** Tables as maps: a key such as `constructor` is a key like any other. */
export type TableMaps = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>

/** What binding needs beside the rule and its scope. */
export interface Binder {
  readonly tables: TableMaps
  readonly ranks: ReadonlyMap<string, number>
  /** A compiled expression; the same one for the same source. */
  regex(source: string): CompiledRegex
}

/** Something that depends on the person and on what the round caught. */
export type Filled<T> = (facts: Facts, caught: Caught) => T

/** What the texts of one rule are bound against. */
export interface Env extends Binder {
  readonly constants: Scope['constants']
  readonly slots: ReadonlyMap<string, number>
}

/** What fills a hole that no constant fills. */
export function bindHole(hole: string, env: Env): Filled<string> {
  const slot = env.slots.get(hole)
  if (slot !== undefined) return (_, caught) => caught[slot] ?? ''
  if (hole === 'subject') return (facts) => facts.person
  if (hole === 'subject.short') return (facts) => facts.short()
  return hole === 'space' ? (facts) => facts.space : () => ''
}

/** A text with its holes filled. */
export function bindTemplate(text: string, env: Env): Filled<string> {
  const parts = resolve(partsOf(text), env.constants)
  const literal = literalOf(parts)
  if (literal !== undefined) return () => literal
  const fills = parts.map((part) => (typeof part === 'string' ? () => part : bindHole(part.hole, env)))
  return (facts, caught) => {
    let out = ''
    for (const fill of fills) out += fill(facts, caught)
    return out
  }
}

/** What a table holds under a filled key; nothing where it lacks it. */
export function bindLookup({ lookup, key }: Lookup, env: Env): Filled<readonly string[]> {
  const table = env.tables.get(lookup)
  const keyOf = bindTemplate(key, env)
  return (facts, caught) => {
    const text = keyOf(facts, caught)
    const found = table?.get(text)
    if (found === undefined) facts.misses?.push({ table: lookup, key: text })
    return found ?? []
  }
}

/** A text or a lookup; a lookup may find several texts or none. */
export function bindText(text: Text, env: Env): Filled<readonly string[]> {
  if (typeof text !== 'string') return bindLookup(text, env)
  const literal = literalOf(resolve(partsOf(text), env.constants))
  if (literal !== undefined) {
    const always = [literal]
    return () => always
  }
  const fill = bindTemplate(text, env)
  return (facts, caught) => [fill(facts, caught)]
}

/** What a value's holes caught, by slot; undefined where it does not fit. `caught` is what other fields caught before. */
export type Catches = (value: string, caught?: string[]) => string[] | undefined

/** No folding: case matters. */
export const plain = (text: string) => text

/** A pattern that catches. @param same how its literals are folded */
export function bindPattern(pattern: string, env: Env, same = plain): Catches {
  const parts = resolve(partsOf(pattern), env.constants).map((part) => (typeof part === 'string' ? same(part) : part))
  const runs = runsOf(parts, (hole) => env.slots.get(hole) ?? -1)
  const first = runs?.literals[0] ?? ''
  // Siblings share the beginning of their first literal, not its end: one character tells most of them apart.
  const at = first.length - 1
  const last = first.charCodeAt(at)
  return (value, caught) => {
    if (runs === undefined || (at >= 0 && value.charCodeAt(at) !== last)) return undefined
    const out = caught ?? []
    return fits(runs, value, out) ? out : undefined
  }
}

/** An expression that catches, with a cheap first look at its literals. */
export function bindRegex(source: string, env: Env): Catches {
  const regex = env.regex(source)
  const needed = requiredLiterals(source)
  const slots = regex.names.map((name) => [name, env.slots.get(name) ?? -1] as const)
  return (value, caught) => {
    if (value.length > LONGEST_VALUE || !needed.every((literal) => value.includes(literal))) return undefined
    const groups = regex.match(value)
    if (groups === undefined) return undefined
    const out = caught ?? []
    for (const [name, slot] of slots) if (slot >= 0) out[slot] = groups[name] ?? ''
    return out
  }
}
