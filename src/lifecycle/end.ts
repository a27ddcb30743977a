import { hash } from 'node:crypto'
import type { Audit, EndCause } from '../audit.ts'
import type { Clock, Log } from '../core/ports.ts'
import { type Collection, collection, kinds } from '../store/collection.ts'
import type { Store } from '../store/store.ts'
import { carryOut } from './ender.ts'
import { type Lines, openLines } from './lines.ts'
import type { ProofShelf, StoredProof } from './proofs.ts'
import { find, ranOut } from './selected.ts'
import { openTimetable } from './timetable.ts'

/** What is to end: exactly what is named, and everything that rests on it. */
export type Selector =
  | { readonly kind: 'subject'; readonly sub: string }
  /** A browser's session at the gateway, with all that it gave. */
  | { readonly kind: 'session'; readonly uid: string }
  | { readonly kind: 'connector'; readonly id: string }
  /** The tokens that one client holds; people stay signed in. */
  | { readonly kind: 'client'; readonly id: string }
  | { readonly kind: 'proof'; readonly id: string }
  /** A session of an upstream, by the upstream's own name; with `sub` also sign-ins of that person whose session was never named. */
  | { readonly kind: 'upstream'; readonly connector: string; readonly session: string; readonly sub?: string }
  /** Sessions that an upstream calls by a person's name and words of their own; all of that name where no `sessions` are said. */
  | { readonly kind: 'name'; readonly connector: string; readonly name: string; readonly sessions: readonly string[] }
  /** What the holders of one signing key's tokens hold: the clients that it signs for, as far as they began before now. */
  | { readonly kind: 'key'; readonly kid: string; readonly clients: readonly string[] }

/** Who asked for an end, for the audit log. */
export interface By {
  /** The error id or request id that ties page, log and audit lines together. */
  readonly reference: string
  readonly client?: string
  readonly address?: string
  /** Of `recheck`: as `Gone.why`. */
  readonly why?: string
}

/** An end as it stands in the store until all of it has happened. */
export interface Ending {
  readonly selector: Selector
  readonly cause: EndCause
  /** Unix seconds. */
  readonly at: number
  readonly by: By
  /** Unix seconds until which the message that asked for it is remembered. */
  readonly rememberUntil?: number
}

/** What an end found: sign-ins with all that rests on them, and single families of tokens. */
export interface Ended {
  readonly signIns: number
  readonly families: number
}

/** What one client holds of one sign-in. */
export interface Family {
  readonly client: string
  /** The gateway's name of the person. */
  readonly sub: string
  /** Unix seconds. */
  readonly since: number
  /** The sign-in that it rests on. */
  readonly proof?: string
}

/** A sign-in with all that rests on it. */
export interface SignIn {
  readonly id: string
  readonly proof: StoredProof
  /** The browsers' sessions at the gateway, by their uids. */
  readonly sessions: readonly string[]
  readonly families: readonly Family[]
}

/** What a selector names at this moment. */
export interface Found {
  readonly signIns: readonly SignIn[]
  /** Families of which the selector names no sign-in. */
  readonly families: readonly Family[]
}

/**
 * Told that somebody's sign-ins change: before each one ends, so that a crash in the middle forgets nobody, and again when it has
 * ended. Whoever keeps leases remembers it durably before this resolves.
 * @param delay seconds after which to look: what is about to end is not looked at before it has
 */
export type Touched = (sub: string, delay: number) => Promise<void>

/** The one way in which access ends. */
export interface Ends {
  /** What `end` would end now; changes nothing. */
  find(selector: Selector): Promise<Found>
  /**
   * Ends sessions and refresh families of exactly what the selector names. When it resolves nothing of it can be used any more, in any
   * process, and whoever keeps leases knows; when it rejects, or the process dies in the middle, `resume` carries it out.
   */
  end(selector: Selector, cause: EndCause, by: By): Promise<Ended>
  /**
   * The same for a message that is good once.
   * @param once an id that no other message has, and until when it is remembered (Unix seconds)
   * @returns undefined where it came before and is done, or under way; nothing happens then
   */
  endOnce(
    once: { readonly id: string; readonly until: number },
    selector: Selector,
    cause: EndCause,
    by: By,
  ): Promise<Ended | undefined>
  /** Once a second: carries out what a crash left. */
  resume(): Promise<void>
  /** Once a second: ends the sign-ins whose proof ran out. */
  expire(): Promise<void>
}

export interface EndsPorts {
  readonly store: Store
  readonly proofs: ProofShelf
  readonly audit: Audit
  readonly log: Log
  readonly now: Clock
  readonly random: () => string
  /** Seconds for which what was ended refuses late writes: no request that began before lasts longer. */
  readonly refuseFor: number
  /** Whether a client hears of logouts by a back channel; all of them where absent, and delivery then sorts them out. */
  readonly hears?: (client: string) => boolean
  readonly touched?: Touched
  /** Shared with whoever else writes lines about ends in this process; its own where absent. */
  readonly lines?: Lines
}

/** Seconds that an ending waits for a process that finishes it; a day, since a store is restored sooner than that. */
const KEEP = 86_400
/** Seconds for which an ending is left to the process that began it. */
const UNDER_WAY = 2
/** Endings looked at in one round. */
const BATCH = 1000

export function openEnds(given: EndsPorts): Ends {
  const lines = openLines(given.store, given.audit)
  const ports = { hears: () => true, touched: async () => {}, lines, ...given }
  const { store, now, random } = ports
  const endings = collection<Ending>(store, kinds.Ending, KEEP)
  const messages = collection<true>(store, kinds.ReplayDetection)
  const work: Work = { ports, endings, messages, running: new Set() }
  const timetable = openTimetable(now)

  const end: Ends['end'] = async (selector, cause, by) => {
    const id = random()
    const ending = { selector, cause, at: now(), by }
    await endings.put(id, ending)
    return finish(work, id, ending, 'first')
  }

  return {
    find: (selector) => find(ports, selector),
    end,
    endOnce: ({ id, until }, selector, cause, by) =>
      obey(work, hash('sha256', id, 'base64url'), { selector, cause, at: now(), by, rememberUntil: until }),
    resume: () => resume(work),
    expire: () =>
      timetable.each(async (minute) => {
        for (const id of await ranOut(ports, minute))
          await end({ kind: 'proof', id }, 'expiry', { reference: 'expiry' })
      }),
  }
}

/** What all endings of this process share. */
interface Work {
  readonly ports: Required<EndsPorts>
  readonly endings: Collection<Ending>
  /** What came as a message that is good once, and is done. */
  readonly messages: Collection<true>
  /** The ids of what is under way. */
  readonly running: Set<string>
}

/** Carries out what was written down, and strikes it off. */
async function finish(
  { ports, endings, messages, running }: Work,
  id: string,
  ending: Ending,
  how: 'first' | 'again',
): Promise<Ended> {
  running.add(id)
  try {
    const ended = await carryOut(ports, ending, how)
    // In this order: there is no moment in which the message could come again.
    const { rememberUntil: until } = ending
    if (until !== undefined) await messages.put(id, true, Math.max(60, until - ports.now()))
    await endings.delete(id) // a list of what is left must not grow with what is done
    return ended
  } finally {
    running.delete(id)
  }
}

/** An ending that a message asked for, once. */
async function obey(work: Work, id: string, ending: Ending): Promise<Ended | undefined> {
  const { endings, messages, running } = work
  if (running.has(id)) return undefined
  running.add(id)
  try {
    if (await messages.get(id)) return undefined
    // One step remembers the message and what it asks for: a crash after it loses neither.
    const added = await endings.add(id, ending)
    // What failed half way is still due when it is sent again: whoever sent it was told of the failure, or heard nothing.
    const due = added ? ending : await endings.get(id)
    if (due && !(await messages.get(id))) return await finish(work, id, due, added ? 'first' : 'again')
    if (added) await endings.delete(id) // another process had it carried out between the two looks
    return undefined
  } finally {
    running.delete(id)
  }
}

async function resume(work: Work): Promise<void> {
  const { endings, running } = work
  const { lines, now, log } = work.ports
  for (const { id, value } of await endings.list(BATCH)) {
    // Young ones may be under way in another process, a command's: two at once would write every line twice.
    if (value.at > now() - UNDER_WAY) continue
    // What was under way when the list was made may be done by now.
    if (running.has(id) || !(await endings.get(id))) continue
    await finish(work, id, value, 'again').catch((error: unknown) =>
      log('warn', 'an end is not complete yet; it is tried again', { id, error: String(error) }),
    )
  }
  // Last: what is carried out again writes its own lines.
  await lines.flush(now() - UNDER_WAY).catch((error: unknown) => {
    log('error', 'the audit log does not take the lines of ends; they wait', { error: String(error) })
  })
}
