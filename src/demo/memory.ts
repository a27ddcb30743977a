import type { Adapter, AdapterPayload } from 'oidc-provider'

interface Entry {
  readonly payload: AdapterPayload
  /** Milliseconds, of a clock that only goes forward. */
  readonly ends: number
}

/** Entries of all kinds of one provider; the oldest goes first. */
const MOST = 5000

/**
 * Where a demo's upstream keeps sessions and codes: in memory, for one process, gone when it ends. Not the gateway's store:
 * an upstream is somebody else's machine.
 */
export function memoryAdapter(): (kind: string) => Adapter {
  const entries = new Map<string, Entry>()
  const live = (key: string) => {
    const found = entries.get(key)
    return found !== undefined && found.ends > performance.now() ? found.payload : undefined
  }
  return (kind) => {
    const keyOf = (id: string) => `${kind}:${id}`
    const byUid = async (uid: string) => [...entries.keys()].map(live).find((payload) => payload?.uid === uid)
    return {
      async upsert(id, payload, expiresIn) {
        const [oldest] = entries.keys()
        if (entries.size >= MOST && oldest !== undefined) entries.delete(oldest)
        entries.set(keyOf(id), { payload, ends: performance.now() + (expiresIn ?? 600) * 1000 })
      },
      find: async (id) => live(keyOf(id)),
      findByUid: byUid,
      findByUserCode: async () => undefined,
      async consume(id) {
        const payload = live(keyOf(id))
        if (payload) payload.consumed = true
      },
      async destroy(id) {
        entries.delete(keyOf(id))
      },
      async revokeByGrantId(grantId) {
        // The library asks each kind that a grant gave; a sign-in under way names the grant before it, and goes on.
        for (const [key, { payload }] of entries)
          if (key.startsWith(keyOf('')) && payload.grantId === grantId) entries.delete(key)
      },
    }
  }
}
