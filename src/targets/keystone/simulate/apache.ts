import type { Release } from './rules.ts'

/** The Apache modules that hand claims to a Keystone, as Debian 12 has them: 2.4.12 and 3.3 (liboauth2 1.4.5). */
export type Module = 'mod_auth_openidc' | 'mod_oauth2'

/** With the settings that `lotse print` writes: prefix `OIDC-`, lists joined by `;`. */
const PREFIX = 'OIDC-'
const DELIMITER = ';'

/**
 * The environment that a module makes of claims, as text; undefined where it refuses them, since a claim holds U+0000.
 * @see https://github.com/OpenIDC/mod_auth_openidc/blob/v2.4.12.3/src/util.c `oidc_util_set_app_infos`
 * @see https://github.com/OpenIDC/liboauth2/blob/v1.4.5.4/src/server/apache.c `oauth2_apache_set_target_infos`
 */
export function environmentOf(
  claims: Readonly<Record<string, unknown>>,
  module: Module,
): Readonly<Record<string, string>> | undefined {
  if (JSON.stringify(claims).includes('\\u0000')) return undefined
  const entries = Object.entries(claims).flatMap(([name, value]): readonly [string, string][] => {
    const text = module === 'mod_oauth2' ? passedWhole(value) : passed(value)
    return text === undefined ? [] : [[PREFIX + headerName(name), text]]
  })
  return Object.fromEntries(entries)
}

/** Other characters than those of a header's name become dashes, so that two claims may meet in one variable. */
const headerName = (name: string) => name.replace(/[()<>@,;:\\"/[\]?={} \t\p{Cc}]/gu, '-')

/** mod_auth_openidc: numbers and truth values as C prints them, of a list only texts and truth values, no `null`. */
function passed(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return value ? '1' : '0'
  if (typeof value === 'number') return Number.isInteger(value) ? value.toFixed(0) : value.toFixed(6)
  if (value === null || value === undefined) return undefined
  if (!Array.isArray(value)) return json(value)
  return value.reduce((joined: string, each: unknown) => {
    if (typeof each !== 'string' && typeof each !== 'boolean') return joined
    return joined === '' ? (passed(each) ?? '') : `${joined}${DELIMITER}${passed(each)}`
  }, '')
}

/** mod_oauth2: everything but a text as JSON, lists too, which no condition of a mapping then finds anything in. */
function passedWhole(value: unknown): string | undefined {
  return value === undefined ? undefined : typeof value === 'string' ? value : json(value)
}

/** JSON as jansson writes it. */
function json(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(json).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const members = Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${json(each)}`)
  return `{${members.join(', ')}}`
}

/**
 * The environment as Keystone's own code sees it: WSGI gives it the bytes as Latin-1, and newer releases (the fix came in 2026) turn them
 * back into UTF-8 where they are.
 */
export function readBy(
  release: Release,
  environment: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const read = (text: string) => {
    const bytes = Buffer.from(text, 'utf8')
    return release === '22' ? bytes.toString('latin1') : bytes.toString('utf8')
  }
  return Object.fromEntries(Object.entries(environment).map(([name, text]) => [name, read(text)]))
}
