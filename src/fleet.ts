import type { Clock, Log } from './core/ports.ts'
import { collection, kinds } from './store/collection.ts'
import type { Store } from './store/store.ts'

/** A process that serves, as it announces itself in the store. */
export interface Member {
  /** Unix seconds. */
  readonly started: number
  readonly seen: number
  readonly version: string
  /** The digest of the configuration in use, as `lotse check` prints it. */
  readonly configuration: string
  /** The signing keys that it has. */
  readonly kids: readonly string[]
}

export type Announced = Pick<Member, 'configuration' | 'kids'>

/** All processes that serve from one store. */
export interface Fleet {
  /** Says that this process serves, and what it has; written where that has changed, or a while ago. @returns whether it was written */
  announce(what: Announced): Promise<boolean>
  live(): Promise<ReadonlyMap<string, Member>>
  /** This process serves no more, and nobody has to wait for it. */
  leave(): Promise<void>
}

/** Seconds between two announcements of the same, and after which a process that was not heard of is taken for dead. */
const EVERY = 5
export const DEAD_AFTER = 20
/** More processes than anybody runs. */
const MOST = 1000

export interface FleetPorts {
  readonly store: Store
  readonly now: Clock
  /** By which operators know this process: unique among all. */
  readonly id: string
  readonly version: string
}

/**
 * This process among the others. One that cannot reach the store is taken for dead after `DEAD_AFTER` seconds, although it still serves
 * what it has in memory: keys that begin to sign meanwhile it meets as soon as it can read the store, and without that it gives nobody anything.
 */
export function openFleet({ store, now, id, version }: FleetPorts): Fleet {
  const members = collection<Member>(store, kinds.Process, DEAD_AFTER)
  const started = now()
  let last: Member | undefined
  return {
    async announce({ configuration, kids }) {
      const mine: Member = { started, seen: now(), version, configuration, kids: [...kids].sort() }
      if (last && mine.seen < last.seen + EVERY && sameBut(last, mine)) return false
      await members.put(id, mine)
      last = mine
      return true
    },
    live: async () => new Map((await members.list(MOST)).map((item) => [item.id, item.value])),
    async leave() {
      last = undefined
      await members.delete(id)
    },
  }
}

const sameBut = (one: Member, other: Member) =>
  one.configuration === other.configuration && one.kids.join() === other.kids.join()

/** Which of some keys a process does not have yet. */
export function lackedBy(members: Iterable<Member>, kids: readonly string[]): ReadonlySet<string> {
  const all = [...members]
  return new Set(kids.filter((kid) => all.some((member) => !member.kids.includes(kid))))
}

/** Whether nobody uses another configuration. */
export function agreeOn(members: Iterable<Member>, digest: string): boolean {
  return [...members].every(({ configuration }) => configuration === digest)
}

/** Whether some differ in version or configuration: some answers then differ from others. */
export function areMixed(members: Iterable<Member>): boolean {
  return new Set([...members].map(({ version, configuration }) => `${version} ${configuration}`)).size > 1
}

/** Tells the others of this process, and this one of the others. */
export interface Muster {
  /** Announces what this process has, and says where others use another configuration: some answers would differ from others. */
  call(what: Announced): Promise<void>
  /** How many processes were heard of last, this one included. */
  size(): number
}

/** What counts processes, by whether they use the configuration of this one. */
export interface FleetMeter {
  processes(counts: { readonly same: number; readonly other: number }): void
}

export function openMuster(fleet: Fleet, log: Log, meter: FleetMeter): Muster {
  let told = ''
  let size = 1
  return {
    size: () => size,
    async call(what) {
      if (!(await fleet.announce(what))) return
      const { configuration: digest } = what
      const live = await fleet.live()
      size = Math.max(1, live.size)
      const others = [...live].filter(([, { configuration }]) => configuration !== digest).map(([id]) => id)
      meter.processes({ same: live.size - others.length, other: others.length })
      if (others.join() === told) return
      told = others.join()
      if (told !== '') log('warn', 'other processes use another configuration', { digest, processes: others })
      else log('info', 'all processes use the same configuration', { digest })
    },
  }
}
