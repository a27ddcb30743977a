/** The thread in which signatures are checked: it gets one question at a time, and answers it. */
import { parentPort } from 'node:worker_threads'
import { checkSignature, type Signed } from './signature.ts'

/** The signed bytes; a failure says no more than that, since a library's texts quote what it read. */
export type Answered = { readonly bytes: string | undefined } | 'failed'

const port = parentPort!

port.on('message', (signed: Signed) => {
  checkSignature(signed).then(
    (bytes) => port.postMessage({ bytes } satisfies Answered),
    () => port.postMessage('failed' satisfies Answered),
  )
})
