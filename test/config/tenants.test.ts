import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newMemory } from '../../src/config/load.ts'
import { problemText } from '../../src/config/problem.ts'
import { decide } from '../../src/core/decide.ts'
import { base, loadMain, now, type World } from './files.ts'

const main = `${base}brand: { name: Cloud Nord }
ruleSets:
  standard:
    - { name: members, from: [own], each: { claim: groups, pattern: 'cloud-<p>' },
        give: [{ target: cloud, project: '<tenant.id>-<p>', domain: <tenant.id>, roles: [member] }] }
tenants:
  each: { targets: [cloud], domains: [<tenant.id>] }
  named:
    acme: { targets: [cloud], domains: [acme], connectorTypes: [oidc], emailDomains: [acme.example] }
`
const connector = (more: string) =>
  `{ type: oidc, label: A, issuer: https://sso.acme.example, clientId: lotse, auth: none, ${more} }`
const acme = (text: string, others: Readonly<Record<string, string>> = {}): Partial<World> => ({
  files: { '/etc/lotse/tenants/acme.yaml': text, ...others },
})

/** What a tenant's file says is wrong; the main file goes on. */
async function disabledBy(text: string, world: Partial<World> = {}): Promise<readonly string[]> {
  const loaded = await loadMain(main, { ...world, files: { ...acme(text).files, ...world.files } })
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(problemText).join('\n'))
  return loaded.disabledTenants.flatMap(({ problems }) =>
    problems.map((problem) => problemText(problem).replace('/etc/lotse/tenants/', '')),
  )
}

test('a tenant brings its own connector, and takes a rule set with its own name', async () => {
  const loaded = await loadMain(main, acme(`connectors: [${connector('id: acme.sso')}]\nruleSets: [standard]\n`))
  assert.ok(loaded.ok)
  assert.deepEqual(
    loaded.config.connectors.map(({ id, tenant }) => [id, tenant]),
    [
      ['corp', undefined],
      ['acme.sso', 'acme'],
    ],
  )
  const subject = { connector: 'acme.sso', id: '1', claims: { groups: ['cloud-shop'] }, records: {}, authTime: now }
  assert.deepEqual(decide(loaded.policy, subject, now).grants, [
    { target: 'cloud', project: 'acme-shop', domain: 'acme', roles: ['member'] },
  ])
})

const bounds: readonly (readonly [what: string, file: string, problem: RegExp])[] = [
  ['names a connector outside its names', `connectors: [${connector('id: corp2')}]`, /connectors\[0\]\.id: outside/],
  [
    'names a connector as another tenant would',
    `connectors: [${connector('id: acmex.sso')}]`,
    /connectors\[0\]\.id: outside/,
  ],
  [
    'asserts a foreign e-mail domain',
    `connectors: [${connector('id: acme.a, emailDomains: [corp.example]')}]`,
    /emailDomains\[0\]: not an e-mail domain of this tenant/,
  ],
  [
    'puts its people into a foreign domain',
    `connectors: [${connector('id: acme.a, domain: corp')}]`,
    /domain: not a domain of this tenant/,
  ],
  [
    'takes a foreign name space',
    `connectors: [${connector("id: acme.a, identity: { prefix: 'corp-' }")}]`,
    /identity\.prefix: outside/,
  ],
  [
    'takes a foreign name space before its own suffix',
    `connectors: [${connector("id: acme.a, identity: { prefix: 'zeta.sso:', suffix: '@acme.example' }")}]`,
    /identity\.prefix: outside/,
  ],
  [
    'takes a foreign suffix',
    `connectors: [${connector("id: acme.a, identity: { suffix: '@corp.example' }")}]`,
    /identity\.suffix: not an e-mail domain/,
  ],
  [
    'reads a variable of somebody else',
    `connectors: [${connector('id: acme.a').replace('auth: none', 'clientSecret: { env: CORP_SECRET }')}]`,
    /only variables that begin with LOTSE_ACME__/,
  ],
  [
    'reads a file of the machine',
    `connectors: [${connector('id: acme.a').replace('auth: none', 'clientSecret: { file: /etc/passwd }')}]`,
    /only files under acme\//,
  ],
  [
    'climbs out of its folder',
    `connectors: [${connector('id: acme.a').replace('auth: none', 'clientSecret: { file: acme/../../x }')}]`,
    /only files under acme\//,
  ],
  [
    'gives in a foreign domain',
    'admit: [corp]\nrules: [{ name: a, from: [corp], give: [{ target: cloud, project: p, domain: other, roles: [member] }] }]',
    /rules\[0\]/,
  ],
  [
    'gives at a foreign target',
    'admit: [corp]\nrules: [{ name: a, from: [corp], give: [{ target: prod, namespace: p, roles: [edit] }] }]',
    /rules\[0\]/,
  ],
  [
    'lets the gateway ask the machine that it runs on',
    `connectors: [${connector('id: acme.a').replace('https://sso.acme.example', 'http://127.0.0.1:9090')}]`,
    /issuer: an address of this network/,
  ],
  [
    'is called as an upstream of the cloud',
    `connectors: [${connector('id: acme.a, unlisted: true').replace('label: A', "label: ' ＣORP '")}]`,
    /connectors\[0\]\.label: the name of the cloud/,
  ],
  [
    'is called as the cloud itself',
    `connectors: [${connector("id: acme.a, hint: 'cloud  nord'")}]`,
    /connectors\[0\]\.hint: the name of the cloud/,
  ],
  [
    'keeps its people signed in for longer than the cloud does',
    `connectors: [${connector('id: acme.a, sessionMax: 13h')}]`,
    /sessionMax: longer than sessions\.max of the main file/,
  ],
  [
    'lets a session lie idle for longer than the cloud does',
    `connectors: [${connector('id: acme.a, sessionIdle: 2h')}]`,
    /sessionIdle: longer than sessions\.idle of the main file/,
  ],
  [
    'believes its upstream for a year',
    `connectors: [${connector('id: acme.a, maxProofAge: 365d')}]`,
    /maxProofAge: longer than sessions\.max/,
  ],
  [
    'names a proxy',
    `connectors: [${connector('id: acme.a, proxy: "http://10.0.0.1:3128"')}]`,
    /proxy: only the main file/,
  ],
  [
    'contradicts itself',
    `connectors: [${connector('id: acme.a').replace('auth: none', 'auth: client_secret_basic')}]`,
    /connectors\[0\]\.clientSecret: missing/,
  ],
  ['has a key that only the main file has', 'issuer: https://evil.example', /issuer: unknown key/],
  [
    'has a failing test',
    "admit: [corp]\ntests: [{ name: x, subject: { connector: corp, id: '1' }, expect: ['cloud project p: member'] }]",
    /tests\[0\]\.expect: test "x": expected/,
  ],
  ['is no YAML', 'connectors: [', /not readable as YAML/],
]

for (const [what, file, problem] of bounds) {
  test(`a tenant whose file ${what} is disabled, and nothing else`, async () => {
    const problems = await disabledBy(file, { env: { CORP_SECRET: 'x' } })
    assert.ok(
      problems.some((each) => each.startsWith('acme.yaml:') && problem.test(each)),
      problems.join('\n') || 'nothing',
    )
  })
}

test('a secret in the folder of the tenant is read', async () => {
  const text = `connectors: [${connector('id: acme.a').replace('auth: none', 'clientSecret: { file: acme/sso }')}]`
  assert.deepEqual(await disabledBy(text, acme(text, { '/etc/lotse/tenants/acme/sso': 's\n' })), [])
})

test('a type of connector that the main file does not allow is refused for that tenant', async () => {
  const file = `connectors: [${connector('id: other.sso')}]`
  const loaded = await loadMain(main, { files: { '/etc/lotse/tenants/other.yaml': file, ...acme('vars: {}').files } })
  assert.ok(loaded.ok)
  assert.match(
    loaded.disabledTenants[0]?.problems[0]?.message ?? '',
    /not among what the main file allows this tenant: none/,
  )
})

test('a file of a tenant to whom the main file gives nothing is told, and is without effect', async () => {
  const only = main.replace(/ {2}each: .*\n/, '')
  const loaded = await loadMain(only, {
    files: { '/etc/lotse/tenants/nobody.yaml': 'vars: {}', ...acme('vars: {}').files },
  })
  assert.ok(loaded.ok)
  assert.deepEqual(
    loaded.disabledTenants.map(({ id }) => id),
    ['nobody'],
  )
})

test('a bad tenant does not touch another one, nor the tests of the main file', async () => {
  const tests = `${main}rules: [{ name: a, from: [corp], give: [{ target: cloud, project: web, roles: [member] }] }]
tests: [{ name: t, subject: { connector: corp, id: '1' }, expect: ['cloud project web: member'] }]
`
  const loaded = await loadMain(tests, {
    files: {
      '/etc/lotse/tenants/acme.yaml': 'rules: nonsense',
      '/etc/lotse/tenants/good.yaml':
        'admit: [corp]\nrules: [{ name: g, from: [corp], give: [{ target: cloud, project: p, domain: good, roles: [member] }] }]',
    },
  })
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(problemText).join('\n'))
  assert.deepEqual(
    loaded.disabledTenants.map(({ id }) => id),
    ['acme'],
  )
  const grants = decide(
    loaded.policy,
    { connector: 'corp', id: '1', claims: {}, records: {}, authTime: now },
    now,
  ).grants
  assert.deepEqual(
    grants.map((grant) => ('project' in grant ? grant.project : '')),
    ['p', 'web'],
  )
})

test('an unchanged tenant is taken over by the next load, a changed one is read again', async () => {
  const memory = newMemory()
  const files = (vars: string) => ({
    '/etc/lotse/tenants/a.yaml': 'vars: { x: "1" }',
    '/etc/lotse/tenants/acme.yaml': `vars: { x: "${vars}" }`,
  })
  const loads = []
  for (const vars of ['1', '1', '2']) loads.push(await loadMain(main, { files: files(vars), memory }))
  const [one, two, three] = loads.map((loaded) => (loaded.ok ? [...loaded.policy.tenants.keys()] : []))
  assert.equal(one?.[0], three?.[0])
  assert.equal(one?.[1], two?.[1])
  assert.notEqual(two?.[1], three?.[1])
})

test('a tenant’s tests see the main file and that tenant: what another one gives makes none of them fail', async () => {
  const file = (id: string) => `admit: [corp]
rules: [{ name: r, from: [corp], give: [{ target: cloud, project: p, domain: ${id}, roles: [member] }] }]
tests: [{ name: t, subject: { connector: corp, id: '1' }, expect: ['cloud project p in ${id}: member'] }]
`
  const loaded = await loadMain(main, {
    files: {
      '/etc/lotse/tenants/one.yaml': file('one'),
      '/etc/lotse/tenants/two.yaml': file('two'),
      ...acme('vars: {}').files,
    },
  })
  assert.ok(loaded.ok)
  assert.deepEqual(loaded.disabledTenants, [])
  assert.equal(loaded.tests, 2)
})

test('no tenant is disabled for a name space that another one takes', async () => {
  const named = main.replace('  named:\n', '  named:\n    zeta: { connectorTypes: [oidc] }\n')
  const takes = `connectors: [${connector("id: acme.a, identity: { prefix: 'zeta.sso:', suffix: '@acme.example' }")}]`
  const zeta = `connectors: [${connector('id: zeta.sso')}]`
  const loaded = await loadMain(named, acme(takes, { '/etc/lotse/tenants/zeta.yaml': zeta }))
  assert.ok(loaded.ok)
  assert.deepEqual(
    loaded.disabledTenants.map(({ id }) => id),
    ['acme'],
  )
})

/** A customer who lets a reseller's people in, beside its own. */
const customer = `admit: [corp, shop.staff]
rules: [{ name: a, from: [corp], give: [{ target: cloud, project: p, roles: [member] }] }]
tests: [{ name: x, subject: { connector: corp, id: '1' }, expect: ['cloud project p in acme: member'] }]
`
const reseller = `connectors: [${connector('id: shop.staff')}]\n`
const shops: readonly (readonly [what: string, shop: string | undefined, disabled: readonly string[]])[] = [
  ['is right', reseller, []],
  ['is no YAML', 'connectors: [', ['shop']],
  ['has a rule that is wrong', `${reseller}rules: [{ name: a, from: [nobody], admit: true }]`, ['shop']],
  ['calls its connector otherwise', reseller.replaceAll('shop.staff', 'shop.people'), []],
  ['is gone', undefined, []],
]
for (const [what, shop, disabled] of shops) {
  test(`a tenant that admits another tenant's people goes on when that one's file ${what}`, async () => {
    const named = main.replace('  named:\n', '  named:\n    shop: { connectorTypes: [oidc] }\n')
    const loaded = await loadMain(
      named,
      acme(customer, shop === undefined ? {} : { '/etc/lotse/tenants/shop.yaml': shop }),
    )
    assert.ok(loaded.ok)
    assert.deepEqual(
      loaded.disabledTenants.map(({ id }) => id),
      disabled,
    )
    const subject = { connector: 'corp', id: '1', claims: {}, records: {}, authTime: now }
    assert.equal(decide(loaded.policy, subject, now).grants.length, 1)
    const told = loaded.warnings.map(problemText).filter((text) => text.includes('admit[1]: there is no connector'))
    assert.equal(told.length, what === 'is right' ? 0 : 1)
  })
}
