/** The thread in which a document of metadata is read: it gets pieces, acknowledges each, and answers the end with what it found. */
import { platform, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { openParser, type ParseSettings } from './parse.ts'

/** A piece of the document, or its end. */
export type Fed = Uint8Array<ArrayBuffer> | 'end'

/** What comes back for each; a refusal is the last. */
export type Told =
  | 'next'
  | { readonly parsed: ReturnType<ReturnType<typeof openParser>['end']> }
  | { readonly refusal: string }

// On Linux this is the priority of the calling thread alone: whoever signs in meanwhile comes first.
if (platform() === 'linux') setPriority(10)

const port = parentPort!
const parser = openParser(workerData as ParseSettings) // who starts the thread gives it this

port.on('message', (fed: Fed) => {
  try {
    if (fed !== 'end') {
      parser.write(fed)
      return port.postMessage('next' satisfies Told)
    }
    const parsed = parser.end()
    const told: Told = { parsed }
    port.postMessage(
      told,
      parsed.blocks.map(({ buffer }) => buffer),
    )
  } catch (error) {
    port.postMessage({ refusal: (error as Error).message } satisfies Told)
  }
})
