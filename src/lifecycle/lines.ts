import type { Audit, AuditEvent } from '../audit.ts'
import { collection, kinds } from '../store/collection.ts'
import type { Store } from '../store/store.ts'

/** A line that the audit log must get about something that has ended. */
export interface Line {
  /** Equal for one end however often it is carried out. */
  readonly id: string
  readonly reference: string
  readonly event: AuditEvent
  /** Unix seconds. */
  readonly at: number
  /** Unix seconds before which only the process that kept it may write it, since it is about to happen; `at` where absent. */
  readonly notBefore?: number
}

/** Seconds for which a line waits for an audit log that takes it. */
const KEEP = 30 * 86_400
/** Lines written in one round. */
const BATCH = 500

/**
 * Lines about ends. Elsewhere what cannot be written down does not happen; an end does, since a full disk must keep nobody in, and its
 * line waits in the store for as long as it takes.
 */
export interface Lines {
  /** Before anything ends: from here on the line is not lost. Again with the same id, it says something else. */
  keep(line: Line): Promise<void>
  /** Nothing of it has happened after all. */
  drop(id: string): Promise<void>
  /** Who kept them cannot go on: whoever flushes writes what nobody keeps again. */
  release(lines: readonly Pick<Line, 'id'>[]): void
  /** Once all of it has ended. @throws where the audit log does not take one; the rest then waits */
  write(lines: readonly Line[]): Promise<void>
  /** Writes what has waited since before a moment, as a crash or a full disk left it. @throws where it still cannot be written */
  flush(before: number): Promise<void>
}

export function openLines(store: Store, audit: Audit): Lines {
  const waiting = collection<Line>(store, kinds.EndLine, KEEP)
  /** Kept by this process, and about to be written by whoever kept them. */
  const near = new Set<string>()
  const one = async (line: Line): Promise<void> => {
    await audit(line.reference, line.event)
    await waiting.delete(line.id)
  }
  const release: Lines['release'] = (lines) => {
    for (const { id } of lines) near.delete(id)
  }
  return {
    async keep(line) {
      near.add(line.id)
      await waiting.put(line.id, line)
    },
    async drop(id) {
      release([{ id }])
      await waiting.delete(id)
    },
    release,
    async write(lines) {
      release(lines) // what is not taken now waits for anybody
      const left = [...lines]
      try {
        for (let line = left[0]; line; line = left[0]) {
          await one(line)
          left.shift()
        }
      } catch (error) {
        // It has happened: whoever finds a log that takes it need not wait.
        for (const { notBefore, ...line } of left) if (notBefore !== undefined) await waiting.put(line.id, line)
        throw error
      }
    },
    async flush(before) {
      for (const { value } of await waiting.list(BATCH)) {
        if ((value.notBefore ?? value.at) < before && !near.has(value.id)) await one(value)
      }
    },
  }
}
