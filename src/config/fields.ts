import { isIP } from 'node:net'
import { z } from 'zod'

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** A length of time as people write it, `90s`, `10m`, `12h` or `30d`; seconds once read. */
export const duration = () =>
  z
    .string('not a length of time; write a number and a unit, such as 90s, 10m, 12h or 30d')
    .regex(/^[1-9][0-9]{0,5}[smhd]$/, 'not a length of time; write a number and a unit, such as 90s, 10m, 12h or 30d')
    .transform((text) => Number(text.slice(0, -1)) * (units[text.slice(-1)] ?? 1))

/** A name that stands in URLs, logs and metrics. */
export const name = () =>
  z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'not a name; write lower-case letters, digits, - _ . (64 at most)')

/** What stands in `aud`, and in a scope (RFC 6749, section 3.3). */
export const audience = () =>
  z
    .string()
    .regex(
      /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/,
      'not an audience; write printable ASCII without spaces, quotes and backslashes (128 at most)',
    )

/** Whether a host is this machine alone. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (hostname.startsWith('127.') && isIP(hostname) === 4)
}

/** An absolute https URL without user or fragment, also an empty one, which `URL` does not tell; http only to a loopback address. */
function isUsable(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, username, password } = new URL(text)
  return (
    (protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))) &&
    !username &&
    !password &&
    !text.includes('#')
  )
}

/** An absolute https URL without user, query or fragment; http only to a loopback address. */
export const url = () =>
  z
    .string('not a URL; write https://…')
    .refine(
      (text) => isUsable(text) && !text.includes('?'),
      'not a usable URL; write https://… without user, query or fragment (http only for loopback)',
    )

/** The same with a query, which OpenID Connect Back-Channel Logout 1.0, section 2.2 allows and mod_auth_openidc needs. */
export const urlWithQuery = () =>
  z.string().refine(isUsable, 'not a usable URL; write https://… without user or fragment (http only for loopback)')

/** An e-mail domain such as `corp.example`; a subdomain is another domain. */
export const emailDomain = () =>
  z
    .string()
    .regex(
      /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/,
      'not an e-mail domain; write it in lower case without @, such as corp.example',
    )

/** An address or a network in CIDR notation. */
export const network = () =>
  z.string().refine((text) => {
    const [address = '', bits, ...more] = text.split('/')
    const longest = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
    return (
      longest > 0 && more.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= longest))
    )
  }, 'not an address or network; write 10.0.0.1, 10.0.0.0/8 or fd00::/8')

const marker: unique symbol = Symbol('reference')

/** What stands in a parsed configuration until the loader puts the text in its place. */
export interface Reference {
  readonly [marker]: 'env' | 'file' | 'path'
  readonly text: string
}

/** What a value refers to, and how; undefined where it is no reference. */
export function referenceOf(value: unknown): { kind: 'env' | 'file' | 'path'; text: string } | undefined {
  if (typeof value !== 'object' || value === null || !(marker in value)) return undefined
  const { [marker]: kind, text } = value as Reference
  return { kind, text }
}

/** The loader replaces the reference before anybody else sees the value, so its type is that of the text. */
const refer = (kind: 'env' | 'file' | 'path', text: string): string =>
  ({ [marker]: kind, text }) satisfies Reference as unknown as string

/** A secret: never written into the file, only named. Once loaded it is the text itself, without a line end after it. */
export const secretReference = () =>
  z
    .union(
      [
        z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/) }),
        z.strictObject({ file: z.string().min(1) }),
      ],
      {
        error: 'a secret is never written into this file; write { env: NAME } or { file: path }',
      },
    )
    .transform((reference) => ('env' in reference ? refer('env', reference.env) : refer('file', reference.file)))

/** A path; a relative one counts from the folder of the main file. Once loaded it is absolute. `-` and `:memory:` stay. */
export const path = () =>
  z
    .string()
    .min(1)
    .transform((text) => (text === '-' || text === ':memory:' ? text : refer('path', text)))
