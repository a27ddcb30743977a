/** Work of which each key has one piece at a time. */
export interface EachAlone<K> {
  /** Does nothing where the last piece for the key is not done yet. */
  begin(key: K, work: () => Promise<void>): void
  /** Resolves when all that is begun is done. */
  idle(): Promise<void>
}

/** @param told hears what a piece threw */
export function eachAlone<K>(told: (key: K, error: Error) => void): EachAlone<K> {
  const running = new Map<K, Promise<void>>()
  return {
    begin(key, work) {
      if (running.has(key)) return
      const run = work()
        .catch((error: unknown) => told(key, error instanceof Error ? error : new Error(String(error))))
        .finally(() => running.delete(key))
      running.set(key, run)
    },
    async idle() {
      await Promise.all(running.values())
    },
  }
}
