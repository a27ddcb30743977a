import { type Store, StoreUnavailable } from './store.ts'

/** Milliseconds; the standard ones leave a request that asks the store many times within the second of law 4. */
export interface Patience {
  /** What has not ended by then has failed. */
  readonly deadline: number
  /** The same for what reads as much as there is, in steps of which none takes that long: the accounts of a large cloud take seconds. */
  readonly longDeadline: number
  /** A failure that took longer is not waited for a second time. */
  readonly quick: number
  /** For so long after such a failure everything fails at once; then one operation tries. */
  readonly rest: number
}

const standard: Patience = { deadline: 700, longDeadline: 60_000, quick: 100, rest: 1000 }

/**
 * A store that fails within a second whatever becomes of the one beneath (a lock that another process holds, a network that
 * swallows): each operation has a deadline, and after one slow failure the next ones of the same request do not wait again.
 * It recovers by itself: once in a while one operation tries.
 *
 * What ran out of time may still happen, in the order in which it was asked for. Its caller was told that it failed, so what comes of it
 * can be missing but never be there twice: a code that was consumed is lost, a refresh token that was consumed gives its one
 * successor to a retry, what was written is found by nobody, what was deleted or revoked was meant to go.
 */
export function inTime(store: Store, patience: Patience = standard): Store {
  const guard = guarded(patience)
  return {
    get: (...args) => guard('get', () => store.get(...args)),
    find: (...args) => guard('find', () => store.find(...args)),
    put: (...args) => guard('put', () => store.put(...args)),
    add: (...args) => guard('add', () => store.add(...args)),
    swap: (...args) => guard('swap', () => store.swap(...args)),
    take: (...args) => guard('take', () => store.take(...args)),
    consume: (...args) => guard('consume', () => store.consume(...args)),
    delete: (...args) => guard('delete', () => store.delete(...args)),
    members: (...args) => guard('members', () => store.members(...args), patience.longDeadline),
    list: (...args) => guard('list', () => store.list(...args), patience.longDeadline),
    revoke: (...args) => guard('revoke', () => store.revoke(...args)),
    check: () => guard('check', () => store.check()),
    close: () => store.close(),
  }
}

type Guard = <T>(name: string, work: () => Promise<T>, limit?: number) => Promise<T>

function guarded({ deadline, quick, rest }: Patience): Guard {
  // `resting`: nothing goes to the store. `due`: the next operation goes, as the only one. `trying`: it is under way.
  let state: 'well' | 'resting' | 'due' | 'trying' = 'well'

  const pause = () => {
    state = 'resting'
    setTimeout(() => {
      state = 'due'
    }, rest).unref()
  }

  return async (name, work, limit = deadline) => {
    if (state === 'resting' || state === 'trying') throw new StoreUnavailable(`${name}: the store failed a moment ago`)
    const tries = state === 'due'
    if (tries) state = 'trying'
    const started = performance.now()
    try {
      // Everybody waits for the one that tries.
      const value = await within(tries ? deadline : limit, name, work())
      if (tries) state = 'well'
      return value
    } catch (error) {
      const down = error instanceof StoreUnavailable
      if (tries && !down) state = 'well'
      // One that began before the pause and ends late says nothing new.
      else if (tries || (down && state === 'well' && performance.now() - started > quick)) pause()
      throw error
    }
  }
}

/** @throws {StoreUnavailable} where `work` takes longer; that does not stop it */
function within<T>(milliseconds: number, name: string, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new StoreUnavailable(`${name}: no answer within ${milliseconds} ms`))
    // Where this process itself stood still the answer may be there and only unheard: one more turn of the event loop.
    const timer = setTimeout(() => setImmediate(late), milliseconds)
    work.finally(() => clearTimeout(timer)).then(resolve, reject)
  })
}
