import { pino } from 'pino'
import { errorCodes } from './core/errors.ts'
import type { Log } from './core/ports.ts'

export type LogLevel = Parameters<Log>[0]

const HIDDEN = '[redacted]'
const LONGEST = 4096
const DEEPEST = 8
const MOST = 100

/** Last word of a key (without `-` and `_`, lower case) whose text is never logged, wherever it stands. */
const secretKey =
  /(?:authorization|cookies?|tokens?|secrets?|assertions?|passwords?|passphrase|verifier|privatekey|jw[ts]|dpop|sealed|samlresponse|samlrequest|credentials?|codes?|tickets?|memo|nonce|^state|^relaystate)$/

/** Text that is secret whatever its key is called: compact JWS and JWE, HTTP credentials, fields of a query or a form. */
const secretTexts: readonly (readonly [RegExp, string])[] = [
  [/\beyJ[\w-]{5,}(?:\.[\w-]*){1,6}/g, '[token]'],
  [/\b(Bearer|Basic|DPoP)\s+(?=\S*[0-9A-Z=])[\w.~+/=-]{8,}/gi, `$1 ${HIDDEN}`],
  [
    /\b((?:access_|id_|refresh_|logout_|device_|user_|id_token_hint|client_)?(?:token|code|secret|assertion|hint|verifier|state|password)|SAMLResponse|SAMLRequest|RelayState)=[^&\s"'<>]+/g,
    `$1=${HIDDEN}`,
  ],
]

const words = new Set<string>(errorCodes)

/** An `Error.code` or a code of our closed list; an authorization code, which is secret, has another shape. */
function isPlainCode(value: unknown): value is string {
  return (
    typeof value === 'string' && (words.has(value) || /^E[A-Z0-9]{2,15}$|^(?:ERR|UND_ERR)_[A-Z_0-9]{1,48}$/.test(value))
  )
}

function cleanText(text: string): string {
  let clean = text.length > LONGEST ? `${text.slice(0, LONGEST)}… (${text.length} characters)` : text
  for (const [pattern, instead] of secretTexts) clean = clean.replace(pattern, instead)
  return clean
}

function cleanError(error: Error, depth: number): Record<string, unknown> {
  const { code, cause } = error as Error & { code?: unknown }
  return {
    name: error.name,
    ...(isPlainCode(code) ? { code } : {}),
    message: cleanText(error.message),
    stack: cleanText(error.stack ?? ''),
    ...(cause === undefined ? {} : { cause: clean(cause, depth + 1) }),
  }
}

function cleanField(key: string, value: unknown, depth: number): unknown {
  const isText = typeof value !== 'number' && typeof value !== 'boolean' && value !== null && value !== undefined
  if (isText && secretKey.test(key.toLowerCase().replace(/[-_]/g, '')) && !isPlainCode(value)) return HIDDEN
  return clean(value, depth)
}

function clean(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return cleanText(value)
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value)
  if (typeof value === 'function') return '[function]'
  if (typeof value !== 'object' || value === null) return value
  if (depth > DEEPEST) return '[deeper]'
  if (value instanceof Error) return cleanError(value, depth)
  if (value instanceof URL) return cleanText(value.href)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString()
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (Array.isArray(value)) return value.slice(0, MOST).map((item) => clean(item, depth + 1))
  const entries =
    value instanceof Map ? [...value].map(([key, item]) => [String(key), item] as const) : Object.entries(value)
  return Object.fromEntries(entries.slice(0, MOST).map(([key, item]) => [key, cleanField(key, item, depth + 1)]))
}

/**
 * A copy of the fields that is safe to write down (law 12): text under a secret's name and text that looks like a token is
 * cut out at any depth, long text and long lists are shortened. Not checked: a secret in free text that looks like a word.
 */
export function redact(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return clean(fields, 0) as Record<string, unknown>
}

/**
 * The log of the process: one JSON object a line, `{level, time, message, …fields}`, redacted before it reaches pino.
 * @param write takes a line with its newline; must not throw
 */
export function createLog(level: LogLevel | 'silent', write: (line: string) => void): Log {
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  )
  return (at, message, fields) => {
    if (logger.isLevelEnabled(at)) logger[at](fields === undefined ? {} : redact(fields), cleanText(message))
  }
}
