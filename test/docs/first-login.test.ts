import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { inspect } from 'node:util'
import type { Io } from '../../src/cli/command.ts'
import { main } from '../../src/cli/index.ts'
import { problemText } from '../../src/config/problem.ts'
import { loadFrom } from '../config/files.ts'
import { type Browser, browser, type Page } from '../support/browser.ts'
import { claimsIn, freePort } from '../support/gateway.ts'
import { root } from '../support/runner.ts'

const page = readFileSync(join(root, 'docs/guides/first-login.md'), 'utf8')
const readme = readFileSync(join(root, 'README.md'), 'utf8')

/** The first fenced block of a kind in a page that begins like this. */
function block(text: string, kind: string, start = ''): string {
  const blocks = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)]
  const found = blocks.find(([, name, body = '']) => name === kind && body.startsWith(start))?.[2]
  assert.ok(found, `no block ${kind} ${start}`)
  return found
}

const yaml = block(page, 'yaml')
const script = block(page, 'js', 'import')
/** What the page lets `sed` make of the configuration. */
const broken = yaml.replace('/teams/<team>', '/team/<team>')

/** Every `$ lotse …` of the page with what it says that it prints. */
const transcripts = [...page.matchAll(/^```\n\$ lotse (.*)\n([\s\S]*?)^```/gm)].map(([, words = '', printed = '']) => ({
  words,
  printed,
}))

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lotse-first-login-'))
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  await writeFile(join(folder, 'gateway.yaml'), yaml)
  await writeFile(join(folder, 'broken.yaml'), broken)
  await writeFile(join(folder, 'corp.secret'), 'a secret of this test\n')
})
after(() => rm(folder, { recursive: true }))

/** Text to the letter, in which a line `…` stands for lines that the page leaves out. */
function pattern(printed: string): RegExp {
  const parts = printed.split(/^ *…\n/m).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('(?:.*\\n)+')}$`)
}

async function printedBy(words: string): Promise<string> {
  const lines: string[] = []
  const io: Io = {
    out: (line) => lines.push(line),
    send: async (text) => void lines.push(text),
    err: (line) => lines.push(line),
    input: async () => '',
    env: {},
    cwd: folder,
    columns: undefined,
    now: () => Math.floor(Date.now() / 1000),
    stop: new AbortController().signal,
    onHangup: () => {},
  }
  const cwd = process.cwd()
  process.chdir(folder) // `check` opens the name as it was typed
  try {
    await main(words.split(' '), io)
  } finally {
    process.chdir(cwd)
  }
  return `${lines.join('\n')}\n`
}

describe('docs/guides/first-login.md', () => {
  it('has a configuration that loads without a warning and passes its test', async () => {
    const loaded = await loadFrom({ files: { '/etc/lotse/gateway.yaml': yaml, '/etc/lotse/corp.secret': 'x' } })
    assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(problemText).join('\n'))
    assert.deepEqual(loaded.warnings, [])
    assert.equal(loaded.tests, 1)
  })

  it('shows the configuration of the README, which is ten lines long', () => {
    assert.equal(block(readme, 'yaml'), yaml)
    assert.equal(yaml.trimEnd().split('\n').length, 10)
  })

  it('breaks the configuration as its sed does', () => {
    assert.ok(page.includes("\nsed 's|/teams/<team>|/team/<team>|' gateway.yaml > broken.yaml\n"))
    assert.notEqual(broken, yaml)
  })

  it('lets every command be seen', () => {
    const commands = transcripts.map(({ words }) => words.split(' ')[0])
    assert.deepEqual(commands, ['check', 'check', 'print', 'explain', 'explain'])
  })

  for (const { words, printed } of transcripts)
    it(`shows what lotse ${words} prints`, async () => assert.match(await printedBy(words), pattern(printed)))

  it('leads to the token that it shows, and lets nobody in without a rule', { timeout: 60_000 }, async ({ signal }) => {
    const [gateway, upstream] = [await freePort(), await freePort()]
    const moved = (text: string) => text.replaceAll('8080', String(gateway)).replaceAll('9000', String(upstream))
    await writeFile(join(folder, 'corp.mjs'), moved(script))
    await writeFile(join(folder, 'moved.yaml'), moved(yaml))
    const issuer = `http://127.0.0.1:${gateway}`
    const corp = start('corp.mjs')
    const lotse = start(join(root, 'src/main.ts'), 'serve', '-c', 'moved.yaml') // what the page runs, without its build
    try {
      await answers(corp, `http://127.0.0.1:${upstream}/.well-known/openid-configuration`, signal)
      await answers(lotse, `${issuer}/healthz`, signal)
      const { access_token } = await signIn(issuer, 'ada', /Your command line is connected/)
      assert.equal(shown(claimsIn(String(access_token))), shownOnPage(issuer))
      const { error } = await signIn(issuer, 'eve', /You are signed in, but nothing is granted to you here/)
      assert.equal(error, 'access_denied')
    } finally {
      await Promise.all([corp, lotse].map(end))
    }
  })
})

/** A program of the page that runs, and what it said of its troubles. */
interface Running {
  readonly child: ChildProcess
  readonly err: () => string
}

function start(...words: readonly string[]): Running {
  const env = { PATH: process.env['PATH'] }
  const child = spawn(process.execPath, words, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], env })
  let err = ''
  child.stderr?.on('data', (chunk) => {
    err += chunk
  })
  return { child, err: () => err }
}

const isOver = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null

async function end({ child }: Running): Promise<void> {
  if (isOver(child)) return
  const closed = new Promise((resolve) => child.once('close', resolve))
  child.kill('SIGKILL')
  await closed
}

/** Waits until a program answers; how long that takes on a busy machine is no part of what is tested. */
async function answers({ child, err }: Running, url: string, signal: AbortSignal): Promise<void> {
  const asked = () =>
    fetch(url).then(
      ({ ok }) => ok,
      () => false,
    )
  while (!(await asked())) {
    if (isOver(child)) assert.fail(`the program behind ${url} ended: ${err()}`)
    await pause(50, undefined, { signal }) // ends with the test's time, so that what it started is ended too
  }
}

/** The device flow with the words of the page; a browser with no memory confirms it, signs in and agrees to everything. */
async function signIn(issuer: string, name: string, last: RegExp): Promise<Readonly<Record<string, unknown>>> {
  const asked = await post(`${issuer}/device/auth`, { client_id: 'kubectl', scope: 'openid offline_access' })
  const who = browser()
  let at = await who.get(String(asked['verification_uri_complete']))
  for (let steps = 0; steps < 8 && !last.test(at.text); steps += 1) at = await press(who, at, name)
  assert.match(at.text, last)
  const grant = 'urn:ietf:params:oauth:grant-type:device_code'
  return post(`${issuer}/token`, {
    client_id: 'kubectl',
    grant_type: grant,
    device_code: String(asked['device_code']),
  })
}

function press(who: Browser, at: Page, name: string): Promise<Page> {
  const form = at.form()
  const yes = form.buttons.some((button) => button.name === 'confirm') ? { confirm: 'yes' } : {}
  const login = form.fields['prompt'] === 'login' ? { login: name, password: 'any' } : {}
  return who.submit(at, form, { ...yes, ...login })
}

async function post(url: string, fields: Record<string, string>): Promise<Readonly<Record<string, unknown>>> {
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(fields) })
  return (await answer.json()) as Record<string, unknown>
}

/** Claims as `node -p` prints them, without what differs each time. */
function shown(claims: Readonly<Record<string, unknown>>): string {
  assert.equal(Number(claims['exp']) - Number(claims['iat']), 600)
  return withoutChance(`${inspect(claims)}\n`)
}

const shownOnPage = (issuer: string) => withoutChance(block(page, 'js', '{')).replace('http://127.0.0.1:8080', issuer)

const withoutChance = (text: string) => text.replace(/^ {2}(sid|grant_id|jti|iat|exp): .*$/gm, '  $1')
