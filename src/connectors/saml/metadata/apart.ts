import { Worker } from 'node:worker_threads'
import { LoginError } from '../../../core/errors.ts'
import type { Parsed, ParseSettings } from './parse.ts'
import type { Fed, Told } from './worker.ts'
import { refused } from './xml.ts'

/** Gets a document and hands it on piece by piece; resolves when all of it was handed on. */
export type Feed = (write: (chunk: Uint8Array) => Promise<void>) => Promise<void>

/** Megabytes of the thread's heap. What lives of a document at one time is a few of its entities; one that was made to need more ends its own thread alone. */
const HEAP = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 }

/** Beside this file in the source, and beside the file into which this one is built. */
const code = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './saml-metadata.js', import.meta.url)

/**
 * Reads a document in a thread of its own, so that sign-ins go on meanwhile: 76 MB take seconds.
 * @returns undefined where `feed` gave nothing
 * @throws {LoginError} `upstream_unavailable` where it is refused; and what `feed` throws
 */
export async function parseApart(settings: ParseSettings, feed: Feed): Promise<Parsed | undefined> {
  let reader: ReturnType<typeof startReader> | undefined
  try {
    await feed(async (chunk) => {
      reader ??= startReader(settings)
      await reader.write(chunk)
    })
    return await reader?.end()
  } finally {
    await reader?.stop()
  }
}

type Answer = Exclude<Told, { readonly refusal: string }>

function startReader(settings: ParseSettings) {
  const worker = new Worker(code, { workerData: settings, resourceLimits: HEAP })
  let buffer = new ArrayBuffer(0)
  let waiting = Promise.withResolvers<Answer>()
  let over: Error | undefined
  const ended = (error: unknown) => {
    over ??= refused('the thread that read it ended', error)
    waiting.reject(over)
  }
  worker.on('message', (told: Told) => {
    if ('refusal' in told) waiting.reject(new LoginError('upstream_unavailable', told.refusal))
    else waiting.resolve(told)
  })
  worker.on('error', ended)
  worker.on('exit', () => ended(undefined))
  const ask = (fed: Fed): Promise<Answer> => {
    waiting = Promise.withResolvers()
    // It may have ended while nobody asked it anything.
    if (over) waiting.reject(over)
    else worker.postMessage(fed, fed === 'end' ? [] : [fed.buffer])
    return waiting.promise
  }
  return {
    /** One buffer goes there and back: a thousand, which wait to be collected, would be as large as the document. */
    async write(chunk: Uint8Array): Promise<void> {
      if (buffer.byteLength < chunk.byteLength) buffer = new ArrayBuffer(chunk.byteLength)
      new Uint8Array(buffer).set(chunk)
      const told = await ask({ buffer, bytes: chunk.byteLength })
      if ('next' in told) buffer = told.next
    },
    async end(): Promise<Parsed> {
      const told = await ask('end')
      if ('next' in told) throw refused('the thread that read it lost its way')
      return told.parsed
    },
    async stop() {
      waiting.promise.catch(() => {})
      await worker.terminate()
    },
  }
}
