/** The thread in which signatures are checked: it gets one question at a time, and answers it. */
import { parentPort } from 'node:worker_threads'
import { documentOf, type Signed, signedBytes } from './signature.ts'

/** The signed bytes; a failure says no more than that, since a library's texts quote what it read. */
export type Answered = { readonly bytes: string | undefined } | 'failed'

/** Said once: what comes now takes the time of a signature, and no longer that of a start. */
export type Ready = 'ready'

const port = parentPort!

// The library's XML parser writes warnings, with what it read, to a place where nobody reads them.
for (const level of ['log', 'warn', 'error'] as const) console[level] = () => {}

/** The response of the last question, which the next may be about again: its assertion is signed, too. */
let last: { readonly xml: string; readonly document: Document } | undefined

async function answer(signed: Signed): Promise<Answered> {
  const read = last?.xml === signed.xml ? last.document : await documentOf(signed.xml)
  last = signed.element === 'document' ? { xml: signed.xml, document: read } : undefined
  return { bytes: signedBytes(read, signed) }
}

port.on('message', (signed: Signed) => {
  answer(signed)
    .catch((): Answered => 'failed')
    .then((answered) => port.postMessage(answered))
})

port.postMessage('ready' satisfies Ready)
