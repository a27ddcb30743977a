import type { Grant } from '../../src/core/decision.ts'
import {
  type Account,
  type Lease,
  type Live,
  type Question,
  type Step,
  TargetUnavailable,
} from '../../src/targets/live.ts'

/** Somebody as the target has her. */
export interface Person {
  enabled: boolean
  readonly has: Set<Lease>
}

/** A target in memory with the rules of a real one: users that must be there first, grants of others, locks. */
export interface FakeTarget {
  readonly live: Live
  readonly people: Map<string, Person>
  /** Questions and changes so far; `lists` are the questions that read whole lists. */
  readonly counts: { reads: number; lists: number; writes: number }
  /** What happens at each call: throws to make it fail. Before the call acts, and after it. */
  before: () => Promise<void> | void
  after: () => Promise<void> | void
  /** Before whole lists are read. */
  list: () => Promise<void> | void
  /** Before one step is done, by its words: throws to refuse it, waits to let it hang. */
  step: (step: Step, sub: string) => Promise<void> | void
}

/** Up to so many accounts are asked about one by one, more by whole lists. */
const FEW = 20

const leasesOf = (grants: readonly Grant[]): readonly Lease[] =>
  grants.flatMap((grant) =>
    'roles' in grant && 'project' in grant ? grant.roles.map((role) => `${grant.project}:${role}`) : [],
  )

/** A copy, as an answer over the network is. */
type Snapshot = ReadonlyMap<string, { readonly enabled: boolean; readonly has: ReadonlySet<Lease> }>

function plan({ account, wanted }: Question, people: Snapshot): readonly Step[] {
  const { sub } = account
  const person = people.get(sub)
  const wants = wanted === 'gone' ? [] : leasesOf(wanted.grants)
  const take = (lease: Lease): Step => ({ kind: 'take', says: `take ${lease}`, lease, does: { sub, take: lease } })
  const taken = Object.keys(account.leases).filter((lease) => !wants.includes(lease))
  if (wanted === 'gone') {
    const lock: Step = { kind: 'lock', says: 'lock', does: { sub, enabled: false } }
    return [...(person?.enabled ? [lock] : []), ...taken.map(take)]
  }
  if (!person && wants.length === 0) return taken.map(take)
  if (!person) return [{ kind: 'prepare', says: 'make the user', does: { sub, make: true } }]
  if (!person.enabled && !account.locked) return taken.map(take)
  const given = wants.filter((lease) => !person.has.has(lease))
  return [
    ...taken.map(take),
    ...given.map((lease): Step => ({ kind: 'give', says: `give ${lease}`, lease, does: { sub, give: lease } })),
    ...(person.enabled ? [] : [{ kind: 'unlock', says: 'unlock', does: { sub, enabled: true } } as const]),
  ]
}

interface Does {
  readonly sub: string
  readonly make?: true
  readonly give?: Lease
  readonly take?: Lease
  readonly enabled?: boolean
}

/** @param options seconds and limits, as a configuration has them */
export function fakeTarget(options: Partial<Pick<Live, 'every' | 'ifUnreachable' | 'atOnce'>> = {}): FakeTarget {
  const people = new Map<string, Person>()
  const fake: FakeTarget = {
    people,
    counts: { reads: 0, lists: 0, writes: 0 },
    before: () => {},
    after: () => {},
    list: () => {},
    step: () => {},
    live: {
      every: 900,
      ifUnreachable: 'go-on',
      atOnce: { accounts: 20, percent: 10 },
      ...options,
      async observe(questions) {
        await fake.before()
        fake.counts.reads += 1
        if (questions.length > FEW) {
          fake.counts.lists += 1
          await fake.list()
        }
        const asked = questions.map(({ account }) => account.sub)
        const copy: Snapshot = new Map(
          [...people]
            .filter(([sub]) => asked.includes(sub))
            .map(([sub, { enabled, has }]) => [sub, { enabled, has: new Set(has) }]),
        )
        await fake.after()
        return { of: copy }
      },
      plan: (question, { of }) => plan(question, of as Snapshot),
      async apply(step) {
        const does = step.does as Does
        await fake.before()
        await fake.step(step, does.sub)
        fake.counts.writes += 1
        act(people, does)
        await fake.after()
      },
    },
  }
  return fake
}

function act(people: Map<string, Person>, { sub, make, give, take, enabled }: Does): void {
  if (make) people.set(sub, people.get(sub) ?? { enabled: true, has: new Set() })
  const person = people.get(sub)
  if (!person) {
    if (take !== undefined) return
    throw new TargetUnavailable('refused', `nobody ${sub}`)
  }
  if (give !== undefined) person.has.add(give)
  if (take !== undefined) person.has.delete(take)
  if (enabled !== undefined) person.enabled = enabled
}

export const down = () => {
  throw new TargetUnavailable('down', 'nobody answers')
}

export const refused = () => {
  throw new TargetUnavailable('refused', '403: you are not authorized')
}

/** A step that hangs until it is let go. */
export function hanging() {
  let go = () => {}
  let reached = () => {}
  const wait = new Promise<void>((resolve) => {
    go = resolve
  })
  const there = new Promise<void>((resolve) => {
    reached = resolve
  })
  return {
    go: () => go(),
    /** Somebody hangs. */
    there,
    wait: () => {
      reached()
      return wait
    },
  }
}

/** What somebody has by the gateway's own hand, as its ledger says. */
export const leasesIn = (account: Account | undefined): readonly Lease[] => Object.keys(account?.leases ?? {}).sort()
