import { z } from 'zod'

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** A length of time as people write it, `90s`, `10m`, `12h` or `30d`; seconds once read. */
export const duration = () =>
  z
    .string()
    .regex(/^[1-9][0-9]{0,5}[smhd]$/, 'not a length of time; write a number and a unit, such as 90s, 10m, 12h or 30d')
    .transform((text) => Number(text.slice(0, -1)) * (units[text.slice(-1)] ?? 1))

/** A name that stands in URLs, logs and metrics. */
export const name = () =>
  z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'not a name; write lower-case letters, digits, - _ . (64 at most)')

/** An absolute https URL without user, query or fragment; http only to a loopback address. */
export const url = () =>
  z.string().refine((text) => {
    if (!URL.canParse(text)) return false
    const { protocol, hostname, username, password, search, hash } = new URL(text)
    const loopback = hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
    return (protocol === 'https:' || (protocol === 'http:' && loopback)) && !username && !password && !search && !hash
  }, 'not a usable URL; write https://… without user, query or fragment (http only for loopback)')

/**
 * A secret: never written into the file, only named. Once loaded it is the text itself.
 * The loader replaces the reference before the schema sees it, and refuses a literal.
 */
export const secretReference = () =>
  z.union([z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })])
