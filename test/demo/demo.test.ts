import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { main } from '../../src/cli/index.ts'
import { deviceCommands } from '../../src/demo/commands.ts'
import { openVisitor } from '../../src/demo/visitor.ts'
import { type Demo, startDemo } from '../../src/demo/world.ts'
import { root } from '../support/runner.ts'

const run = promisify(execFile)
const shipped = join(root, 'config/demo.yaml')
const now = () => Math.floor(Date.now() / 1000)

async function demoCommand(
  words: readonly string[],
  options: { stop?: AbortSignal; heard?: (line: string) => void } = {},
) {
  const out: string[] = []
  const err: string[] = []
  const code = await main(['demo', ...words], {
    out: (line) => {
      out.push(line)
      options.heard?.(line)
    },
    send: async (text) => void out.push(text),
    err: (line) => err.push(line),
    input: async () => '',
    env: {},
    cwd: root,
    columns: undefined,
    now,
    stop: options.stop ?? new AbortController().signal,
    onHangup: () => {},
  })
  return { code, out, err }
}

async function changed(edit: (text: string) => string, use: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-demo-test-'))
  try {
    await writeFile(join(folder, 'demo.yaml'), edit(await readFile(shipped, 'utf8')))
    await use(join(folder, 'demo.yaml'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function running(use: (demo: Demo) => Promise<void>): Promise<void> {
  const demo = await startDemo({ config: shipped, env: {}, now, log: () => {}, say: () => {} })
  try {
    await use(demo)
  } finally {
    await demo.close()
  }
}

const leftovers = async () => (await readdir(tmpdir())).filter((name) => /^lotse-demo-(?!test)/.test(name)).sort()

test('the check signs everybody in, prints what each gets, and ends with 0', async () => {
  const before = await leftovers()
  const { code, out, err } = await demoCommand(['--check'])
  assert.deepEqual(err, [])
  assert.equal(code, 0, out.join('\n'))
  const at = (line: string) => out.findIndex((one) => one.trim() === line)
  for (const line of [
    'cloud project web in corp: member',
    'cloud project db in corp: manager, member',
    'cloud project support in d4712: reader',
    'prod namespace sandbox: edit',
    'grafana group campus:bio-genomics',
    'cloud project visitors in campus: member',
  ]) {
    assert.ok(at(line) > 0, `${line} is printed`)
  }
  assert.ok(at('prod namespace db: admin') > at('ben signs in') && at('prod namespace db: admin') < at('cleo signs in'))
  assert.match(out.at(-1) ?? '', /^\d\d passed, 0 failed$/)
  assert.deepEqual(await leftovers(), before, 'the temporary folder is gone')
})

test('the check ends with 1 and says what was seen where rules give something else', async () => {
  const fewer = (text: string) =>
    text.replace('roles: [reader] }', 'roles: [member] }').replaceAll(/in (d471\d): reader/g, 'in $1: member')
  await changed(fewer, async (file) => {
    const { code, out } = await demoCommand(['--check', '--config', file])
    assert.equal(code, 1)
    assert.ok(out.some((line) => /NOT +gets just that; saw .*support in d4711: member/.test(line)))
    assert.match(out.at(-1) ?? '', /, 1 failed$/)
  })
})

for (const [what, edit] of [
  ['an issuer', (text: string) => text.replace('issuer: http://127.0.0.1:8401', 'issuer: https://login.cloud.example')],
  ['an upstream', (text: string) => text.replace('issuer: http://127.0.0.1:8402', 'issuer: https://sso.corp.example')],
] as const) {
  test(`${what} that is not on loopback is refused, clearly, and nothing is started`, async () => {
    await changed(edit, async (file) => {
      const { code, out, err } = await demoCommand(['--check', '--config', file])
      assert.equal(code, 1)
      assert.match(err.join('\n'), /is https:\/\/\S+, and the demo runs on loopback only/)
      assert.ok(!out.some((line) => line.startsWith('gateway')))
    })
  })
}

test('a configuration with a mistake is refused with its place', async () => {
  await changed(
    (text) => text.replace('\nrules:', '\nrulez:'),
    async (file) => {
      const { code, err } = await demoCommand(['--config', file])
      assert.equal(code, 1)
      assert.match(err.join('\n'), /demo\.yaml:\d+:\d+ rulez: /)
    },
  )
})

test('where a port is taken the demo takes another, in every address that it uses', async () => {
  const taken = createServer()
  // Taken already where a demo runs beside the tests: just as good.
  await new Promise<void>((resolve) => taken.once('error', () => resolve()).listen(8401, '127.0.0.1', () => resolve()))
  try {
    const { code, out } = await demoCommand(['--check'])
    assert.equal(code, 0, out.join('\n'))
    assert.match(out.find((line) => line.startsWith('gateway')) ?? '', /http:\/\/127\.0\.0\.1:(?!8401)\d+$/)
  } finally {
    taken.close()
  }
})

test('without --check it says what to open, answers there, and ends cleanly when it is told to', async () => {
  const stop = new AbortController()
  const pages: Promise<number>[] = []
  const heard = (line: string) => {
    const url = /^Open (\S+) in a browser/.exec(line)?.[1]
    if (url)
      pages.push(
        fetch(url)
          .then((answer) => answer.status)
          .finally(() => stop.abort()),
      )
  }
  const { code } = await demoCommand([], { stop: stop.signal, heard })
  assert.equal(code, 0)
  assert.deepEqual(await Promise.all(pages), [200])
})

test('every page of the demo has a strict policy and nothing from elsewhere', async () => {
  await running(async ({ world }) => {
    for (const path of ['/', '/who/ada', '/config', '/you', '/nowhere']) {
      const answer = await fetch(world.web + path)
      const policy = answer.headers.get('content-security-policy') ?? ''
      assert.match(policy, /default-src 'none'/, path)
      assert.match(policy, /script-src 'none'/, path)
      assert.match(policy, /frame-ancestors 'none'/, path)
      assert.doesNotMatch(await answer.text(), /<script|<img|<link rel="stylesheet"|@import|url\((?!#)/, path)
    }
  })
})

test('a form that another site sends and a request by another name do nothing', async () => {
  await running(async ({ world }) => {
    const post = await fetch(`${world.web}/sign-out`, { method: 'POST', headers: { origin: 'https://evil.example' } })
    assert.equal(post.status, 404)
    const named = await fetch(world.web.replace('127.0.0.1', 'localhost')).catch(() => undefined)
    assert.ok(named === undefined || named.status === 404)
  })
})

test('the commands for the command line work as they are pasted', async (t) => {
  const curl = await run('curl', ['--version']).catch(() => undefined)
  if (!curl) return t.skip('curl is not installed')
  await running(async ({ world }) => {
    const page = await openVisitor().get(world.web)
    const [ask, fetchTokens] = deviceCommands(world)
    const asked = await run('sh', ['-c', `${ask.command}\necho "$code"`])
    const [line = '', code = ''] = asked.stdout.trim().split('\n')
    assert.equal(code, JSON.parse(line).device_code)
    const early = await run('sh', ['-c', fetchTokens.command], { env: { ...process.env, code } })
    assert.equal(JSON.parse(early.stdout).error, 'authorization_pending')
    for (const { command } of [ask, fetchTokens]) assert.ok(page.text.includes(command.split('"')[0] ?? ''))
  })
})
