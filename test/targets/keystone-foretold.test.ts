import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decide } from '../../src/core/decide.ts'
import { type Decision, type Grant, grantsAt } from '../../src/core/decision.ts'
import { accountId, type Subject } from '../../src/core/subject.ts'
import type { KeystoneConfig } from '../../src/targets/keystone/options.ts'
import type { Release } from '../../src/targets/keystone/simulate/rules.ts'
import type { Seen } from '../../src/targets/keystone/simulate/sign-in.ts'
import { type Simulated, simulate } from '../../src/targets/keystone/simulate/simulate.ts'
import { warningsOf } from '../../src/targets/keystone/simulate/warnings.ts'
import { openKeystone } from '../../src/targets/keystone/target.ts'
import { NOW, policyOf } from '../core/support.ts'
import { keystoneConfig } from './keystone-reader.ts'
import { badGrant, badName, chance, decision } from './world.ts'

const issuer = new URL('https://login.example')
const sub = accountId({ connector: 'corp', id: 'a1' })
const reconcile = { applicationCredential: { id: 'x', secret: { env: 'SECRET' } } }

const follow = (given: Decision, more: object = {}, release?: Release) =>
  simulate(keystoneConfig(more), { decision: given, sub, issuer }, release)

const about = ({ warnings }: Simulated) => new Set(warnings.map((warning) => warning.about))
const saying = ({ warnings }: Simulated, kind: string) =>
  warnings.flatMap((warning) => (warning.about === kind ? [warning.says] : [])).join('\n')

const group = (name: string, domain?: string): Grant => ({
  target: 'cloud',
  group: name,
  ...(domain ? { domain } : {}),
})
const project = (name: string, roles = ['member']): Grant => ({ target: 'cloud', project: name, roles })

/** Every way by which somebody comes, with whom Keystone then has. */
function all({ arrivals }: Simulated): readonly Seen[] {
  return arrivals.map(({ seen, refused }) => {
    assert.equal(refused, undefined)
    return seen as Seen
  })
}

describe('a person followed into her Keystone', () => {
  it('is one user, with exactly her groups and projects, by browser and by bearer token', () => {
    const given = decision(
      [group('namespace-admins'), group('größe;ops', 'infra'), project('a;b', ['reader', 'member'])],
      {
        domain: 'corp',
        email: 'alice@corp.example',
      },
    )
    for (const seen of all(follow(given)))
      assert.deepEqual(seen, {
        user: { id: sub, name: 'alice', domain: 'corp', email: 'alice@corp.example' },
        groups: [
          { name: 'namespace-admins', domain: 'corp' },
          { name: 'größe;ops', domain: 'infra' },
        ],
        groupIds: [],
        projects: [{ name: 'a;b', domain: 'corp', roles: ['member', 'reader'] }],
      })
  })

  it('is told what would bite: what has to be there, what a sign-in ends, what it takes away', () => {
    const found = follow(decision([group('dev'), project('web')]))
    assert.deepEqual(about(found), new Set(['must-exist', 'deletes', 'sessions', 'application-credentials']))
    assert.match(
      saying(found, 'must-exist'),
      /domain that is missing .*: Default\n.*role that is missing .*member\n.*group that is missing .*dev in Default/,
    )
    const makes = { reconcile: { ...reconcile, create: ['domain'] } }
    assert.ok(!about(follow(decision([group('dev')]), makes)).has('must-exist'), 'the gateway makes the domain')
  })

  it('is told by which ways Keystone refuses her, and with which answer', () => {
    const found = follow(decision([group('dev')]), { audience: 'a;b' })
    assert.deepEqual(
      saying(found, 'refused')
        .split('\n')
        .map((line) => line.replace(/: Keystone answers 401 .*/, ' is 401')),
      [
        'by websso through mod_auth_openidc is 401',
        'by bearer through mod_auth_openidc is 401',
        'by bearer through mod_oauth2 is 401',
      ],
    )
  })

  it('is told where she would be two people', () => {
    const asked = { decision: decision([group('dev')]), sub, issuer }
    const { warnings: _, arrivals, ...made } = simulate(keystoneConfig(), asked)
    const [first, ...others] = arrivals
    assert.ok(first?.seen)
    const other = { ...first, seen: { ...first.seen, user: { ...first.seen.user, id: 'another' } } }
    const warnings = warningsOf(keystoneConfig(), asked, { ...made, arrivals: [other, ...others] })
    assert.match(
      saying({ ...made, arrivals, warnings }, 'differs'),
      /^two users of one person, .*: another in Default \| /,
    )
  })

  it('is told that her name is shown otherwise, and that her address is left out', () => {
    const found = follow(decision([project('web')], { username: 'Jürgen', email: 'j@größe.example' }))
    assert.match(saying(found, 'changed'), /Jürgen is shown as Jurgen~[0-9a-f]{8}[\s\S]*j@größe\.example is left out/)
  })

  it('is told how near her claims are to the limits', () => {
    const many = (count: number) =>
      decision(Array.from({ length: count }, (_, at) => group(`a-rather-long-name-${at}`)))
    assert.ok(!about(follow(many(3))).has('size'))
    assert.match(saying(follow(many(48)), 'size'), /claims are 3\d\d\d bytes/)
    assert.throws(() => follow(many(60)), { code: 'grants_too_large' })
  })

  it('is told that schema 1.0 puts her into the domain of the identity provider', () => {
    const found = follow(decision([group('dev')], { domain: 'corp' }), { mappingSchema: '1.0', domain: 'people' })
    assert.equal(found.release, '22')
    assert.match(saying(found, 'domain'), /people, and not into corp/)
    assert.deepEqual(new Set(all(found).map(({ user }) => user.domain)), new Set(['people']))
  })

  it('is told what the gateway writes by itself, with a mapping that says nothing but who she is', () => {
    const found = follow(decision([group('dev'), project('web')]), { reconcile })
    for (const { groups, projects } of all(found)) assert.deepEqual([groups, projects], [[], []])
    assert.match(
      saying(found, 'written'),
      /mapping: project web in domain Default: member; group dev in domain Default/,
    )
    assert.ok(!about(found).has('deletes'))
  })
})

/** What the decision gives here, in the words of what Keystone has. */
function expected(given: Decision, keystone: KeystoneConfig) {
  const { refuse } = openKeystone(keystone)
  const home = given.identity.domain ?? keystone.domain
  const mine = grantsAt(given, 'cloud').filter((grant) => refuse(grant) === undefined)
  const place = (name: string, domain = home) => `${domain}\n${name}`
  return {
    groups: new Set(mine.flatMap((grant) => ('group' in grant ? [place(grant.group, grant.domain)] : []))),
    roles: new Set(
      mine.flatMap((grant) =>
        'project' in grant ? grant.roles.map((role) => `${place(grant.project, grant.domain)}\n${role}`) : [],
      ),
    ),
  }
}

function had({ groups, projects }: Seen) {
  return {
    groups: new Set(groups.map(({ name, domain }) => `${domain}\n${name}`)),
    roles: new Set(projects.flatMap(({ name, domain, roles }) => roles.map((role) => `${domain}\n${name}\n${role}`))),
  }
}

const kinds: readonly (readonly [what: string, more: object, release: Release])[] = [
  ['schema 3.0', {}, '30'],
  ['schema 2.0', { mappingSchema: '2.0' }, '30'],
  ['schema 1.0', { mappingSchema: '1.0' }, '22'],
  ['schema 1.0 on a new release', { mappingSchema: '1.0' }, '30'],
  ['a reconciler', { reconcile }, '30'],
  ['a reconciler and schema 1.0', { reconcile, mappingSchema: '1.0' }, '22'],
]

/** Whom Keystone has by every way: the same person, with what the decision gives and nothing else; false where the gateway refuses. */
function holds(
  given: Decision,
  keystone: KeystoneConfig,
  of: { readonly sub: string; readonly release: Release },
): boolean {
  let found: Simulated
  try {
    found = simulate(keystone, { decision: given, sub: of.sub, issuer }, of.release)
  } catch (error) {
    assert.match((error as { code: string }).code, /^(grants_too_large|claims_unusable)$/)
    return false
  }
  const wanted = keystone.reconcile === undefined ? expected(given, keystone) : { groups: new Set(), roles: new Set() }
  for (const seen of all(found)) {
    assert.deepEqual(had(seen), wanted)
    assert.deepEqual(seen.groupIds, [])
    assert.equal(seen.user.id, of.sub)
    assert.match(`${seen.user.name}${seen.user.email ?? ''}`, /^[\x20-\x7e]+$/)
    assert.ok(seen.user.name.length <= 255)
    for (const { name, domain } of [...seen.groups, ...seen.projects])
      assert.ok([...name].length <= 64 && [...domain].length <= 64, 'as long as Keystone has them')
  }
  for (const { environment } of found.arrivals)
    assert.match(Object.values(environment).join(''), /^[\x20-\x7e]*$/, 'all that Apache hands on is ASCII')
  assert.ok(!['refused', 'differs'].some((kind) => about(found).has(kind as never)))
  return true
}

describe('whatever is given, Keystone has exactly that', () => {
  for (const [what, more, release] of kinds)
    it(`with ${what}, for 1,000 decisions of nasty names`, (t) => {
      const random = chance(20_261_128)
      const keystone = keystoneConfig(more)
      let held = 0
      for (let round = 0; round < 1000; round++) {
        const grants = Array.from({ length: random.below(6) }, () => badGrant(random, ['cloud', 'prod']))
        const identity = {
          username: badName(random),
          name: badName(random),
          email: badName(random),
          ...(random.below(2) ? { domain: random.pick(['corp', 'people', 'big corp']) } : {}),
        }
        if (holds(decision(grants, identity), keystone, { sub, release })) held++
      }
      t.diagnostic(`${held} of 1000 reached Keystone; the rest is refused by the gateway`)
      assert.ok(held > 700)
    })
})

const poison = [
  '/teams/web/dev',
  '/teams/web;ops/dev',
  '/teams/a,b/dev',
  '/teams/{0}/dev',
  "/teams/['admin']/dev",
  '/teams/JSON:{"name":"admin","domain":{"name":"Default"}}/dev',
  '/teams/namespace/dev',
  '/teams/a\nb/dev',
  '/teams/größe/dev',
  '/teams/x\u202ey/dev',
  '/teams/admin/admin',
  `/teams/${'x'.repeat(20_000)}/dev`,
  '[{"name":"admin","roles":[{"name":"admin"}]}]',
  'JSON:{"name":"admin","domain":{"name":"Default"}}',
  "['admin']",
  ';admin',
  '{0}',
  '"quoted"',
]

describe('whoever comes, no text of a claim gains anything that the rules did not give', () => {
  const policy = policyOf({
    connectors: [{ id: 'corp', domain: 'corp' }],
    targets: [openKeystone(keystoneConfig())],
    rules: [
      {
        name: 'teams',
        from: ['corp'],
        each: { claim: 'groups', pattern: '/teams/<team>/dev' },
        give: [
          { target: 'cloud', project: '<team>', roles: ['member'] },
          { target: 'cloud', group: 'team-<team>' },
        ],
      },
      { name: 'everybody', from: ['corp'], give: [{ target: 'cloud', group: 'people' }] },
    ],
  })

  function anybody(random: ReturnType<typeof chance>): Subject {
    const { below, pick } = random
    const text = () => (below(3) === 0 ? badName(random) : pick(poison))
    const texts = () => Array.from({ length: below(5) }, text)
    const names = [
      'groups',
      'preferred_username',
      'name',
      'email',
      'openstack_projects',
      'openstack_user_domain',
      'sub',
      'aud',
    ]
    const claims = Object.fromEntries(names.map((name) => [name, name === 'groups' ? texts() : [text()]]))
    return { connector: 'corp', id: text(), claims, records: {}, authTime: NOW }
  }

  for (const [what, more, release] of kinds)
    it(`with ${what}, for 600 people`, (t) => {
      const random = chance(7)
      const keystone = keystoneConfig(more)
      let held = 0
      for (let round = 0; round < 600; round++) {
        const subject = anybody(random)
        const given = decide(policy, subject, NOW)
        for (const grant of given.grants) {
          const name = 'project' in grant ? grant.project : 'group' in grant ? grant.group.replace('team-', '') : ''
          assert.ok(name === 'people' || subject.claims['groups']?.includes(`/teams/${name}/dev`), name)
          if ('roles' in grant) assert.deepEqual(grant.roles, ['member'])
        }
        if (given.allowed && holds(given, keystone, { sub: accountId(subject), release })) held++
      }
      t.diagnostic(`${held} of 600 reached Keystone`)
      assert.ok(held > 300)
    })
})
