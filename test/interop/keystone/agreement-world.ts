import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { keystoneMapping } from '../../../src/targets/keystone/print/mapping.ts'
import { environmentOf } from '../../../src/targets/keystone/simulate/apache.ts'
import type { MappingLike, Release, Remote, Rule, Template } from '../../../src/targets/keystone/simulate/rules.ts'
import { openKeystone } from '../../../src/targets/keystone/target.ts'
import { keystoneConfig } from '../../targets/keystone-reader.ts'
import { badGrant, badName, chance, decision } from '../../targets/world.ts'
import { expressions, odd, values } from './agreement-values.ts'

/** A mapping and what Apache would put before it. */
export interface Pair {
  readonly mapping: MappingLike
  readonly environment: Readonly<Record<string, string>>
}

type Random = ReturnType<typeof chance>

/** Chance, and how many matches the rule at hand has. */
type Filling = Random & { readonly matches: number }

const variables = [
  'OIDC-sub',
  'OIDC-preferred_username',
  'OIDC-email',
  'OIDC-groups',
  'OIDC-roles',
  'OIDC-openstack_projects',
]

function text(random: Random): string {
  const { below, pick } = random
  if (below(8) === 0) return badName(random)
  return below(6) === 0 ? [pick(values), pick(values)].join(';') : pick(values)
}

function template({ below, pick, matches }: Filling): string {
  if (below(25) === 0) return pick(odd)
  const match = `{${below(60) === 0 ? 9 : below(Math.max(1, matches))}}`
  return matches === 0 ? pick(['corp', 'web']) : pick([match, match, match, 'corp', `${match}-x`, `${match}${match}`])
}

function listed(random: Random, regex: boolean): readonly unknown[] {
  const { below, pick } = random
  const one = (): unknown => {
    const kind = below(40)
    if (kind === 0) return pick([1, true, null, 2.5])
    if (kind === 1) return pick([['dev'], { a: 1 }])
    if (regex) return pick(expressions)
    return pick(text(random).split(';'))
  }
  return Array.from({ length: below(4) }, one)
}

function remote(random: Random): Remote {
  const { below, pick } = random
  const type = below(12) === 0 ? 'OIDC-absent' : pick(variables)
  if (below(2) === 0) return { type }
  const regex = below(3) === 0
  const key = pick(['any_one_of', 'any_one_of', 'not_any_of', 'not_any_of', 'whitelist', 'blacklist'])
  return { type, [key]: listed(random, regex), ...(regex || below(4) === 0 ? { regex } : {}) }
}

function domain(random: Filling): Template {
  const { below } = random
  if (below(10) === 0) return below(2) ? {} : { id: template(random), name: template(random) }
  return { [below(5) === 0 ? 'id' : 'name']: below(2) ? 'corp' : template(random) }
}

function user(random: Filling): Template {
  const { below, pick } = random
  return {
    ...(below(3) ? { id: template(random) } : {}),
    ...(below(4) ? { name: template(random) } : {}),
    ...(below(3) === 0 ? { email: template(random) } : {}),
    ...(below(2) ? { domain: domain(random) } : {}),
    ...(below(6) === 0 ? { type: pick(['ephemeral', 'ephemeral', 'local', '{0}', '']) } : {}),
  }
}

function projects(random: Filling, withDomain: boolean): readonly Template[] {
  const { below } = random
  return Array.from({ length: below(3) }, () => ({
    name: template(random),
    roles: Array.from({ length: below(3) }, () => ({ name: below(2) ? 'member' : template(random) })),
    ...(withDomain && below(2) ? { domain: domain(random) } : {}),
  }))
}

function local(random: Filling, schema: string): Template {
  const { below, pick } = random
  const groups = (): Template => ({ groups: template(random), ...(below(5) ? { domain: domain(random) } : {}) })
  const group = (): Template => ({
    group: below(3) ? { name: template(random), domain: domain(random) } : { id: template(random) },
  })
  const shapes: readonly (() => Template)[] = [
    () => ({ user: user(random) }),
    () => ({ user: user(random), domain: domain(random) }),
    groups,
    groups,
    group,
    () => ({ group_ids: template(random) }),
    () => ({ projects: projects(random, schema !== '1.0'), ...(below(2) ? { domain: domain(random) } : {}) }),
    () => ({ ...group(), ...groups(), user: user(random), projects: projects(random, schema !== '1.0') }),
    () => ({ domain: domain(random) }),
    () => ({}),
  ]
  const json = (): Template => ({
    projects_json: below(4) ? '{0}' : pick(['{1}', '{2}', '0', '{0}x', 'x', '{7}']),
    ...(below(2) ? { domain: domain(random) } : {}),
    ...(below(3) === 0 ? { projects: projects(random, true) } : {}),
  })
  return schema === '3.0' && below(3) === 0 ? json() : pick(shapes)()
}

function rule(random: Random, schema: string): Rule {
  const { below } = random
  const plain = Array.from({ length: below(3) }, () => ({ type: random.pick(variables) }))
  const conditions = [...plain, ...Array.from({ length: 1 + below(2) }, () => remote(random))]
  const matches = conditions.filter((each) => !('any_one_of' in each || 'not_any_of' in each)).length
  return {
    local: Array.from({ length: 1 + below(3) }, () => local({ ...random, matches }, schema)),
    remote: conditions,
  }
}

function environmentFor(names: readonly string[], random: Random): Pair['environment'] {
  return Object.fromEntries(names.filter(() => random.below(30) > 0).map((name) => [name, text(random)]))
}

/** Mappings and environments at random, the same for the same seed; the schemas are those that the release has. */
export function pairs(count: number, seed: number, release: Release): readonly Pair[] {
  const random = chance(seed)
  return Array.from({ length: count }, () => {
    const schema = release === '22' ? '1.0' : random.pick(['1.0', '2.0', '3.0', '3.0'])
    const rules = Array.from({ length: 1 + random.below(3) }, () => rule(random, schema))
    const version = schema === '1.0' && random.below(2) ? {} : { schema_version: schema }
    return { mapping: { rules, ...version }, environment: environmentFor(variables, random) }
  })
}

/** The mappings of other people's clouds, each with environments at random in which its conditions sometimes hold. */
export async function corpusPairs(folder: string, count: number, seed: number): Promise<readonly Pair[]> {
  const random = chance(seed)
  const files = [
    'osism-testbed_mapping_R2_2022-03-15.json',
    'osism-testbed_mapping_last_2024-06.json',
    'testbed-gx-iam_keycloak_rules_2020.json',
  ]
  const read = async (file: string) => JSON.parse(await readFile(join(folder, file), 'utf8')) as readonly Rule[]
  const all = await Promise.all(files.map(read))
  return all.flatMap((rules) =>
    Array.from({ length: count }, () => ({ mapping: { rules }, environment: like(rules, random) })),
  )
}

function like(rules: readonly Rule[], random: Random): Pair['environment'] {
  const { below, pick } = random
  const entries = rules.flatMap(({ remote: conditions }) =>
    conditions.map(({ type, any_one_of: some, regex }): [string, string] => {
      const fitting = some?.map((each) => (regex === true ? `/${String(each).replaceAll('.*', '')}` : String(each)))
      return [type, fitting !== undefined && below(4) > 0 ? pick(fitting) : text(random)]
    }),
  )
  return Object.fromEntries(entries.filter(() => below(15) > 0))
}

/** The mappings that `lotse print` writes, before the claims of decisions at random, and now and then before a claim that is foreign. */
export function printedPairs(count: number, seed: number, release: Release): readonly Pair[] {
  const random = chance(seed)
  const { below, pick } = random
  const reconcile = { applicationCredential: { id: 'x', secret: { env: 'SECRET' } } }
  const kinds =
    release === '22'
      ? [{ mappingSchema: '1.0' }]
      : [{}, { mappingSchema: '2.0' }, { mappingSchema: '1.0' }, { reconcile }]
  const issuer = new URL('https://login.example')
  return Array.from({ length: count }, () => {
    const config = keystoneConfig(pick(kinds))
    const grants = Array.from({ length: below(5) }, () => badGrant(random, ['cloud']))
    const claims = openKeystone(config).claims(
      decision(grants, { username: badName(random), email: badName(random) }),
      'id_token',
    )
    const token = { ...claims, sub: 'a'.repeat(43), iss: issuer.origin, aud: 'cloud' }
    const foreign = below(3) === 0 ? { [pick(variables)]: text(random) } : {}
    const mapping = keystoneMapping(config, issuer) as MappingLike
    return { mapping, environment: { ...environmentOf(token, pick(['mod_auth_openidc', 'mod_oauth2'])), ...foreign } }
  })
}
