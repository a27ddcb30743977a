import { hash } from 'node:crypto'
import type { Clock, Log } from '../core/ports.ts'
import { collection, kinds } from '../store/collection.ts'
import type { Store } from '../store/store.ts'

/** A logout that a client has yet to hear of. */
export interface Notice {
  readonly client: string
  readonly sub: string
  readonly sid: string
}

/** A notice in the queue. */
interface Queued extends Notice {
  /** How often the client itself has refused it. */
  readonly refusals: number
}

/** Seconds after which nobody is told any more. */
const KEEP = 172_800
/** A client that refuses a notice so often is not told of it again. */
const REFUSALS = 3
/** Notices that one client is told of in one round, and at once. */
const BATCH = 500
const AT_ONCE = 10
/** Seconds until a client that did not answer is tried again: 5, 10, 20 … */
const FIRST_WAIT = 5
const LONGEST_WAIT = 3600

const groupFor = (client: string) => `notices:${client}`
const queueOn = (store: Store) => collection<Queued>(store, kinds.LogoutQueue, KEEP)

/** Puts a notice into the durable queue. Idempotent: a second time, as after a crash, is the same notice. */
export async function addNotice(store: Store, { client, sub, sid }: Notice): Promise<void> {
  const id = hash('sha256', `${client}\n${sub}\n${sid}`, 'base64url')
  await queueOn(store).add(id, { client, sub, sid, refusals: 0 }, KEEP, { groups: [groupFor(client)] })
}

/** Whether one of these clients has yet to hear that somebody is gone. */
export async function isWaiting(store: Store, clients: readonly string[], subs: ReadonlySet<string>): Promise<boolean> {
  const queue = queueOn(store)
  for (const client of clients) {
    for (const { id } of await store.members(groupFor(client))) {
      const notice = await queue.get(id)
      if (notice && subs.has(notice.sub)) return true
    }
  }
  return false
}

/** Tells a client; `refused` where it answered, and said no. @throws where it did not answer */
export type Tell = (notice: Notice) => Promise<'told' | 'refused'>

/** The way from the durable queue to clients (OpenID Connect Back-Channel Logout), each client by itself. */
export interface Delivery {
  /** Tells one client of what it has yet to hear; one that did not answer is left alone for a while. */
  deliver(client: string, tell: Tell): Promise<void>
}

export function openDelivery(ports: { readonly store: Store; readonly now: Clock; readonly log: Log }): Delivery {
  const { store, now, log } = ports
  const queue = queueOn(store)
  const down = new Map<string, { readonly failures: number; readonly until: number }>()

  const one = async (id: string, tell: Tell): Promise<void> => {
    const notice = await queue.get(id)
    if (!notice) return
    const { client, refusals } = notice
    if ((await tell(notice)) === 'told' || refusals + 1 >= REFUSALS) return queue.delete(id)
    log('warn', 'a client refused to hear of a logout', { client, refusals: refusals + 1 })
    await queue.put(id, { ...notice, refusals: refusals + 1 }, KEEP, { groups: [groupFor(client)] })
  }

  return {
    async deliver(client, tell) {
      const before = down.get(client)
      if (before && now() < before.until) return
      const ids = (await store.members(groupFor(client))).slice(0, BATCH).map(({ id }) => id)
      try {
        for (let at = 0; at < ids.length; at += AT_ONCE) {
          await Promise.all(ids.slice(at, at + AT_ONCE).map((id) => one(id, tell)))
        }
        down.delete(client)
      } catch (error) {
        const failures = (before?.failures ?? 0) + 1
        down.set(client, { failures, until: now() + Math.min(FIRST_WAIT * 2 ** (failures - 1), LONGEST_WAIT) })
        log('warn', 'a client could not be told of a logout', { client, failures, error: String(error) })
      }
    },
  }
}
