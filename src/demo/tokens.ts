import { createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import { ISSUER_RING } from '../core/ports.ts'

/** A token's claims as they stand in it, without any check. */
export type Claims = Readonly<Record<string, unknown>>

/** The payload of a JWT. @throws where it is none */
export function payloadOf(token: string): Claims {
  return part(token, 1)
}

function part(token: string, index: number): Claims {
  const read: unknown = JSON.parse(Buffer.from(token.split('.')[index] ?? '', 'base64url').toString())
  if (typeof read !== 'object' || read === null) throw new TypeError('no JWT')
  return read as Claims
}

/** A set of keys as it is published (RFC 7517). */
export interface Jwks {
  readonly keys: readonly JsonWebKey[]
}

/** Where the keys of a ring are published. */
export function jwksUrl(issuer: string, ring: string): URL {
  return new URL(ring === ISSUER_RING ? '/jwks' : `/jwks/${ring}`, issuer)
}

/** Whether one of the published keys made an ES256 token's signature (RFC 7515, section 5.2). */
export function signedBy(token: string, jwks: Jwks): boolean {
  const [head = '', body = '', signature = ''] = token.split('.')
  const { kid, alg } = part(token, 0)
  const jwk = jwks.keys.find((key) => key['kid'] === kid)
  if (jwk === undefined || alg !== 'ES256') return false
  const key = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' as const }
  return verify('sha256', Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url'))
}

/** The targets of config/demo.yaml, and how each one's reader understands the claims of its token. */
const readers: Readonly<Record<string, (claims: Claims) => readonly string[]>> = {
  cloud: (claims) =>
    records(claims['openstack_projects']).map(({ name, domain, roles }) => {
      const names = (Array.isArray(roles) ? (roles as Claims[]) : []).map((role) => String(role['name']))
      return `project ${name} in ${(domain as Claims)['name']}: ${names.join(', ')}`
    }),
  prod: (claims) =>
    strings(claims['groups']).map((group) => {
      const [, namespace, role] = /^ns:([^:]+):(.+)$/.exec(group) ?? []
      return namespace === undefined ? `group ${group}` : `namespace ${namespace}: ${role}`
    }),
  grafana: (claims) => strings(claims['groups']).map((group) => `group ${group}`),
}

/** What the reader of a target's claims gives their bearer, in the words of the rules' tests: `prod namespace web: edit`. */
export function grantsIn(target: string, claims: Claims): readonly string[] {
  return (readers[target]?.(claims) ?? []).map((line) => `${target} ${line}`)
}

const strings = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : [])

function records(value: unknown): readonly Claims[] {
  const read: unknown = typeof value === 'string' ? JSON.parse(value) : value
  return Array.isArray(read) ? (read as Claims[]) : []
}
