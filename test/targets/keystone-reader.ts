import assert from 'node:assert/strict'
import { z } from 'zod'
import { targetFields } from '../../src/config/schema.ts'
import { type KeystoneConfig, keystoneOptions } from '../../src/targets/keystone/options.ts'
import { keystoneMapping } from '../../src/targets/keystone/print/mapping.ts'
import { environmentOf, readBy } from '../../src/targets/keystone/simulate/apache.ts'
import { evaluate } from '../../src/targets/keystone/simulate/evaluate.ts'
import type { MappingLike } from '../../src/targets/keystone/simulate/rules.ts'
import { signIn } from '../../src/targets/keystone/simulate/sign-in.ts'

/** What Keystone makes of the claims: `domain/name` for groups, `domain/name:role` for projects. */
export interface Seen {
  readonly user: string
  readonly domain: string
  readonly groups: readonly string[]
  readonly projects: readonly string[]
}

const issuer = new URL('https://login.example')

/** A Keystone as the configuration has it, with all defaults. */
export function keystoneConfig(more: object = {}): KeystoneConfig {
  const read = z.strictObject({ ...targetFields, ...keystoneOptions })
  return read.parse({ id: 'cloud', url: 'https://keystone.example/v3', ...more }) as KeystoneConfig
}

/** What the newest Keystone has after a sign-in with these claims and the mapping that `lotse print` writes for them. */
export function asKeystoneReads(claims: Readonly<Record<string, unknown>>): Seen {
  const mappingSchema = 'openstack_projects' in claims ? '3.0' : '2.0'
  const mapping = keystoneMapping(keystoneConfig({ mappingSchema }), issuer) as MappingLike
  const token = { ...claims, sub: 'someone', iss: issuer.origin, aud: 'cloud' }
  const environment = environmentOf(token, 'mod_auth_openidc')
  assert.ok(environment !== undefined, 'Apache takes no claim with U+0000')
  const outcome = evaluate(mapping, readBy('30', environment), { release: '30' })
  assert.ok(outcome.kind === 'mapped', JSON.stringify(outcome))
  const { user, groups, projects } = signIn(outcome.mapped, { release: '30', home: 'home', remoteUser: 'someone' })
  return {
    user: user.name,
    domain: user.domain,
    groups: groups.map(({ domain, name }) => `${domain}/${name}`),
    projects: projects.flatMap(({ domain, name, roles }) => roles.map((role) => `${domain}/${name}:${role}`)),
  }
}
