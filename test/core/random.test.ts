import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Policy } from '../../src/core/compile.ts'
import { conclude, decide, examine } from '../../src/core/decide.ts'
import { explain } from '../../src/core/explain.ts'
import { factsOf } from '../../src/core/facts.ts'
import type { Subject } from '../../src/core/subject.ts'
import { milliseconds } from '../support/turns.ts'
import { NOW, policyOf } from './support.ts'

/** A small generator with a seed, so that what fails fails again. */
function random(seed: number) {
  let state = seed
  const below = (limit: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
  return { below, of: <T>(list: readonly T[]): T => list[below(list.length)] as T }
}

const words = [
  'web',
  'db',
  'WEB',
  'prod-web',
  '',
  ' ',
  'a;b',
  'größe',
  '<team>',
  '*',
  '__proto__',
  'constructor',
  'd-b',
  'd-a',
  'a-x',
  'b-x',
  '../x',
  'a\u0000b',
  '\ud800',
  'system:masters',
]
const values = [
  ...words,
  ...words.map((word) => `/teams/${word}/dev`),
  ...words.map((word) => `x${word}-7`),
  'y'.repeat(5000),
]
const claims = [
  'groups',
  'account_status',
  'end',
  '__proto__',
  'toString',
  'email',
  'email_verified',
  'customers',
  '/realm/roles',
]

function anybody({ below, of }: ReturnType<typeof random>): Subject {
  const entries = Array.from(
    { length: below(6) },
    () => [of(claims), Array.from({ length: below(8) }, () => of(values))] as const,
  )
  const odd = below(4) === 0 ? [['odd', of<unknown>([null, 7, 'text', [1, null, {}], { a: 1 }])] as const] : []
  const ends = below(2) === 0 ? [['end', [of(['2026-12-31', '2999-01-01', 'x', ''])]] as const] : []
  return {
    connector: of(['corp', 'social', 'idp-a', 'idp-b', 'nobody', '__proto__']),
    id: of(['a1', 'a2', ...words]),
    // Object.fromEntries defines `__proto__` as a property of its own, as JSON.parse does.
    claims: Object.fromEntries([...entries, ...odd, ...ends]) as Subject['claims'],
    records: below(3) === 0 ? { contracts: [{ team: of(words), end: of(['2999-01-01', 'x']) }, {}] } : {},
    authTime: of([NOW, NOW - 10_000, Number.NaN, Number.POSITIVE_INFINITY]),
    ...(below(2) === 0 ? { acr: of(['low', 'high', 'odd']) } : {}),
    ...(below(2) === 0 ? { amr: ['hwk'] } : {}),
  }
}

const limits = {
  targets: ['cloud', 'prod'],
  domains: ['d-<tenant.id>'],
  namespaces: ['<tenant.id>-*'],
  groups: ['<tenant.id>-*'],
}
const everywhere = [
  { target: 'cloud', project: '<g>', roles: ['member', 'manager'] },
  { target: 'cloud', project: 'p', domain: '<g>', roles: ['member'] },
  { target: 'cloud', domain: '<g>', roles: ['member'] },
  { target: 'prod', namespace: '<g>', roles: ['edit'] },
  { target: 'prod', group: '<g>-x' },
]
const tenant = (id: string) => ({
  id,
  limits,
  connectors: [{ id: `idp-${id}`, domain: `d-${id}` }],
  admit: ['corp'],
  ruleSets: ['shared'],
})

const policy = policyOf({
  vars: { team: 'web' },
  tables: { teams: { web: ['t1', 't2'], '/teams/db/dev': 'db', __proto__: 'x' } },
  assurance: ['low', 'high'],
  connectors: [{ id: 'corp', domain: 'd-a', emailDomains: ['corp.example'] }, { id: 'social' }],
  breakGlass: [
    {
      name: 'fire',
      subjects: ['corp/a1'],
      amr: ['hwk'],
      give: [{ target: 'prod', cluster: true, roles: ['cluster-admin'] }],
    },
  ],
  rules: [
    {
      name: 'teams',
      from: ['corp', 'social'],
      each: { claim: 'groups', pattern: '/teams/<g>/<rank>' },
      give: everywhere,
    },
    {
      name: 'folded',
      from: ['corp'],
      each: { claim: 'groups', pattern: 'X<g>-7', ignoreCase: true },
      give: everywhere,
    },
    {
      name: 'regex',
      from: ['corp'],
      each: { claim: 'groups', regex: '(?P<g>[^/]+)-7' },
      give: everywhere,
      until: { endOf: 'end', zone: 'UTC' },
    },
    {
      name: 'any',
      from: ['corp'],
      each: { claim: 'groups', pattern: '<g>' },
      if: [{ claim: 'account_status', noneOf: ['db'] }],
      give: everywhere,
    },
    {
      name: 'table',
      from: ['corp'],
      each: { claim: 'groups', inTable: 'teams', as: 'g' },
      if: [{ acr: { atLeast: 'high' } }],
      give: everywhere,
    },
    { name: 'records', from: ['corp'], each: { record: 'contracts', fields: { team: '<g>' } }, give: everywhere },
    { name: 'equal', from: ['corp'], if: [{ claim: 'groups', anyOf: ['web', '<vars.team>'] }], admit: true },
    { name: 'person', from: ['social'], if: [{ subject: ['social/a1', 'social/web'] }], admit: true },
    {
      name: 'suspended',
      from: ['corp'],
      if: [{ claim: 'account_status', is: 'WEB' }],
      forbid: { person: true, because: 'suspended' },
    },
    { name: 'never prod', from: ['corp', 'social'], forbid: { target: 'cloud', project: 'prod-*', because: 'never' } },
    { name: 'never managers', from: ['social'], forbid: { target: '*', roles: ['manager'], because: 'never' } },
  ],
  ruleSets: {
    shared: [
      { name: 'wide', from: ['own', 'corp'], each: { claim: 'groups', pattern: '<g>' }, give: everywhere },
      {
        name: 'ban',
        from: ['own'],
        each: { claim: 'customers', pattern: '<g>' },
        forbid: { target: 'cloud', project: '<g>', because: 'banned' },
      },
    ],
  },
  tenants: [tenant('a'), tenant('b')],
})

/** The decision that asking every rule would give: what the index leaves out must not matter. */
function withoutIndex(policy: Policy, subject: Subject) {
  const people = policy.people.get(subject.connector)
  if (people === undefined) return undefined
  const facts = factsOf(subject, people.groups, NOW)
  const refs = policy.reach.get(subject.connector)?.refs() ?? []
  const findings = refs.map((ref) => examine(policy, ref, facts, people.owned.connector.domain))
  return conclude(policy, facts, people.identity(facts), findings)
}

describe('for 5,000 people at random', () => {
  const dice = random(42)
  const people = Array.from({ length: 5000 }, () => anybody(dice))

  it('a decision never throws, and is the same as without the index', () => {
    for (const subject of people) {
      const decision = decide(policy, subject, NOW)
      const plain = withoutIndex(policy, subject)
      if (plain !== undefined) assert.deepEqual(decision, plain)
      else assert.equal(decision.allowed, false)
    }
    assert.ok(people.some((subject) => decide(policy, subject, NOW).grants.length > 5))
  })

  it('nobody of a tenant’s connector gets anything outside the tenant', () => {
    for (const subject of people) {
      const id = /^idp-([ab])$/.exec(subject.connector)?.[1]
      if (id === undefined) continue
      for (const grant of decide(policy, subject, NOW).grants) {
        if ('namespace' in grant) assert.ok(grant.namespace.startsWith(`${id}-`))
        else if ('group' in grant) assert.ok(grant.group.startsWith(`${id}-`))
        else assert.equal('domain' in grant && grant.domain, `d-${id}`)
      }
    }
  })

  it('what is forbidden is never given, and break glass is reached by its people alone', () => {
    for (const subject of people) {
      const { grants, allowed } = decide(policy, subject, NOW)
      const own = Object.hasOwn(subject.claims, 'account_status') ? subject.claims['account_status'] : []
      if (subject.connector === 'corp' && own?.includes('WEB')) assert.deepEqual([allowed, grants], [false, []])
      for (const grant of grants) {
        if ('project' in grant && (subject.connector === 'corp' || subject.connector === 'social'))
          assert.ok(!grant.project.startsWith('prod-'))
        if (subject.connector === 'social' && 'roles' in grant) assert.ok(!grant.roles.includes('manager'))
        if ('cluster' in grant) assert.deepEqual([subject.connector, subject.id, subject.amr], ['corp', 'a1', ['hwk']])
      }
    }
  })

  it('the explanation says what the decision says, of every rule', () => {
    for (const subject of people.slice(0, 1500)) {
      const { decision, rules } = explain(policy, subject, NOW)
      assert.deepEqual(decision, decide(policy, subject, NOW))
      const matched = new Set(rules.filter((rule) => rule.matched).map(({ rule, tenant }) => `${tenant} ${rule}`))
      for (const { rule, tenant, effect } of decision.because)
        if (effect !== 'broke-glass') assert.ok(matched.has(`${tenant} ${rule}`), `${rule} acted and is not matched`)
      for (const rule of rules) assert.equal(rule.test === undefined, rule.matched)
    }
  })
})

it('5,000 groups, a huge text and a thousand claims are decided in a fraction of a second', async () => {
  const groups = Array.from({ length: 5000 }, (_, i) => `/teams/team${i}/dev`)
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`claim${i}`, ['x']]))
  const subject: Subject = {
    connector: 'corp',
    id: 'a2',
    claims: { ...many, groups: [...groups, 'x'.repeat(1_000_000)] },
    records: {},
    authTime: NOW,
  }
  const took = await milliseconds(async () => assert.ok(decide(policy, subject, NOW).grants.length > 5000))
  assert.ok(took < 2000, `${took} ms`)
})
