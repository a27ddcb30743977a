/** The thread in which a document of metadata is read: it gets pieces, acknowledges each, and answers the end with what it found. */
import { platform, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { openParser, type ParseSettings } from './parse.ts'

/** A piece of the document, as so many bytes of a buffer, or its end. */
export type Fed = { readonly buffer: ArrayBuffer; readonly bytes: number } | 'end'

/** What comes back for each: its buffer for the next piece, or what was found. A refusal is the last. */
export type Told =
  | { readonly next: ArrayBuffer }
  | { readonly parsed: ReturnType<ReturnType<typeof openParser>['end']> }
  | { readonly refusal: string }

// On Linux this is the priority of the calling thread alone: whoever signs in meanwhile comes first.
if (platform() === 'linux') setPriority(5)

const port = parentPort!
const parser = openParser(workerData as ParseSettings) // who starts the thread gives it this

port.on('message', (fed: Fed) => {
  try {
    if (fed !== 'end') {
      parser.write(new Uint8Array(fed.buffer, 0, fed.bytes))
      const told: Told = { next: fed.buffer }
      return port.postMessage(told, [fed.buffer])
    }
    const parsed = parser.end()
    const told: Told = { parsed }
    port.postMessage(
      told,
      parsed.blocks.flatMap((block) => ('bytes' in block ? [block.bytes.buffer] : [])),
    )
  } catch (error) {
    port.postMessage({ refusal: (error as Error).message } satisfies Told)
  }
})
