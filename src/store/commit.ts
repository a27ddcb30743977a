import type { DatabaseSync } from 'node:sqlite'
import { StoreUnavailable } from './store.ts'

/** Writes that share a transaction with all others of the same turn of the event loop. */
export interface GroupCommit {
  /**
   * Runs `work` inside the next transaction; resolves after COMMIT, so that what was acknowledged is on the disk.
   * @throws {StoreUnavailable} where the statement or the COMMIT failed, or the lock was not to be had within a second
   */
  write<T>(work: () => T): Promise<T>
  /** Commits what is queued and refuses the rest. */
  close(): void
}

interface Job {
  readonly work: () => unknown
  readonly done: (value: unknown) => void
  readonly fail: (error: StoreUnavailable) => void
  outcome: { readonly value: unknown } | { readonly error: unknown } | undefined
}

/** So many jobs at once hold up the event loop for a few milliseconds; the rest waits one turn. */
const jobsPerCommit = 256

/**
 * Another process may hold the write lock for a moment. It is waited for between turns of the event loop, not in SQLite's own
 * busy handler, which would hold up every request: 12 attempts of at most 10 + 40 ms.
 */
const attempts = 12
const betweenAttempts = 40

/** SQLITE_BUSY, without its extended bits. */
const busy = 5

/** Queues writes for one connection. */
export function groupCommit(db: DatabaseSync): GroupCommit {
  const begin = db.prepare('begin immediate')
  const commit = db.prepare('commit')
  const queue: Job[] = []
  let scheduled = false
  let closed = false
  let refusals = 0

  const failAll = (jobs: readonly Job[], error: unknown): void => {
    const wrapped = unavailable(error)
    for (const job of jobs) job.fail(wrapped)
  }

  const runAll = (jobs: readonly Job[]): void => {
    for (const job of jobs) {
      try {
        job.outcome = { value: job.work() }
      } catch (error) {
        job.outcome = { error }
        // some errors (disk full, I/O) end the whole transaction: nothing of it may be acknowledged
        if (!db.isTransaction) throw error
      }
    }
  }

  const flush = (): void => {
    scheduled = false
    if (queue.length === 0) return
    try {
      begin.run()
    } catch (error) {
      if (isBusy(error) && !closed && ++refusals < attempts) {
        schedule(betweenAttempts)
      } else {
        refusals = 0
        failAll(queue.splice(0), error)
      }
      return
    }
    refusals = 0
    const jobs = queue.splice(0, jobsPerCommit)
    try {
      runAll(jobs)
      commit.run()
    } catch (error) {
      rollback(db)
      failAll(jobs, error)
      jobs.length = 0
    }
    for (const job of jobs) settle(job)
    if (queue.length > 0) schedule(0)
  }

  const schedule = (milliseconds: number): void => {
    if (scheduled) return
    scheduled = true
    if (milliseconds === 0) setImmediate(flush)
    else setTimeout(flush, milliseconds)
  }

  return {
    write: <T>(work: () => T) =>
      new Promise<T>((done, fail) => {
        if (closed) return fail(new StoreUnavailable('the store is closed'))
        queue.push({ work, done: done as Job['done'], fail, outcome: undefined }) // `done` gets what `work` returned
        schedule(0)
      }),
    close() {
      if (closed) return
      closed = true
      while (queue.length > 0) flush()
    },
  }
}

function settle(job: Job): void {
  if (job.outcome && 'value' in job.outcome) job.done(job.outcome.value)
  else job.fail(unavailable(job.outcome?.error))
}

function rollback(db: DatabaseSync): void {
  try {
    if (db.isTransaction) db.exec('rollback')
  } catch {
    // the next BEGIN tells whether the connection is still of use
  }
}

function isBusy(error: unknown): boolean {
  return (Number((error as { errcode?: unknown }).errcode) & 0xff) === busy
}

/** Any failure of the database as the one error that callers know. */
export function unavailable(cause: unknown): StoreUnavailable {
  if (cause instanceof StoreUnavailable) return cause
  return new StoreUnavailable(cause instanceof Error ? cause.message : 'the store failed', { cause })
}
