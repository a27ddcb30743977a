import { connect } from 'node:net'

/** What came back over a socket, cut into its parts; `status` 0 where the connection just ended. */
export interface RawAnswer {
  readonly status: number
  /** Names in lower case, as they came; several of one name stay several. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

/**
 * Writes bytes to a server as they are and reads what comes until the server is quiet or closes. For requests that no
 * client library would send.
 * @param bytes without a Connection header where the server shall close by itself; texts are sent as Latin-1
 * @param patience milliseconds of quiet after which no more is waited for; the standard ones only end a test that hangs, since a busy machine is
 * quiet for seconds before an answer
 */
export function sendRaw(url: string, bytes: string | Buffer, patience = 60_000): Promise<RawAnswer> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    })
    const done = () => {
      socket.destroy()
      resolve(parse(Buffer.concat(chunks).toString('latin1')))
    }
    socket.setTimeout(patience, done)
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      if (isWhole(Buffer.concat(chunks).toString('latin1'))) done()
    })
    socket.on('end', done)
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? done() : reject(error),
    )
  })
}

function isWhole(text: string): boolean {
  const { status, headers, body } = parse(text)
  if (status === 0 || !text.includes('\r\n\r\n') || status === 100) return false
  const length = headers.find(([name]) => name === 'content-length')?.[1]
  if (length !== undefined) return body.length >= Number(length)
  return headers.some(([name, value]) => name === 'transfer-encoding' && value === 'chunked')
    ? body.endsWith('0\r\n\r\n')
    : false
}

function parse(text: string): RawAnswer {
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [line = '', ...lines] = head.split('\r\n')
  const headers = lines.map((each) => {
    const at = each.indexOf(':')
    return [each.slice(0, at).toLowerCase(), each.slice(at + 1).trim()] as const
  })
  return { status: Number(/^HTTP\/1\.\d (\d{3})/.exec(line)?.[1] ?? 0), headers, body: rest.join('\r\n\r\n') }
}
