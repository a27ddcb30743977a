import type { IncomingMessage } from 'node:http'
import { LoginError } from '../core/errors.ts'

const LIMIT = 64 * 1024

/**
 * The fields of a POSTed form of `application/x-www-form-urlencoded`.
 * @param limit bytes, 64 KiB if absent
 * @throws {LoginError} `too_large`, `bad_request` where it is anything else
 */
export async function readForm(req: IncomingMessage, limit = LIMIT): Promise<URLSearchParams> {
  const type = req.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded') throw new LoginError('bad_request', 'not a form')
  if (Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limit) throw tooLarge(limit)
    chunks.push(chunk)
  }
  return new URLSearchParams(Buffer.concat(chunks, size).toString('utf8'))
}

const tooLarge = (limit: number) => new LoginError('too_large', `form over ${limit / 1024} KiB`)
