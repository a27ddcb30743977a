import { hash } from 'node:crypto'
import { type KeyPair, signText, verifyText } from './keypair.ts'

/** Longest JWS that is read; our own tokens stay below 8 KB. */
const LONGEST = 32_768

/** How many signatures one set of keys remembers: about 200 KB. */
const REMEMBERED = 2048

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A compact JWS (RFC 7515, 7.1) with `alg`, `typ` and `kid` in its header. */
export function signJws(pair: KeyPair, typ: string, payload: Readonly<Record<string, unknown>>): string {
  const text = `${encode({ alg: pair.alg, typ, kid: pair.kid })}.${encode(payload)}`
  return `${text}.${signText(pair, text)}`
}

/**
 * The payload of a compact JWS by one of these keys; undefined where it is anything else. The key is chosen by `kid` and
 * brings its own algorithm: `alg` of the header must be equal to it and chooses nothing (RFC 8725, 3.1).
 * @param verified what these keys, and no others, have verified before, by `typ` and digest, which hold nothing of the tokens: a
 *   consumer asks about one token at each request that it gets, and a signature costs 80 to 120 µs
 */
export function verifyJws(
  pairs: readonly KeyPair[],
  typ: string,
  jws: string,
  verified: Set<string> = new Set(),
): Readonly<Record<string, unknown>> | undefined {
  if (jws.length > LONGEST) return undefined
  const [head = '', body = '', tail = '', ...more] = jws.split('.')
  if (more.length > 0) return undefined
  const digest = `${typ} ${hash('sha256', jws, 'base64url')}`
  if (!verified.has(digest)) {
    if (!isSigned(pairs, typ, [head, body, tail])) return undefined
    remember(verified, digest)
  }
  return decode(body)
}

function isSigned(pairs: readonly KeyPair[], typ: string, [head, body, tail]: [string, string, string]): boolean {
  const header = decode(head)
  // RFC 7515, 4.1.11: an extension that is not understood is a refusal, and none is understood here.
  if (!header || header['typ'] !== typ || 'crit' in header) return false
  const pair = pairs.find(({ kid, alg }) => kid === header['kid'] && alg === header['alg'])
  const signature = bytes(tail)
  return pair !== undefined && signature !== undefined && verifyText(pair, `${head}.${body}`, signature)
}

/** Forgets the oldest one where there are too many. */
function remember(verified: Set<string>, digest: string): void {
  const [oldest] = verified
  if (oldest !== undefined && verified.size >= REMEMBERED) verified.delete(oldest)
  verified.add(digest)
}

/** Strict base64url: one text for one value, else a revoked token could be written anew. */
function bytes(text: string): Buffer | undefined {
  const value = Buffer.from(text, 'base64url')
  return value.length > 0 && value.toString('base64url') === text ? value : undefined
}

function decode(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(bytes(text)?.toString('utf8') ?? '')
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
