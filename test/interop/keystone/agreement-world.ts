import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MappingLike, Release, Remote, Rule, Template } from '../../../src/targets/keystone/simulate/rules.ts'
import { badName, chance } from '../../targets/world.ts'

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

const seat = (name: string, domain = 'corp') => `JSON:${JSON.stringify({ name, domain: { name: domain } })}`

/** What bites: separators, list literals, JSON that is none, names with `name` in them, syntax of the engine itself. */
const values = [
  'alice',
  'alice@corp.example',
  'dev;ops',
  'dev;dev;ops',
  'x;ops',
  ';',
  '',
  'namespace-admins',
  'rename-team;dev',
  'my-domain-name',
  seat('dev'),
  `${seat('dev')};${seat('namespace-admins')}`,
  `${seat('gr\\u00f6\\u003bx')};plain`,
  'JSON:{"name":"x"}',
  'JSON:{"name":',
  'JSON:5 name',
  'JSON:"the domain name"',
  'JSON:["domain","name"]',
  'JSON:["name"]',
  'JSON:null;name',
  'JSON:JSON:{"name":"y","domain":{"id":"d"}}',
  "['admin']",
  "['admin', 'ops']",
  '[]',
  "['a' 'b', u'c', r'\\d', \"it's\"]",
  '[1, -2, 2.5, 0x1f, 1_000, True, None]',
  "[('a', 'b'), ['c'], {'d': 'e'}, {'f'}, set(), b'g', 1j, ...]",
  "['namespace', {'name': 1}]",
  '[{[]: 1}]',
  '{[]: 1}',
  "['a',",
  "['a'] # comment",
  "['a']\n",
  "\n\n['a']",
  "  ['a',\n 'b',]",
  "(['a'])",
  "['''a\nb''', '''c''']",
  "['\\x41\\101\\u00e9\\U0001f600\\q\\n']",
  "['\\x4']",
  "[f'a']",
  "['a'] + ['b']",
  '[a]',
  '[1 + 2j, 1 - 2]',
  '[01]',
  'Größe;漢字',
  'GrÃ¶Ã\u009fe',
  '{0}',
  '{name}',
  'it\'s "quoted" \\ here',
  'it\'s;"both" it\'s',
  'tab\there;line\nthere;\u0000;\u200b\u202e',
  'not-an-administrator',
  'admin\n',
  '5',
  'null',
  'web;prod;web',
  '[{"name":"web","domain":{"name":"corp"},"roles":[{"name":"member"}]}]',
  '[{"name":"web","roles":[{"name":"member"},{"name":"reader"}]},{"name":"p","domain":{},"roles":[]}]',
  '[{"name":"web","roles":[{"name":"member","id":"x"}]}]',
  '[{"name":"web"}]',
  '[{"name":"web","domain":"corp","roles":[]}]',
  '{"name":"web","roles":[]}',
  '[{"name":"a\\u003bb","roles":[{"name":"gr\\u00f6\\u00dfe"}]}]',
  '[{"name":"a;b","roles":[]}]',
  '"text"',
] as const

const odd = [
  '{}',
  '{} {}',
  '{0} {}',
  '{{0}}',
  '{',
  '}',
  '}}{{',
  '{9}',
  '{name}',
  '{0!r}',
  '{0!a}',
  '{0!s}',
  '{0!x}',
  '{0!r:>12}',
  '{0:>12}',
  '{0:*^9.3}',
  '{0:05}',
  '{0:<}',
  '{0:d}',
  '{0:=5}',
  '{0:.2s}',
  '{0:{1}}',
  '{0[0]}',
  '{0[99]}',
  '{0[x]}',
  '{0[}',
  '{0[0]x}',
  '{0!r',
  '{0!}',
  '{0:{1:{2}}}',
  '{0.upper}',
  '{"a": "{0}"}',
  '{0',
  '{00}',
  'größe {0}',
  '',
] as const

const expressions = [
  'admin',
  '^admin$',
  'dev|ops',
  '.*keycloak1.*',
  '(?i)ADMIN',
  '(?s)a.*b',
  '(?m)^there$',
  '^\\w+$',
  '^\\d+$',
  '\\s',
  '[^a-z]',
  '[]a]',
  '[\\d-]',
  '[a\\D]',
  'a{1,2}$',
  'a{,2}b?$',
  'e{2}',
  'x{',
  'admin\\Z',
  '\\Aadmin',
  '\\badmin\\b',
  '(?P<x>a)(?:b|c)?',
  '(?#note)dev',
  'a*?l+?',
  '\\x61\\u006c',
  '\\.example$',
  '(?i:DEV)',
  '',
  'a||b',
  '(',
  ')',
  '[',
  '*a',
  'a**',
  'a{3,1}',
  '\\y',
  '[z-a]',
  '(?P<1>a)',
  'a(?i)b',
  '^*',
  '(?=a)',
  '(a)\\1',
  'é',
  '[à-ÿ]',
] as const

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
