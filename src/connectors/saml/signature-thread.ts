import { Worker } from 'node:worker_threads'
import { LoginError } from '../../core/errors.ts'
import { refusal } from './limits.ts'
import type { CheckSignature, Signed } from './signature.ts'
import type { Answered, Ready } from './signature-worker.ts'

/** Beside this file in the source, and beside the file into which this one is built. */
const code = new URL(import.meta.url.endsWith('.ts') ? './signature-worker.ts' : './saml-signature.js', import.meta.url)

/** Megabytes of the thread's heap: a document of 48 KB needs a few; one that was made to need more ends its own thread alone. */
const HEAP = { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 32 }

/**
 * Milliseconds that one signature may take, that the thread may take to start (no message has a part in it, and on a busy machine it needs
 * seconds), and that it waits for the next; and how many may wait for their turn.
 */
const limits = { take: 2000, start: 10_000, idle: 30_000, waiting: 200 } as const

/** A thread, and the places where people wait for it. */
export interface SignatureThread {
  /**
   * A place to wait, of one connector: whoever comes first there waits for one of each other place at most, so that a flood at one connector
   * holds up no other.
   * @param turn milliseconds that one waits (law 4)
   */
  queue(turn?: number): CheckSignature
}

/**
 * Checks signatures in a thread of its own, one after the other: of a document within all limits XPath can take a tenth of a second, during
 * which a gateway would answer nobody. One thread serves all connectors, since it takes 33 MB, and anybody can make it start. It starts with
 * the first question, and ends where none comes for half a minute, so that nobody has to end it.
 */
export function openSignatureThread(): SignatureThread {
  let thread: ReturnType<typeof start> | undefined
  let idle: NodeJS.Timeout | undefined
  let last: Promise<unknown> = Promise.resolve()
  const end = () => {
    thread?.stop()
    thread = undefined
  }
  const ask = async (signed: Signed) => {
    clearTimeout(idle)
    if (!thread?.lives()) thread = start()
    try {
      return await thread.ask(signed)
    } catch (error) {
      end()
      throw error
    } finally {
      idle = setTimeout(end, limits.idle).unref()
    }
  }
  /** @param begun whether the question is still one when its turn has come */
  const inTurn: InTurn = (signed, begun) => {
    const mine = last.then(() => (begun() ? ask(signed) : undefined))
    last = mine.catch(() => {})
    return mine
  }
  return { queue: (turn = 1000) => openQueue(inTurn, turn) }
}

type InTurn = (signed: Signed, begun: () => boolean) => Promise<string | undefined>

/** @throws {LoginError} `unavailable` where too many wait or one for too long, `upstream_rejected` where a message takes too long or breaks the thread */
function openQueue(inTurn: InTurn, turn: number): CheckSignature {
  let last: Promise<unknown> = Promise.resolve()
  let waiting = 0
  return (signed) => {
    if (waiting >= limits.waiting)
      return Promise.reject(new LoginError('unavailable', `${waiting} SAML messages wait for their signature's check`))
    waiting += 1
    const passed = Promise.withResolvers<never>()
    let late = false
    const timer = setTimeout(() => {
      late = true
      passed.reject(new LoginError('unavailable', `a SAML message waited ${turn} ms for its signature's check`))
    }, turn)
    const begun = () => {
      clearTimeout(timer)
      return !late
    }
    const mine = last
      .then(() => inTurn(signed, begun))
      .finally(() => {
        waiting -= 1
      })
    last = mine.catch(() => {})
    return Promise.race([mine, passed.promise])
  }
}

function start() {
  // Nothing that it writes goes to a log (law 12). Nobody reads these streams either: one that is read keeps the process alive.
  const worker = new Worker(code, { resourceLimits: HEAP, stdout: true, stderr: true })
  let asked = Promise.withResolvers<string | undefined>()
  const ready = Promise.withResolvers<void>()
  let lives = true
  worker.on('message', (answer: Answered | Ready) => {
    if (answer === 'ready') ready.resolve()
    else if (answer === 'failed') asked.reject(refusal('its signature cannot be read'))
    else asked.resolve(answer.bytes)
  })
  worker.on('error', (error) => asked.reject(refusal('its signature broke the thread that checks it', error)))
  worker.on('exit', () => {
    lives = false
    asked.reject(refusal('the thread that checks its signature has ended'))
  })
  worker.unref()
  return {
    /** A thread may end while nobody asks it anything. */
    lives: () => lives,
    async ask(signed: Signed): Promise<string | undefined> {
      asked = Promise.withResolvers()
      const tooLate = () => asked.reject(refusal('its signature took too long to check'))
      let late = setTimeout(tooLate, limits.start)
      void ready.promise.then(() => {
        clearTimeout(late)
        late = setTimeout(tooLate, limits.take)
      })
      // Somebody waits for the answer: the process lives until it is there.
      worker.ref()
      worker.postMessage(signed)
      try {
        return await asked.promise
      } finally {
        clearTimeout(late)
        worker.unref()
      }
    },
    stop() {
      asked.promise.catch(() => {})
      void worker.terminate()
    },
  }
}
