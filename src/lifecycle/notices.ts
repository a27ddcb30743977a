import { hash } from 'node:crypto'
import { collection, type Item, kinds } from '../store/collection.ts'
import type { Store } from '../store/store.ts'

/** A logout that a client has yet to hear of. */
export interface Notice {
  readonly client: string
  readonly sub: string
  readonly sid: string
  readonly tries: number
  /** Unix seconds. */
  readonly nextAt: number
}

/** Seconds after which nobody is told any more. */
const KEEP = 172_800

/** The durable queue of logouts that clients have yet to hear of (OpenID Connect Back-Channel Logout). */
export interface Notices {
  /** Idempotent: a second time, as after a crash, is the same notice. */
  add(notice: Pick<Notice, 'client' | 'sub' | 'sid'>): Promise<void>
  /** At most `limit` of those whose time has come. */
  due(now: number, limit: number): Promise<readonly Item<Notice>[]>
  again(id: string, notice: Notice): Promise<void>
  done(id: string): Promise<void>
}

export function openNotices(store: Store): Notices {
  const queue = collection<Notice>(store, kinds.LogoutQueue, KEEP)
  return {
    async add({ client, sub, sid }) {
      const id = hash('sha256', `${client}\n${sub}\n${sid}`, 'base64url')
      await queue.add(id, { client, sub, sid, tries: 0, nextAt: 0 })
    },
    due: async (now, limit) => (await queue.list(limit)).filter(({ value }) => value.nextAt <= now),
    async again(id, notice) {
      await queue.put(id, notice)
    },
    done: (id) => queue.delete(id),
  }
}
