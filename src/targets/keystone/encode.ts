import { createHash } from 'node:crypto'

/**
 * JSON text that reaches Keystone's mapping engine unchanged through every Apache module: `;` would split the value into two
 * (a group `x;ops` puts the person into `ops`), braces are the engine's own syntax, a comma is mod_auth_openidc's delimiter,
 * and Keystone reads other than ASCII as Latin-1. In strings all of these are written `\uXXXX`.
 */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/"(?:[^"\\]|\\.)*"/g, (text) =>
    text.replace(/[^\x20-\x7e]|[;,{}%]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  )
}

/** Whether a text reaches Keystone as it is through every Apache module. */
export const passesApache = (text: string): boolean => !/[^\x20-\x7e]|[;,{}"'\\]/.test(text)

/**
 * A login name that Apache and Keystone show unchanged: printable ASCII without `;`, braces and quotes. A name that had to be changed gets
 * a short fingerprint of the original, so that `Jürgen` and `Jurgen` stay two names. Keystone tells people apart by
 * `sub`, never by this.
 */
export function asciiName(name: string): string {
  const plain = name
    .replace(/ß/g, 'ss')
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^\x20-\x7e]|[;,{}"\\]/gu, '_')
    .trim()
    .slice(0, 200)
  // An empty name is none to Keystone, which then takes REMOTE_USER: another one by browser than by bearer token.
  if (plain === name && name !== '') return name
  return `${plain}~${createHash('sha256').update(name).digest('hex').slice(0, 8)}`
}
