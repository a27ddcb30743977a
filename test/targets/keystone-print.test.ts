import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import type { GeneratedFile } from '../../src/core/ports.ts'
import { keystoneMapping } from '../../src/targets/keystone/print/mapping.ts'
import { flavours, printFiles, printProblems } from '../../src/targets/keystone/print/print.ts'
import { apache, apacheWords, commandLines, keystone, ROBOT, SECRET, textOf, world } from './keystone-print-world.ts'

const account = { name: 'lotse', password: { env: 'X' } }
const writes = (scope: object) => ({ reconcile: { user: { ...account, scope } } })

/** Every sort of target that changes what is printed. */
const targets = {
  'mapping 1.0': keystone({ mappingSchema: '1.0' }),
  'mapping 2.0': keystone({ mappingSchema: '2.0' }),
  'mapping 3.0': keystone({ dashboards: ['https://horizon.example/auth/websso/'] }),
  'domain manager': keystone(writes({ domain: 'corp' })),
  'system admin': keystone(writes({ system: true })),
  'project admin': keystone({ mappingSchema: '1.0', ...writes({ project: 'admin' }) }),
  'application credential': keystone({ reconcile: { applicationCredential: { id: 'a1', secret: { env: 'X' } } } }),
} as const

const every: readonly (readonly [name: string, files: readonly GeneratedFile[]])[] = flavours.flatMap((flavour) =>
  Object.entries(targets).map(
    ([name, config]) => [`${flavour}, ${name}`, printFiles(config, world({ flavour }))] as const,
  ),
)

test('printing twice gives the same bytes', () => {
  for (const flavour of flavours)
    for (const config of Object.values(targets))
      assert.deepEqual(printFiles(config, world({ flavour })), printFiles(config, world({ flavour })))
})

test('each file but plain JSON says on top of what it was made, and that nobody should write into it', () => {
  for (const [name, files] of every)
    for (const { path, content } of files.filter((file) => /\.(conf|sh|yml|yaml|py|md|part)$/.test(file.path))) {
      if (path.includes('/metadata/')) continue
      const head = content.split('\n').slice(0, 8).join('\n')
      assert.match(
        head,
        /lotse print cloud --flavour \w+` of target cloud at the gateway https:\/\/login\.example/,
        name + path,
      )
      assert.match(head, /Generated/, path)
    }
})

test('every rule of every mapping has both guards and a domain, and reads nothing that a request header could be', () => {
  for (const [name, config] of Object.entries(targets)) {
    const { rules } = keystoneMapping(config, new URL('https://login.example'))
    for (const { local, remote } of rules) {
      assert.deepEqual(
        remote.filter((item) => item.any_one_of),
        [
          { type: 'OIDC-iss', any_one_of: ['https://login.example'] },
          { type: 'OIDC-aud', any_one_of: ['keystone'] },
        ],
        name,
      )
      for (const { type } of remote) assert.match(type, /^OIDC-/)
      for (const item of local) assert.ok(item.user?.domain.name ?? item.domain?.name, name)
    }
  }
})

test('what a mapping fills in is what its rule reads: each hole has its variable, and each variable its hole', () => {
  for (const config of Object.values(targets))
    for (const { local, remote } of keystoneMapping(config, new URL('https://login.example')).rules) {
      const holes = new Set([...JSON.stringify(local).matchAll(/\{(\d+)\}/g)].map(([, index]) => Number(index)))
      const read = remote.filter((item) => item.any_one_of === undefined)
      assert.deepEqual(
        [...holes].sort(),
        read.map((_, index) => index),
      )
    }
})

test('a mapping carries what its schema can and no reconciler writes', () => {
  const shape = (config: (typeof targets)[keyof typeof targets]) => {
    const { rules, schema_version } = keystoneMapping(config, new URL('https://login.example'))
    const text = JSON.stringify(rules)
    return [schema_version ?? '1.0', text.includes('projects_json'), text.includes('"groups"'), rules.length]
  }
  assert.deepEqual(shape(targets['mapping 1.0']), ['1.0', false, true, 3])
  assert.deepEqual(shape(targets['mapping 2.0']), ['2.0', false, true, 3])
  assert.deepEqual(shape(targets['mapping 3.0']), ['3.0', true, true, 3])
  assert.deepEqual(shape(targets['domain manager']), ['2.0', false, false, 2])
  assert.deepEqual(shape(targets['project admin']), ['1.0', false, false, 2])
})

test('an absent address keeps nobody out: the rule with it stands before the one without', () => {
  const [first, second] = keystoneMapping(targets['mapping 3.0'], new URL('https://login.example')).rules
  assert.ok(first?.remote.some(({ type }) => type === 'OIDC-email') && first.local[0]?.user?.email)
  assert.ok(!second?.remote.some(({ type }) => type === 'OIDC-email') && !second?.local[0]?.user?.email)
})

test('names of request headers stand in warnings alone', () => {
  for (const [name, files] of every)
    for (const { path, content } of files)
      for (const line of content.split('\n').filter((each) => each.includes('HTTP_OIDC')))
        assert.match(line, /^#.*(never|Never|cannot|none can)/, `${name} ${path}: ${line}`)
})

test('secrets stand in files that are marked, and nowhere else', () => {
  for (const [name, files] of every) {
    const told = files.filter(({ content }) => content.includes(SECRET) || content.includes(ROBOT))
    assert.deepEqual(
      told.filter(({ secret }) => !secret).map(({ path }) => path),
      [],
      name,
    )
    assert.ok(told.length >= 2, name)
    assert.ok(!files.some(({ content }) => / --password /.test(content)), name)
  }
})

test('all YAML and JSON can be read', () => {
  for (const [name, files] of every)
    for (const { path, content } of files) {
      if (/\.(ya?ml)$/.test(path))
        for (const document of parseAllDocuments(content, { version: '1.1' }))
          assert.deepEqual(document.errors, [], `${name} ${path}`)
      if (/\.(json|provider|client)$/.test(path) || path.endsWith('14.conf')) JSON.parse(content)
    }
})

/** Whether a program is here: without it a check is left out, and counted so. */
function has(t: TestContext, program: string): boolean {
  if (spawnSync(program, ['--version']).status === 0) return true
  t.skip(`${program} is not here`)
  return false
}

test('Python and the shell can read what is for them', (t) => {
  if (!has(t, 'python3') || !has(t, 'bash')) return
  for (const [name, files] of every)
    for (const { path, content } of files) {
      const run = path.endsWith('.py')
        ? spawnSync('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], { input: content })
        : path.endsWith('.sh')
          ? spawnSync('bash', ['-n'], { input: content })
          : undefined
      assert.ok(run === undefined || run.status === 0, `${name} ${path}: ${run?.stderr}`)
    }
})

/** Values that every reader takes for syntax; an audience may hold neither `"` nor `\\` (RFC 6749, section 3.3). */
const nasty = {
  audience: `a'b$c\`d#e%f!g&h`,
  domain: `it's "$HOME" \`id\` {{x}} \\ ü 漢😀`,
  secret: `s"e'c\\r$e\`t#1 !{{x}}-0123456789`,
}

const nastyFiles = (flavour: string) =>
  printFiles(
    keystone({
      audience: nasty.audience,
      domain: nasty.domain,
      mappingSchema: '1.0',
      ...writes({ domain: nasty.domain }),
    }),
    world({
      flavour,
      domains: [nasty.domain],
      clients: [apache({ id: nasty.audience, secret: nasty.secret }), ...commandLines],
    }),
  )

test('values that look like syntax arrive at Apache as they are', () => {
  const lines = (path: string) => textOf(nastyFiles('introspection'), path).split('\n').map(apacheWords)
  const valueIn = (path: string, name: string) => lines(path).find(([word]) => word === name)?.[1]
  assert.equal(valueIn('apache/lotse-keystone.conf', 'OIDCClientID'), nasty.audience)
  assert.equal(valueIn('apache/lotse-keystone.conf', 'OIDCOAuthClientID'), nasty.audience)
  assert.equal(valueIn('apache/lotse-secrets.conf', 'OIDCClientSecret'), nasty.secret)
  const required = lines('apache/lotse-keystone.conf').filter(([word, kind]) => word === 'Require' && kind === 'claim')
  assert.deepEqual(required, Array(3).fill(['Require', 'claim', `aud:${nasty.audience}`]))
})

test('values that look like syntax arrive at kolla-ansible as they are', () => {
  const files = nastyFiles('kolla')
  const [globals] = parseAllDocuments(textOf(files, 'kolla/globals-lotse.yml'), {
    customTags: [{ tag: '!unsafe', resolve: (text: string) => text }],
  })
  assert.equal(globals?.toJS().keystone_identity_providers[0].openstack_domain, nasty.domain)
  const made = textOf(files, 'kolla/config/keystone/federation/lotse/metadata/login.example.client')
  assert.deepEqual(JSON.parse(made), { client_id: nasty.audience, client_secret: nasty.secret })
  // Ansible fills these files as templates.
  assert.ok(!/\{[{%#]/.test(made))
})

/** What scripts ask of `openstack`, at a Keystone where everything is there already or nothing is: finds a call by its first words. */
function callsOf(t: TestContext, scripts: readonly string[], already: 'nothing' | 'everything') {
  const folder = mkdtempSync(join(tmpdir(), 'lotse-register-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const log = join(folder, 'log')
  const shown = already === 'nothing' ? 'exit 1' : 'echo another'
  const fake = `#!/usr/bin/env bash
case "$*" in *--help) echo --schema-version; exit ;; esac
printf '%s\\0' "$@" $'\\n' >>"$LOG"
case "$*" in *" show "*) ${shown} ;; esac
`
  writeFileSync(join(folder, 'openstack'), fake)
  chmodSync(join(folder, 'openstack'), 0o755)
  for (const script of scripts) {
    writeFileSync(join(folder, 'script.sh'), script)
    const env = { PATH: `${folder}:${process.env['PATH']}`, LOG: log }
    const run = spawnSync('bash', [join(folder, 'script.sh')], { env, encoding: 'utf8' })
    assert.equal(run.status, 0, run.stderr)
  }
  const calls = readFileSync(log, 'utf8')
    .split('\0\n\0')
    .map((call) => call.split('\0'))
  return (...words: string[]) => calls.find((each) => words.every((word, at) => each[at] === word)) ?? []
}

test('a Keystone believes the one issuer, from the first run on and after each: nothing is deleted, and what is otherwise is set', (t) => {
  if (!has(t, 'bash')) return
  const script = textOf(printFiles(targets['mapping 3.0'], world()), 'keystone/register.sh')
  const last = (call: readonly string[]) => call.slice(-5).join(' ')
  const first = callsOf(t, [script], 'nothing')
  assert.match(
    first('identity', 'provider', 'create').join(' '),
    / --domain Default .* --remote-id https:\/\/login.example lotse$/,
  )
  assert.equal(last(first('mapping', 'create')), '--rules mapping.json --schema-version 3.0 lotse')
  assert.equal(last(first('federation', 'protocol', 'create')), '--identity-provider lotse --mapping lotse openid')
  const again = callsOf(t, [script], 'everything')
  assert.equal(last(again('identity', 'provider', 'set')), 'set --enable --remote-id https://login.example lotse')
  assert.equal(last(again('mapping', 'set')), '--rules mapping.json --schema-version 3.0 lotse')
  assert.equal(last(again('federation', 'protocol', 'set')), '--identity-provider lotse --mapping lotse openid')
  assert.ok(!/ delete /.test(script))
})

test('values that look like syntax arrive at Keystone as they are', (t) => {
  if (!has(t, 'bash')) return
  const files = nastyFiles('apache')
  const scripts = ['register.sh', 'reconciler.sh'].map((name) => textOf(files, `keystone/${name}`))
  const call = callsOf(t, scripts, 'nothing')
  assert.equal(call('domain', 'create').at(-1), nasty.domain)
  const provider = call('identity', 'provider', 'create')
  assert.equal(provider[provider.indexOf('--domain') + 1], nasty.domain)
  const user = call('user', 'create')
  // Everybody on a machine reads the arguments of all its programs.
  assert.ok(user.includes('--password-prompt') && !user.includes('--password'))
  const role = call('role', 'add')
  assert.equal(role[role.indexOf('--domain') + 1], nasty.domain)
  // Filled by Python's str.format: a brace of the text is written twice.
  const [rule] = JSON.parse(textOf(files, 'keystone/mapping.json'))
  assert.equal(rule.local[0].user.domain.name.replaceAll('{{', '{').replaceAll('}}', '}'), nasty.domain)
  assert.deepEqual(rule.remote.at(-1).any_one_of, [nasty.audience])
})

test('values that look like syntax arrive at a dashboard and a command line as they are', (t) => {
  if (!has(t, 'python3')) return
  const [clouds] = parseAllDocuments(textOf(nastyFiles('apache'), 'cli/clouds.yaml'))
  assert.equal(clouds?.errors.length, 0)
  const text = textOf(nastyFiles('apache'), 'horizon/local_settings.d/_lotse.py').replace(
    /^from .*$/m,
    '_ = lambda text: text',
  )
  const run = spawnSync('python3', ['-c', `${text}\nimport json; print(json.dumps(WEBSSO_IDP_MAPPING))`], {
    encoding: 'utf8',
  })
  assert.deepEqual(JSON.parse(run.stdout), { lotse_openid: ['lotse', 'openid'] }, run.stderr)
})

type Clouds = Readonly<Record<string, { readonly auth_type: string; readonly auth: Readonly<Record<string, unknown>> }>>

const cloudsOf = (text: string) => (parse(text) as { readonly clouds: Clouds }).clouds

test('each command line that the clients allow has its entry, and its secret in a file of its own', () => {
  const files = printFiles(targets['mapping 3.0'], world())
  const clouds = cloudsOf(textOf(files, 'cli/clouds.yaml'))
  assert.deepEqual(
    Object.entries(clouds).map(([name, { auth_type }]) => `${name} ${auth_type}`),
    [
      'cloud v3websso',
      'cloud-cli-device v3oidcdeviceauthz',
      'cloud-paste-code v3oidcauthcode',
      'cloud-robot v3oidcclientcredentials',
      'cloud-token v3oidcaccesstoken',
    ],
  )
  assert.equal(clouds['cloud']?.auth['login_timeout'], 300)
  assert.equal(clouds['cloud-cli-device']?.auth['code_challenge_method'], 'S256')
  const secure = files.find(({ path }) => path === 'cli/secure.yaml')
  assert.ok(secure?.secret && secure.content.includes(ROBOT))
})

test('a path before /v3 stands in all paths, and a dot of a name is no pattern', () => {
  const config = keystone({ url: 'https://cloud.example/identity/v3', identityProvider: 'a.b' })
  const text = textOf(printFiles(config, world()), 'apache/lotse-keystone.conf')
  assert.match(text, /\^\/identity\/v3\/OS-FEDERATION\/identity_providers\/a\\\.b\/protocols\/openid\/auth\$/)
  assert.match(text, /OIDCRedirectURI "https:\/\/cloud\.example\/redirect_uri"/)
})

test('a protocol of another name is told to Keystone as one', () => {
  const text = textOf(printFiles(keystone({ protocol: 'lotse' }), world()), 'keystone/keystone.conf.part')
  assert.match(text, /^lotse = mapped$/m)
  assert.match(text, /^\[lotse\]$/m)
})

test('the passphrase changes with the secret, and is not the secret', () => {
  const of = (secret: string) =>
    /OIDCCryptoPassphrase "([\w-]{43})"/.exec(
      textOf(printFiles(keystone(), world({ clients: [apache({ secret })] })), 'apache/lotse-secrets.conf'),
    )?.[1]
  assert.ok(of(SECRET))
  assert.notEqual(of(SECRET), of(`${SECRET}1`))
})

const cases: readonly (readonly [
  name: string,
  flavour: string,
  clients: ReturnType<typeof apache>[],
  found: RegExp,
])[] = [
  [
    'no client of the name',
    'apache',
    [],
    /^no client is called keystone.*redirectUris: \['https:\/\/keystone\.example/,
  ],
  ['another target', 'apache', [apache({ target: 'other' })], /write target: cloud/],
  ['no code flow', 'apache', [apache({ grants: ['implicit'] })], /write grants: \[code\]/],
  ['no implicit flow', 'kolla', [apache({ grants: ['code'] })], /write grants: \[implicit\]/],
  [
    'another redirect URI',
    'apache',
    [apache({ redirectUris: ['https://x.example/cb'] })],
    /redirectUris: \['https:\/\/keystone/,
  ],
  ['no word of a sign-out', 'apache', [apache({ backchannelLogout: undefined })], /backchannelLogout: \{ url: 'https/],
  ['a JWT for the browser', 'apache', [apache({ accessToken: 'jwt' })], /write accessToken: opaque/],
  [
    'no secret',
    'mod_oauth2',
    [apache({ auth: 'none', secret: undefined, introspect: false })],
    /write auth: client_secret_basic/,
  ],
  ['no right to ask', 'introspection', [apache({ introspect: false })], /write introspect: true/],
  ['pushed requests', 'apache', [apache({ par: 'required' })], /write par: optional/],
  ['bound tokens', 'apache', [apache({ dpop: 'required' })], /write dpop: optional/],
  [
    'sessions that Apache cannot find',
    'apache',
    [
      apache({
        backchannelLogout: { url: 'https://keystone.example/redirect_uri?logout=backchannel', sessionRequired: false },
      }),
    ],
    /take backchannelLogout\.sessionRequired out/,
  ],
  [
    'a secret that begins an expression',
    'apache',
    [apache({ secret: 'x%{y}-0123456789' })],
    /cannot be written for Apache/,
  ],
  ['a secret in other letters', 'apache', [apache({ secret: 'geheimnis-größe-0123' })], /cannot be written for Apache/],
  ['a secret with a variable', 'apache', [apache({ secret: `\${HOME}-0123456789` })], /cannot be written for Apache/],
  ['a secret that is a command', 'apache', [apache({ secret: 'exec:/bin/id' })], /cannot be written for Apache/],
  ['an unknown flavour', 'nginx', [apache()], /there are apache, kolla, mod_oauth2, introspection/],
]

for (const [name, flavour, clients, found] of cases)
  test(`what is wrong is said with what to write: ${name}`, () => {
    const problems = printProblems(keystone(), world({ flavour, clients }))
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.match(problems[0] ?? '', found)
  })

test('what is wrong with the target is said, too', () => {
  const of = (more: Readonly<Record<string, unknown>>, issuer = 'https://login.example') =>
    printProblems(keystone(more), world({ issuer: new URL(issuer), clients: [apache({ id: 'a;b' }), apache()] }))
  assert.match(of({ audience: 'a;b' }).join(), /holds ;/)
  assert.match(of({ domain: 'größe' }).join(), /does not get through Apache/)
  assert.match(of({}, 'http://127.0.0.1:8080').join(), /is not https/)
  assert.match(printProblems(keystone({ protocol: 'x' }), world({ flavour: 'kolla' })).join(), /protocol: openid/)
})

test('a good configuration has no problem in any flavour, and kolla needs no secret', () => {
  for (const flavour of flavours) assert.deepEqual(printProblems(keystone(), world({ flavour })), [], flavour)
  const bare = apache({ auth: 'none', secret: undefined, introspect: false, grants: ['implicit'] })
  assert.deepEqual(printProblems(keystone(), world({ flavour: 'kolla', clients: [bare] })), [])
})
