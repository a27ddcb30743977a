import { type KeyPair, signText, verifyText } from './keypair.ts'

/** Longest JWS that is read; our own tokens stay below 8 KB. */
const LONGEST = 32_768

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A compact JWS (RFC 7515, 7.1) with `alg`, `typ` and `kid` in its header. */
export function signJws(pair: KeyPair, typ: string, payload: Readonly<Record<string, unknown>>): string {
  const text = `${encode({ alg: pair.alg, typ, kid: pair.kid })}.${encode(payload)}`
  return `${text}.${signText(pair, text)}`
}

/**
 * The payload of a compact JWS by one of these keys; undefined where it is anything else. The key is chosen by `kid` and
 * brings its own algorithm: `alg` of the header must be equal to it and chooses nothing (RFC 8725, 3.1).
 */
export function verifyJws(
  pairs: readonly KeyPair[],
  typ: string,
  jws: string,
): Readonly<Record<string, unknown>> | undefined {
  if (jws.length > LONGEST) return undefined
  const [head = '', body = '', tail = '', ...more] = jws.split('.')
  if (more.length > 0) return undefined
  const header = decode(head)
  // RFC 7515, 4.1.11: an extension that is not understood is a refusal, and none is understood here.
  if (!header || header['typ'] !== typ || 'crit' in header) return undefined
  const pair = pairs.find(({ kid, alg }) => kid === header['kid'] && alg === header['alg'])
  const signature = bytes(tail)
  if (!pair || !signature || !verifyText(pair, `${head}.${body}`, signature)) return undefined
  return decode(body)
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
