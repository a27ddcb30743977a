import type { Clock } from '../core/ports.ts'
import type { Live } from '../targets/live.ts'
import type { Standing } from './standing.ts'
import type { LeasePorts } from './world.ts'

/** Somebody behind whom a proof stands, by a connector of its own limits. */
export type Person = Pick<Standing, 'sub' | 'connector'>

/**
 * Stops changed rules, or claims that are suddenly empty, from taking much from many at once at one target. What ends because its proof
 * has ended is never asked about here. Each connector is counted for itself: whoever steers an upstream, or a tenant's rules, holds up
 * nothing for people of another one.
 */
export interface Guard {
  /**
   * Of whom a pass may not take; nothing is taken from people of their connectors until a pass may again.
   * @param accounts everybody whom the gateway keeps there, by connector
   */
  pass(people: readonly Person[], accounts: ReadonlyMap<string, number>): ReadonlySet<string>
  /** Whether one more may lose something now, between two passes. */
  one(person: Person): boolean
  /** Whether the last pass may not. */
  holding(person: Person): boolean
}

interface Counted {
  /** Whoever lost something lately, and when; Unix seconds. */
  readonly lately: Map<string, number>
  held: boolean
  /** As many accounts as the last pass found. */
  known: number
}

/**
 * @param limits asked anew at each use: a reload may change them
 * @param processes how many have a guard of their own: between two passes each lets so many a part of the whole lose something
 */
export function openGuard(
  now: Clock,
  limits: () => Pick<Live, 'every' | 'atOnce'>,
  processes: () => number = () => 1,
): Guard {
  const all = new Map<string, Counted>()
  const of = ({ connector = '' }: Pick<Person, 'connector'>): Counted => {
    const known = all.get(connector) ?? { lately: new Map(), held: false, known: 0 }
    all.set(connector, known)
    return known
  }
  const admit = ({ lately, known }: Counted, subs: readonly string[], among: number): boolean => {
    const { every, atOnce } = limits()
    for (const [sub, at] of lately) if (at <= now() - every) lately.delete(sub)
    const whole = Math.max(atOnce.accounts, Math.floor((atOnce.percent * known) / 100))
    const most = Math.max(Math.min(whole, 1), Math.floor(whole / among))
    if (subs.length > 0 && new Set([...lately.keys(), ...subs]).size > most) return false
    for (const sub of subs) lately.set(sub, now())
    return true
  }

  return {
    pass(people, accounts) {
      const bySource = Map.groupBy(people, ({ connector }) => connector ?? '')
      const held = new Set<string>()
      for (const connector of new Set([...all.keys(), ...accounts.keys(), ...bySource.keys()])) {
        const counted = of({ connector })
        counted.known = accounts.get(connector) ?? 0
        const subs = (bySource.get(connector) ?? []).map(({ sub }) => sub)
        counted.held = !admit(counted, subs, 1)
        if (counted.held) for (const sub of subs) held.add(sub)
      }
      return held
    },
    one: (person) => !of(person).held && admit(of(person), [person.sub], processes()),
    holding: (person) => of(person).held,
  }
}

/** A guard for each target, by its id. */
export function openGuards({ now, world, processes }: Pick<LeasePorts, 'now' | 'world' | 'processes'>) {
  const guards = new Map<string, Guard>()
  return (target: string): Guard => {
    const limits = () => world().targets.get(target)?.live ?? { every: 0, atOnce: { accounts: 0, percent: 0 } }
    const guard = guards.get(target) ?? openGuard(now, limits, processes)
    guards.set(target, guard)
    return guard
  }
}
