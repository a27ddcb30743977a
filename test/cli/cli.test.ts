import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { exit, type Io, readArgs, UsageError } from '../../src/cli/command.ts'
import { commands, main } from '../../src/cli/index.ts'
import { authority } from '../support/certificate.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const example = `${root}config/gateway.example.yaml`
const wallets = authority('Root of wallets')
const verifier = wallets.issue({ name: 'Cloud Nord', dns: ['login.cloud.example'] })
const env = {
  CORP_SECRET: 'x',
  HORIZON_SECRET: 'x',
  ARGO_SECRET: 'x',
  REPORT_SECRET: 'x',
  NORTH_CA: 'x',
  NORTH_PASSWORD: 'x',
  SOUTH_SECRET: 'x',
  LOTSE_ACME__SSO: 'x',
  WALLET_CHAIN: verifier.chain,
  WALLET_KEY: String(verifier.key.export({ type: 'pkcs8', format: 'pem' })),
  CORP_ROOT: wallets.root,
}

/** Runs the command line; what it wrote and how it ended. */
async function lotse(words: readonly string[], around: Partial<Io> = {}) {
  const out: string[] = []
  const err: string[] = []
  const io: Io = {
    out: (text) => out.push(text),
    send: async (text) => void out.push(text),
    err: (text) => err.push(text),
    input: () => Promise.resolve('{}'),
    env,
    cwd: root,
    columns: undefined,
    now: () => Math.floor(Date.now() / 1000),
    stop: new AbortController().signal,
    onHangup: () => {},
    ...around,
  }
  const code = await main(words, io)
  return { code, out: out.join('\n'), err: err.join('\n') }
}

test('ten different mistakes are ten lines in file order, and exit 1', async () => {
  const { code, out, err } = await lotse(['check', '-c', 'test/config/fixtures/ten-mistakes.yaml'], { env: {} })
  assert.equal(code, exit.refused)
  assert.equal(out, '')
  assert.equal(`${err}\n`, await readFile(`${root}test/config/fixtures/ten-mistakes.txt`, 'utf8'))
  const lines = err.split('\n').map((line) => Number(line.split(':')[1]))
  assert.equal(lines.length, 10)
  assert.deepEqual(
    lines,
    [...lines].sort((a, b) => a - b),
  )
})

test('check of a good configuration says what it found and exits 0', async () => {
  const { code, out, err } = await lotse(['check', example])
  assert.equal(code, exit.ok, err)
  assert.match(out, /ok, 6 connectors, 5 targets, 5 clients, 4 tests passed \([0-9a-f]{12}\)$/m)
  assert.doesNotMatch(out, /^bad/m)
  assert.equal(err, '')
})

test('check names a tenant that is disabled, and exits 1', async () => {
  const { code, out, err } = await lotse(['check', example], { env: { ...env, LOTSE_ACME__SSO: '' } })
  assert.equal(code, exit.refused)
  assert.match(out, /usable, but .* 1 tenant disabled: acme/)
  assert.match(
    err,
    /tenants\.example\/acme\.yaml:\d+:\d+ connectors\[0\]\.clientSecret: the variable LOTSE_ACME__SSO is empty/,
  )
})

test('explain says what was said, what the rules say to it, and what comes of it', async () => {
  const { code, out } = await lotse([
    ...['explain', '-c', example, '--connector', 'corp', '--subject', '4711'],
    ...['--claim', 'groups=/teams/web/dev', '--claim', 'preferred_username=alice'],
  ])
  assert.equal(code, exit.ok)
  const parts = [
    'WHAT WAS SAID',
    'groups              /teams/web/dev',
    'WHAT THE RULES SAY',
    '+ teams',
    '- contractors',
  ]
  const more = [
    'does not hold: contract is external; seen: nothing',
    'WHAT YOU GET  allowed',
    'corp:alice',
    'project web',
  ]
  let at = 0
  for (const part of [...parts, ...more]) {
    const found = out.indexOf(part, at)
    assert.ok(found >= at, `${part} is not where it belongs in\n${out}`)
    at = found
  }
})

test('explain exits 1 for somebody who gets nothing', async () => {
  const { code, out } = await lotse(['explain', '-c', example, '--connector', 'corp', '--claim', 'groups=none'])
  assert.equal(code, exit.refused)
  assert.match(out, /WHAT YOU GET {2}refused/)
})

test('explain reads a file of claims as the upstream sends them, and gives programs JSON', async () => {
  const input = () =>
    Promise.resolve('{"sub":"7","groups":["/teams/db/lead"],"realm_access":{"roles":["r"]},"iss":"https://x"}')
  const words = ['explain', '-c', example, '--connector', 'corp', '--claims', '-', '--target', 'cloud', '--json']
  const { code, out } = await lotse(words, { input })
  assert.equal(code, exit.ok)
  const said = JSON.parse(out) as {
    subject: { id: string; claims: object }
    decision: { grants: object[] }
    targets: object[]
  }
  assert.equal(said.subject.id, '7')
  assert.deepEqual(said.subject.claims, { sub: ['7'], groups: ['/teams/db/lead'], '/realm_access/roles': ['r'] })
  assert.equal(said.targets.length, 1)
  assert.deepEqual(said.decision.grants[1], { target: 'cloud', project: 'db', roles: ['manager', 'member'] })
})

test('explain follows a person into her Keystone: what Apache hands on, whom the mapping makes of it, what would bite', async () => {
  const words = [
    'explain',
    '-c',
    example,
    '--connector',
    'corp',
    '--claim',
    'groups=/teams/web/dev',
    '--target',
    'cloud',
  ]
  const { code, out } = await lotse([...words, '--claim', 'preferred_username=Jürgen'])
  assert.equal(code, exit.ok)
  assert.match(out, /through Apache, to Keystone 30 with mapping schema 3\.0:/)
  assert.match(out, /OIDC-preferred_username +corp:Jurgen~[0-9a-f]{8}\n/)
  assert.match(
    out,
    /where it becomes:\n +user corp:Jurgen~[0-9a-f]{8} in domain corp, known by [\w-]{43}\n +project web in domain corp: member\n/,
  )
  assert.match(out, /· the user name corp:Jürgen is shown as corp:Jurgen~/)
  const { targets } = JSON.parse((await lotse([...words, '--json'])).out) as {
    targets: {
      keystone: { arrivals: { way: string; seen: { projects: object[] } }[]; warnings: { about: string }[] }
    }[]
  }
  const { arrivals = [], warnings = [] } = targets[0]?.keystone ?? {}
  assert.deepEqual(new Set(arrivals.map(({ way }) => way)), new Set(['websso', 'bearer']))
  for (const { seen } of arrivals) assert.deepEqual(seen.projects, [{ name: 'web', domain: 'corp', roles: ['member'] }])
  assert.ok(warnings.some(({ about }) => about === 'deletes'))
})

test('explain says why a person gets no token although the rules give her something', async () => {
  const words = ['explain', '-c', example, '--connector', 'corp', '--target', 'cloud']
  const groups = Array.from({ length: 90 }, (_, at) => [
    '--claim',
    `groups=/teams/a-rather-long-name-of-a-team-${at}/dev`,
  ])
  const { out } = await lotse([...words, ...groups.flat()])
  assert.match(out, /! no token is given: claims for target .* \(grants_too_large\)/)
})

test('a claim cannot move the cursor of the terminal that shows it', async () => {
  const { out } = await lotse(['explain', '-c', example, '--connector', 'corp', '--claim', 'groups=\u001b[2J\u202e'], {
    columns: undefined,
  })
  assert.ok(!out.includes('\u001b') && !out.includes('\u202e'))
  assert.match(out, /\\u001b\[2J\\u202e/)
})

test('nor can it where programs get JSON, which says the same', async () => {
  const claim = 'a\u009b31m\u007f\u202e\u{e0041}é'
  const { out } = await lotse(['explain', '-c', example, '--connector', 'corp', '--claim', `groups=${claim}`, '--json'])
  assert.doesNotMatch(out, /[\u007f-\u009f\u202e\u{e0041}]/u)
  assert.deepEqual(JSON.parse(out).subject.claims.groups, [claim])
})

test('what is not understood exits 2 with a hint, on standard error', async () => {
  const cases: readonly (readonly [words: readonly string[], hint: RegExp])[] = [
    [[], /Usage: lotse COMMAND/],
    [['chekc'], /no command "chekc"; did you mean 'check'\?/],
    [['check', '--confg', 'x'], /unknown option --confg; did you mean --config\?/],
    [['check', '--config'], /--config/],
    [['check', 'a', 'b'], /one configuration at a time/],
    [['explain'], /--connector ID/],
    [
      ['explain', '-c', example, '--connector', 'crop'],
      /no connector "crop"; there is corp, campus, federation, gaiax, social, acme\.sso/,
    ],
    [
      ['explain', '-c', example, '--connector', 'corp', '--target', 'x'],
      /no target "x"; there is cloud, north, south, prod, argo/,
    ],
    [['explain', '-c', example, '--connector', 'corp', '--claim', 'x'], /write NAME=VALUE/],
  ]
  for (const [words, hint] of cases) {
    const { code, out, err } = await lotse(words)
    assert.equal(code, exit.usage, words.join(' '))
    assert.equal(out, '')
    assert.match(err, hint)
  }
})

test('no two commands share a name', () => {
  const names = commands.map(({ name }) => name)
  assert.deepEqual(names, [...new Set(names)])
})

test('every command has help, which names its options and the exit codes', async () => {
  for (const { name, summary, load } of commands) {
    const { code, out } = await lotse([name, '--help'])
    const { command } = await load()
    assert.equal(code, exit.ok)
    for (const text of [summary, `Usage: lotse ${name}`, 'Exit codes: 0 done'])
      assert.ok(out.includes(text), `${text} is not in\n${out}`)
    for (const option of Object.keys(command.options)) assert.ok(out.includes(`--${option}`), option)
  }
  const { code, out } = await lotse(['--help'])
  assert.equal(code, exit.ok)
  for (const { name, summary } of commands) assert.ok(out.includes(name) && out.includes(summary))
})

test('docs/guides/command-line.md names every command', async () => {
  const page = await readFile(`${root}docs/guides/command-line.md`, 'utf8')
  for (const { name } of commands) assert.ok(page.includes(`## lotse ${name}`), name)
})

test('a file that cannot be read is a problem of the configuration, with its name', async () => {
  const { code, err } = await lotse(['check', '-c', '/nowhere/gateway.yaml'])
  assert.equal(code, exit.refused)
  assert.match(err, /^\/nowhere\/gateway\.yaml:1:1: cannot be read \(there is none\)/)
})

test('arguments are read as the options say', () => {
  const options = {
    json: { help: '' },
    claim: { help: '', value: 'X', repeat: true as const },
    config: { help: '', value: 'F', short: 'c' },
  }
  const args = readArgs(['word', '-c', 'f', '--claim=a=b', '--claim', 'c', '--json'], options)
  assert.deepEqual(
    [args.words, args.text('config'), args.list('claim'), args.flag('json')],
    [['word'], 'f', ['a=b', 'c'], true],
  )
  assert.equal(args.text('claim'), undefined)
  assert.throws(() => readArgs(['--json=yes'], options), UsageError)
})

test('an id that begins with a dash is the value of the option before it', () => {
  const id = '-qEIuKQREKgAKGZjYK0dUzUc252IJJ2DFpBEqhXihOQ'
  const options = { key: { value: 'KID', help: '' }, json: { help: '' } }
  assert.equal(readArgs(['--key', id, '--json'], options).text('key'), id)
  assert.equal(readArgs(['--key', `-${id.slice(1)}`], options).text('key'), `-${id.slice(1)}`)
  assert.throws(() => readArgs(['--key', '--json'], options), UsageError)
})

test('of two values for an option that takes one none is dropped in silence: nothing is done', async () => {
  const both = ['revoke', '--subject', 'corp/ada', '--subject=corp/bob']
  const { code, err } = await lotse(both)
  assert.equal(code, exit.usage)
  assert.match(err, /--subject is there twice/)
  const repeated = readArgs(['--claim', 'a=1', '--claim', 'b=2', '--yes', '--yes'], {
    claim: { value: 'PAIR', help: '', repeat: true },
    yes: { help: '' },
  })
  assert.deepEqual(repeated.list('claim'), ['a=1', 'b=2'])
  assert.throws(
    () => readArgs(['-c', 'a', '--config', 'b'], { config: { value: 'F', help: '', short: 'c' } }),
    UsageError,
  )
})
