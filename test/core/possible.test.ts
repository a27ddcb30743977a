import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decide } from '../../src/core/decide.ts'
import { describeGrant } from '../../src/core/grants.ts'
import { possibleGrants } from '../../src/core/possible.ts'
import { NOW, policyOf, targets, type Written } from './support.ts'

const [, prod] = targets
if (prod === undefined) throw new Error('no cluster among the targets')

function possible(written: Written, named: readonly string[] = []) {
  const { grants, open } = possibleGrants(policyOf(written), prod as NonNullable<typeof prod>, named)
  return { grants: grants.map(describeGrant), open }
}

const give = (grant: object, more: object = {}) => ({
  name: 'r',
  from: ['corp'],
  give: [{ target: 'prod', ...grant }],
  ...more,
})
const teams = { each: { claim: 'groups', pattern: '/teams/<team>/<rank>' } }

test('literal names and roles are possible as they stand, at one target alone', () => {
  const rules = [
    give({ namespace: 'web', roles: ['edit'] }),
    { ...give({ cluster: true, roles: ['view'] }), name: 'c' },
    { ...give({ group: 'corp:ops' }), name: 'g' },
    { name: 'other', from: ['corp'], give: [{ target: 'cloud', project: 'p', roles: ['member'] }] },
  ]
  assert.deepEqual(possible({ rules }), {
    grants: ['prod namespace web: edit', 'prod cluster: view', 'prod group corp:ops'],
    open: [],
  })
})

test('roles in namespaces that a claim completes are known, also where the claim chooses among a table of them', () => {
  const tables = { ranks: { dev: ['edit'], lead: ['admin', 'owner'] } }
  const rules = [
    give({ namespace: '<team>', roles: { lookup: 'ranks', key: '<rank>' } }, teams),
    { ...give({ namespace: 'web', roles: ['view'] }), name: 'literal' },
  ]
  const noOwner: typeof prod = {
    ...prod,
    refuse: (grant) => ('roles' in grant && grant.roles.includes('owner') ? 'reserved' : undefined),
  }
  assert.deepEqual(possibleGrants(policyOf({ rules, tables }), noOwner, []).openRoles, ['admin', 'edit'])
})

test('what tables hold has an end, and a name goes with the roles under the same key', () => {
  const tables = {
    team: { a: ['red', 'blue'], b: ['blue'] },
    ranks: { red: ['edit'], blue: ['view', 'edit'], gold: ['admin'] },
  }
  const rules = [
    give(
      { namespace: '<team>-dev', roles: { lookup: 'ranks', key: '<team>' } },
      { each: { claim: 'groups', inTable: 'team', as: 'team' } },
    ),
  ]
  assert.deepEqual(possible({ rules, tables }), {
    grants: ['prod namespace blue-dev: edit, view', 'prod namespace red-dev: edit'],
    open: [],
  })
})

test('a namespace that is looked up by a claim is each one that the table holds under a key that fits', () => {
  const tables = { spaces: { 'x-1': ['one'], 'x-2': ['two', 'three'], 'y-1': ['four'] } }
  const namespace = { lookup: 'spaces', key: 'x-<team>' }
  assert.deepEqual(possible({ rules: [give({ namespace, roles: ['view'] }, teams)], tables }).grants, [
    'prod namespace one: view',
    'prod namespace three: view',
    'prod namespace two: view',
  ])
})

test('a namespace that a claim completes has no end: only named ones that fit are possible, with the roles of that very name', () => {
  const tables = { ranks: { web: ['edit'], db: ['view'] } }
  const rules = [give({ namespace: 'team-<team>', roles: { lookup: 'ranks', key: '<team>' } }, teams)]
  assert.deepEqual(possible({ rules, tables }), { grants: [], open: ['team-<team>'] })
  assert.deepEqual(possible({ rules, tables }, ['team-web', 'web', 'team-', 'team-x']).grants, [
    'prod namespace team-web: edit',
  ])
})

test('vars are filled in, what the target refuses is no possibility, and groups that a claim completes are left out', () => {
  const rules = [
    give({ namespace: '<vars.place>', roles: ['edit'] }),
    { ...give({ namespace: '<team>', roles: ['edit'] }, teams), name: 'open' },
    { ...give({ group: 'x-<team>' }, teams), name: 'group' },
  ]
  assert.deepEqual(possible({ rules, vars: { place: 'web' } }, ['No Such', 'db']), {
    grants: ['prod namespace db: edit', 'prod namespace web: edit'],
    open: ['<team>'],
  })
})

test('a tenant’s rules are possible inside its walls alone, and break glass is possible', () => {
  const limits = { targets: ['prod'], namespaces: ['<tenant.id>-*'] }
  const tenant = {
    id: 'acme',
    admit: ['corp'],
    limits,
    rules: [give({ namespace: '<team>', roles: ['edit'] }, teams)],
  }
  const breakGlass = [
    {
      name: 'fire',
      subjects: ['corp/ada'],
      amr: ['hwk'],
      max: '15m',
      give: [{ target: 'prod', namespace: 'vault', roles: ['admin'] }],
    },
  ]
  assert.deepEqual(possible({ tenants: [tenant], breakGlass }, ['acme-web', 'other-web']).grants, [
    'prod namespace acme-web: edit',
    'prod namespace vault: admin',
  ])
})

test('whatever anybody is given in a namespace or over the cluster is among what is possible', () => {
  const tables = {
    team: { a: ['red', 'blue'], b: ['blue'] },
    ranks: { red: ['edit'], blue: ['view'], dev: ['edit'], lead: ['admin', 'view'] },
  }
  const byTable = { each: { claim: 'unit', inTable: 'team', as: 'team' } }
  const templates: readonly (readonly [object, object])[] = [
    [{ namespace: '<team>', roles: { lookup: 'ranks', key: '<rank>' } }, teams],
    [{ namespace: 'x-<team>-<rank>', roles: ['view'] }, teams],
    [{ namespace: '<team>', roles: { lookup: 'ranks', key: '<team>' } }, byTable],
    [{ namespace: { lookup: 'team', key: '<rank>' }, roles: ['edit'] }, teams],
    [{ cluster: true, roles: { lookup: 'ranks', key: '<rank>' } }, teams],
    [{ namespace: '<vars.place>', roles: ['edit'] }, {}],
  ]
  const rules = templates.map(([grant, more], index) => ({ ...give(grant, more), name: `rule ${index}` }))
  const policy = policyOf({ rules, tables, vars: { place: 'here' } })
  const words = ['a', 'b', 'red', 'blue', 'dev', 'lead', 'x-red', 'web-x']
  let given = 0
  for (const team of words)
    for (const rank of words) {
      const claims = { groups: [`/teams/${team}/${rank}`], unit: [team, rank] }
      const subject = { connector: 'corp', id: 'ada', claims, records: {}, authTime: NOW }
      const held = decide(policy, subject, NOW).grants
      const named = held.flatMap((grant) => ('namespace' in grant ? grant.namespace : []))
      const all = possibleGrants(policy, prod, named).grants
      for (const grant of held) {
        given += 1
        const place = all.find(
          (each) => JSON.stringify({ ...each, roles: [] }) === JSON.stringify({ ...grant, roles: [] }),
        )
        const roles = place && 'roles' in place ? place.roles : []
        assert.ok('roles' in grant && grant.roles.every((role) => roles.includes(role)), describeGrant(grant))
      }
    }
  assert.ok(given > 200, `${given} grants`)
})
