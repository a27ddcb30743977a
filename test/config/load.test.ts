import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newMemory } from '../../src/config/load.ts'
import { unreadable } from '../../src/config/references.ts'
import { decide } from '../../src/core/decide.ts'
import { base, loadMain, now, problemsOf, server } from './files.ts'

const has = (problems: readonly string[], what: RegExp) =>
  assert.ok(
    problems.some((problem) => what.test(problem)),
    `${what} is not among\n${problems.join('\n')}`,
  )

test('the least configuration loads, with defaults filled in and paths counted from its folder', async () => {
  const loaded = await loadMain(server)
  assert.ok(loaded.ok)
  assert.deepEqual(loaded.config.store, { kind: 'embedded', path: '/etc/lotse/lotse.db' })
  assert.equal(loaded.config.keys.dir, '/etc/lotse/keys')
  assert.equal(loaded.config.audit.path, '-')
  assert.equal(loaded.config.sessions.idle, 3600)
  assert.deepEqual(
    loaded.warnings.map(({ message }) => message.split(':')[0]),
    ['no connectors', 'no clients', 'no rules'],
  )
})

test('a secret is put in the place of its reference, from a variable or a file without its line end', async () => {
  const clients = `clients:
  - { id: a, auth: client_secret_basic, secret: { env: A }, redirectUris: [https://a.example/] }
  - { id: b, auth: client_secret_post, secret: { file: secrets/b }, redirectUris: [https://b.example/] }
`
  const loaded = await loadMain(base + clients, {
    env: { A: 'from the variable' },
    files: { '/etc/lotse/secrets/b': 'from the file\n' },
  })
  assert.ok(loaded.ok)
  assert.deepEqual(
    loaded.config.clients.map(({ secret }) => secret),
    ['from the variable', 'from the file'],
  )
})

test('a literal secret is refused with the fix, and never repeated', async () => {
  const problems = await problemsOf(`${base}clients:
  - { id: a, auth: client_secret_basic, secret: hunter2-hunter2, redirectUris: [https://a.example/] }
`)
  has(problems, /^12:49 clients\[0\]\.secret: a secret is never written .* write \{ env: NAME \} or \{ file: path \}$/)
  assert.ok(!problems.join().includes('hunter2'))
})

test('a variable that is not set, an empty one and a file that is not there are each one problem', async () => {
  const problems = await problemsOf(
    `${base}clients:
  - { id: a, auth: client_secret_basic, secret: { env: A }, redirectUris: [https://a.example/] }
  - { id: b, auth: client_secret_basic, secret: { env: B }, redirectUris: [https://a.example/] }
  - { id: c, auth: client_secret_basic, secret: { file: c }, redirectUris: [https://a.example/] }
`,
    { env: { B: '' } },
  )
  assert.equal(problems.length, 3)
  has(problems, /clients\[0\]\.secret: the variable A is not set/)
  has(problems, /clients\[1\]\.secret: the variable B is empty/)
  has(problems, /clients\[2\]\.secret: the file c cannot be read \(there is none\)/)
})

test('what may not be read is told to be opened, not to be written', () => {
  const told = (code: string) => unreadable(Object.assign(new Error(code), { code }), 'write it')
  assert.equal(told('ENOENT'), 'cannot be read (there is none); write it')
  assert.equal(told('EACCES'), 'cannot be read (no permission); let the user who runs this read it')
  assert.equal(told('EIO'), 'cannot be read (EIO); write it')
})

test('what a first configuration lacks is told with what to write', async () => {
  const problems = await problemsOf('brand: { name: Cloud }\n')
  has(problems, /issuer: missing; write https:\/\//)
  has(problems, /listen: missing; write \{ port: 8080 \}/)
  has(problems, /store: missing; write \{ kind: embedded, path: lotse\.db \}/)
})

test('options of a target that contradict each other are told at their place', async () => {
  const user = 'user: { name: lotse, password: { env: P }, scope: { domain: corp } }'
  const keystone = (more: string) =>
    `${server}targets:\n  - { id: cloud, type: keystone, url: https://keystone.example/v3, ${more} }\n`
  const problems = (more: string) => problemsOf(keystone(more), { env: { P: 'x' } })
  has(
    await problems(`mappingSchema: '3.0', reconcile: { ${user} }`),
    /^6:83 targets\[0\]\.mappingSchema: 3\.0 deletes .* write 2\.0$/,
  )
  has(
    await problems('reconcile: {}'),
    /^6:\d+ targets\[0\]\.reconcile: needs one way to sign in; write applicationCredential, or user$/,
  )
  assert.deepEqual(await problems(`reconcile: { ${user} }`), [])
})

test('the address of an upstream or a target has neither query nor fragment', async () => {
  for (const end of ['?x=1', '#x', '?', '#'])
    has(
      await problemsOf(
        `${server}targets:\n  - { id: cloud, type: keystone, url: 'https://keystone.example/v3${end}' }\n`,
      ),
      /targets\[0\]\.url: not a usable URL/,
    )
})

test('a duplicate key, an unknown key and a mistyped key are problems at their own place', async () => {
  const problems = await problemsOf(`${server}
log: { level: info, level: warn }
brandd: {}
colour: blue
`)
  assert.equal(problems.length, 3)
  has(problems, /^6:21 level: this key stands here twice; keep one$/)
  has(problems, /^7:1 brandd: unknown key; did you mean brand\?$/)
  has(problems, /^8:1 colour: unknown key; known here: issuer, listen, /)
})

test('a mistyped required key is one problem, not an unknown key and a missing one', async () => {
  const problems = await problemsOf(server.replace('issuer', 'isuer'))
  assert.deepEqual(problems, ['2:1 isuer: unknown key; did you mean issuer?'])
})

test('a file that is no YAML, holds two documents or is empty is refused with its place', async () => {
  has(await problemsOf('issuer: [1,\nlisten: }'), /^2:\d+: not readable as YAML/)
  has(await problemsOf(`${server}---\nissuer: x\n`), /several documents in one file/)
  has(await problemsOf('# nothing\n'), /the file is empty/)
})

test('aliases that multiply and files over 5 MB are refused before they cost anything', async () => {
  const level = (i: number) =>
    `a${i}: &a${i} [${Array(9)
      .fill(i === 0 ? 'x' : `*a${i - 1}`)
      .join(', ')}]\n`
  const bomb = Array.from({ length: 12 }, (_, i) => level(i)).join('')
  has(await problemsOf(server + bomb), /aliases multiply/)
  has(await problemsOf(`${server}# ${'x'.repeat(5 * 1024 * 1024)}\n`), /larger than 5 MB/)
})

test('anchors and merge keys are read, and a mistake in what was merged is found where it stands', async () => {
  const problems = await problemsOf(`${base}clients:
  - &one
    id: a
    pkce: never
    redirectUris: [https://a.example/]
  - <<: *one
    id: b
`)
  assert.deepEqual(problems, [
    '14:11 clients[0].pkce: not known; write one of required, optional',
    '14:11 clients[1].pkce: not known; write one of required, optional',
  ])
})

test('mistakes of shape do not hide what is wrong between the parts that are right', async () => {
  const problems = await problemsOf(`${base}log: { level: loud }
clients:
  - { id: a, grants: device }
  - { id: b, target: clowd, grants: [device] }
`)
  assert.deepEqual(
    problems.map((problem) => problem.split(': ')[0]),
    ['11:15 log.level', '13:22 clients[0].grants', '14:22 clients[1].target'],
  )
})

test('rules that name an unknown connector, or give what the target cannot carry, are refused at their line', async () => {
  const problems = await problemsOf(`${base}rules:
  - name: a
    from: [crop]
    give: [{ target: cloud, namespace: web, roles: [edit] }]
`)
  has(problems, /^13:12 rules\[0\]\.from\[0\]: .*crop/)
  has(problems, /^14:.* rules\[0\]\.give\[0\]/)
})

test('two connectors that assert one e-mail domain, or one name space, are refused (law 15)', async () => {
  const two = (more: string) => `${server}connectors:
  - { id: a, type: oidc, label: A, issuer: https://a.example, clientId: x, auth: none, emailDomains: [corp.example] }
  - { id: b, type: oidc, label: B, issuer: https://b.example, clientId: x, auth: none, ${more} }
`
  has(await problemsOf(two('emailDomains: [corp.example]')), /connectors\[1\].*e-mail domain/)
  has(await problemsOf(two("identity: { prefix: 'a:' }")), /connectors\[1\].*user names/)
  assert.deepEqual(await problemsOf(two('emailDomains: [b.example]')), [])
})

test('two targets never share an audience, and no client is called as a foreign target’s audience (law 8)', async () => {
  has(
    await problemsOf(`${server}targets:
  - { id: one, type: oidc, audience: same }
  - { id: same, type: oidc }
`),
    /^7:11 targets\[1\]\.id: target one has this audience/,
  )
  has(
    await problemsOf(`${base}clients: [{ id: prod, target: cloud, grants: [device] }]\n`),
    /clients\[0\]\.id: equals the audience of target prod/,
  )
})

test('a failing test says what was expected and what the rules give, and the file does not load', async () => {
  const rules = `${base}rules:
  - { name: web, from: [corp], give: [{ target: cloud, project: web, roles: [reader, member] }] }
tests:
  - { name: everybody, subject: { connector: corp, id: '1' }, expect: ['cloud project web: member, reader'] }
  - { name: nobody, subject: { connector: corp, id: '1' }, expect: [] }
`
  assert.deepEqual(await problemsOf(rules), [
    '15:68 tests[1].expect: test "nobody": expected nothing, but the rules give cloud project web: member, reader',
  ])
  const loaded = await loadMain(rules.replace(/ {2}- \{ name: nobody.*\n/, ''))
  assert.ok(loaded.ok)
  assert.equal(loaded.tests, 1)
  const subject = { connector: 'corp', id: '1', claims: {}, records: {}, authTime: now }
  assert.equal(decide(loaded.policy, subject, now).grants.length, 1)
})

test('a table of its own is read from CSV, and a line that is no pair is told by its number', async () => {
  const tables = `${base}tables: { teams: { csv: teams.csv } }
rules:
  - { name: a, from: [corp], each: { claim: g, inTable: teams, as: team },
      give: [{ target: cloud, project: <team>, roles: [member] }] }
tests:
  - { name: a, subject: { connector: corp, id: '1', claims: { g: a1 } }, expect: ['cloud project web, too: member'] }
`
  const with1 = (text: string) => ({ files: { '/etc/lotse/teams.csv': text } })
  assert.deepEqual(await problemsOf(tables, with1('a1,"web, too"\r\nb2,db\n')), [])
  has(await problemsOf(tables, with1('a1,web\n\nb2\n')), /tables\.teams\.csv: line 3 of teams\.csv is not key,text/)
  has(await problemsOf(tables), /tables\.teams\.csv: cannot be read/)
})

test('the digest is that of the files, the state that of the secrets too', async () => {
  const main = `${base}clients: [{ id: a, auth: client_secret_basic, secret: { env: A }, redirectUris: [https://a.example/] }]\n`
  const memory = newMemory()
  const [one, same, other] = [
    await loadMain(main, { env: { A: '1' }, memory }),
    await loadMain(main, { env: { A: '1' }, memory }),
    await loadMain(main, { env: { A: '2' }, memory }),
  ]
  assert.ok(one.ok && same.ok && other.ok)
  assert.equal(one.state, same.state)
  assert.equal(one.policy.base, same.policy.base)
  assert.equal(one.digest, other.digest)
  assert.notEqual(one.state, other.state)
  assert.equal(other.config.clients[0]?.secret, '2')
})

test('what was read is told, so that it can be watched', async () => {
  const loaded = await loadMain(
    `${base}clients: [{ id: a, auth: client_secret_basic, secret: { file: s }, redirectUris: [https://a.example/] }]
tables: { t: { csv: t.csv } }
tenants: { named: { acme: {} } }
`,
    {
      files: {
        '/etc/lotse/s': 's',
        '/etc/lotse/t.csv': 'a,b\n',
        '/etc/lotse/tenants/acme.yaml': 'vars: {}\n',
      },
    },
  )
  assert.ok(loaded.ok)
  assert.deepEqual(loaded.read, {
    files: ['/etc/lotse/gateway.yaml', '/etc/lotse/s', '/etc/lotse/t.csv'],
    folders: ['/etc/lotse/tenants'],
  })
})

test('a missing main file is a problem, not an exception', async () => {
  const { loadFrom } = await import('./files.ts')
  const loaded = await loadFrom({ files: {} })
  assert.ok(!loaded.ok)
  assert.match(loaded.problems[0]?.message ?? '', /cannot be read \(there is none\)/)
})
