import { RE2JS } from 're2js'
import type { RegexEngine } from './core/policy.ts'

/** Instructions of a compiled expression: more is a bomb such as `((a{100}){100}){100}` or a list that belongs in a table. */
const LARGEST = 2000

/** Expressions in linear time (RE2), always over the whole text; no back references, no look-around (law 11). */
export const re2: RegexEngine = {
  compile(source, largest = LARGEST) {
    const pattern = RE2JS.compile(source)
    if (pattern.programSize() > largest) throw new Error('too large; use a table or a pattern')
    const names = Object.keys(pattern.namedGroups())
    return {
      names,
      match(text) {
        // Without groups the automaton alone answers, in a fifth of the time.
        const groups: Record<string, string> = {}
        if (names.length === 0) return pattern.testExact(text) ? groups : undefined
        const matcher = pattern.matcher(text)
        if (!matcher.matches()) return undefined
        for (const name of names) groups[name] = matcher.group(name) ?? ''
        return groups
      },
    }
  },
}
