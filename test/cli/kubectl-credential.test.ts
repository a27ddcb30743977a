import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { type Command, type Io, readArgs, UsageError } from '../../src/cli/command.ts'
import { credentialCommand } from '../../src/cli/kubectl-credential.ts'
import { loginCommand } from '../../src/cli/login.ts'
import { command as logout } from '../../src/cli/logout.ts'
import type { SignInPorts } from '../../src/cli/sign-in/gateway.ts'
import { makeFolder } from '../../src/cli/sign-in/session.ts'
import { afterSignIn, heldToken } from '../../src/cli/sign-in/token.ts'
import { type Store, StoreUnavailable } from '../../src/store/store.ts'
import { until } from '../support/crowd.ts'
import { claimsIn, fakeClock, forgetEnds, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { CLIENT, cacheIn, clients, execInfo } from '../support/plugin.ts'
import { person, pickPerson, refresh } from '../support/sign-in.ts'
import { standard } from '../support/standard.ts'

let store: 'well' | 'down' = 'well'

const failing = (real: Store): Store => ({
  ...real,
  get: async (...key) => {
    if (store === 'down') throw new StoreUnavailable('down')
    return await real.get(...key)
  },
})

let idp: Idp
let gateway: TestGateway
let config: string
let folder: string
let clock: ReturnType<typeof fakeClock>
before(async () => {
  ;({ idp, gateway, config } = await standard({ store: failing, extra: () => ({ clients }) }))
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lotse-plugin-'))
  clock = fakeClock()
})
afterEach(async () => {
  clock.stop()
  store = 'well'
  await forgetEnds(gateway)
  await gateway.reload(config)
  await rm(folder, { recursive: true })
})
after(async () => {
  await gateway.close()
  await idp.close()
})

/** The process that runs the plugin: another kubectl each time, where a test says nothing else. */
let parent = 1

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** What a person does whenever a command waits for her; she gets what it has said so far. */
type Does = (said: string) => Promise<void>
type Patient = (patience: (stop: AbortSignal) => SignInPorts['sleep']) => Command

async function run(
  of: Patient,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
  does: Does = nobody,
): Promise<Ran> {
  const [out, err]: [string[], string[]] = [[], []]
  const io = {
    out: (text: string) => out.push(text),
    err: (text: string) => err.push(text),
    env: { LOTSE_CACHE: join(folder, 'cache'), LOTSE_ISSUER: gateway.issuer, LOTSE_CLIENT: CLIENT, ...env },
    cwd: folder,
    now: () => Math.floor(Date.now() / 1000),
    parent,
    stop: new AbortController().signal,
  } as unknown as Io
  // Waiting for another process is not waiting for a person.
  const command = of(() => async (seconds) => (seconds < 1 ? wait(seconds * 1000) : does(err.join('\n'))))
  const code = await command.run(readArgs(words, command.options), io)
  return { code, out: out.join('\n'), err: err.join('\n') }
}

const plugin = (env: Readonly<Record<string, string>>, does?: Does, words: readonly string[] = []) => {
  parent += 1
  return run(credentialCommand, words, env, does)
}
/** The kubectl of the last run, once more: it keeps a token in its memory, so it was refused. */
const again = (env: Readonly<Record<string, string>>, does?: Does) => run(credentialCommand, [], env, does)
const there = (target = 'prod') => ({ KUBERNETES_EXEC_INFO: execInfo(true, { target }) })
const away = (target = 'prod') => ({ KUBERNETES_EXEC_INFO: execInfo(false, { target }) })

async function nobody(): Promise<void> {
  assert.fail('nobody should be asked')
}

const addressIn = (said: string) => /Open (\S+) in a browser/.exec(said)?.[1] ?? ''

/** Confirms the code, and signs in as ada. */
const confirms: Does = async (said) => {
  const who = person()
  const entry = await who.get(addressIn(said))
  const page = await who.submit(entry, entry.form())
  await pickPerson(who, await who.submit(page, page.form(), { confirm: 'yes' }), 'ada')
}

const declines: Does = async (said) => {
  const who = person()
  const entry = await who.get(addressIn(said))
  const page = await who.submit(entry, entry.form())
  await who.submit(page, page.form(), { abort: 'yes' })
}

/** Signs in as ada in the browser that opened, and waits for the time limit. */
const signsIn: Does = async (said) => {
  const who = person()
  await pickPerson(who, await who.get(addressIn(said)), 'ada')
  await new Promise(() => {})
}

const login = (does: Does = confirms, words: readonly string[] = ['prod']) => run(loginCommand, words, {}, does)

function credentialOf({ code, out, err }: Ran) {
  assert.equal(code, 0, err)
  const { apiVersion, kind, status } = JSON.parse(out)
  assert.deepEqual([apiVersion, kind], ['client.authentication.k8s.io/v1', 'ExecCredential'])
  return status as { token: string; expirationTimestamp: string }
}

/** The one file with the session. */
async function kept() {
  const files = await cacheIn(join(folder, 'cache'))
  const name = Object.keys(files).find((each) => each.endsWith('.json')) ?? ''
  return JSON.parse(files[name]?.text ?? '{}')
}

test('after one sign-in every cluster has its own token, without anybody being asked again', async () => {
  const { code, out, err } = await login()
  assert.deepEqual([code, out], [0, ''])
  assert.match(err, /kubectl has a token for prod until \d{4}-/)
  const prod = credentialOf(await plugin(away()))
  assert.equal(claimsIn(prod.token)['aud'], 'k8s-prod')
  assert.deepEqual(claimsIn(prod.token)['groups'], ['x-web'])
  const argo = credentialOf(await plugin(away('argo')))
  assert.equal(claimsIn(argo.token)['aud'], 'https://argo.example')
  assert.equal(credentialOf(await plugin(away())).token, prod.token, 'what is good is given out again')
})

test('a token is refreshed half a minute before it ends, and kubectl is told that time', async () => {
  await login()
  const first = credentialOf(await plugin(away()))
  const end = Number(claimsIn(first.token)['exp'])
  assert.ok(Math.abs(Date.parse(first.expirationTimestamp) / 1000 - (end - 30)) <= 1)
  clock.advance(600 - 32)
  assert.equal(credentialOf(await plugin(away())).token, first.token)
  clock.advance(4)
  const second = credentialOf(await plugin(away()))
  assert.notEqual(second.token, first.token)
})

test('the plugin signs in by itself where somebody is at the terminal: by a code where there is no display', async () => {
  const ran = await plugin(there(), confirms)
  assert.equal(claimsIn(credentialOf(ran).token)['aud'], 'k8s-prod')
  assert.match(ran.err, /It must show the code/)
})

test('it opens one browser window where there is a display, and the sign-in comes back to this machine', async () => {
  const opener = join(folder, 'browser')
  const windows = join(folder, 'windows')
  await writeFile(opener, `#!/bin/sh\nprintf '%s\\n' "$1" >> ${windows}\n`)
  await chmod(opener, 0o755)
  const ran = await plugin({ ...there(), BROWSER: opener }, signsIn)
  assert.equal(claimsIn(credentialOf(ran).token)['aud'], 'k8s-prod')
  const opened = () => readFile(windows, 'utf8').catch(() => '')
  await until('a window is open', 20_000, async () => (await opened()).endsWith('\n'))
  assert.deepEqual((await opened()).split('\n').slice(0, -1), [addressIn(ran.err)])
  assert.match(addressIn(ran.err), /code_challenge_method=S256/)
})

test('nobody at the terminal: nobody is asked, and what to do is one line', async () => {
  const { code, out, err } = await plugin(away())
  assert.deepEqual([code, out], [1, ''])
  assert.equal(
    err,
    `lotse: nobody is signed in\nlotse: to sign in: lotse login prod --issuer ${gateway.issuer} --client ${CLIENT}`,
  )
})

test('the line that signs in is one command of a shell, whatever stands in the kubeconfig and in the name of a folder', async () => {
  const ca = join(folder, "o'neil's own")
  await writeFile(ca, '')
  const { err } = await plugin(away('x; touch y $(id)'), nobody, ['--ca', ca])
  const line = /to sign in: (.*)$/m.exec(err)?.[1] ?? ''
  const said = spawnSync('sh', ['-c', `lotse() { printf '%s\\n' "$@"; }; ${line}`], { encoding: 'utf8' }).stdout.split(
    '\n',
  )
  assert.deepEqual(said.slice(0, 2), ['login', 'x; touch y $(id)'])
  assert.deepEqual(said.slice(-3), ['--ca', ca, ''])
})

test('a token that came at a later time than it is now is asked for anew: the clock was ahead', async () => {
  const where = { issuer: 'https://login.example', client: 'x' }
  const place = { folder: join(folder, 'cache'), who: where }
  makeFolder(place.folder)
  const ports = { now: () => 100_000, fetch, sleep: async () => {} }
  await afterSignIn(place, 'prod', ports, async () => ({ accessToken: 'a', expiresIn: 600 }))
  const heldAt = (now: number) => heldToken(place, { resource: 'prod' }, now)?.token
  assert.deepEqual([99_999, 100_000, 100_500, 100_600].map(heldAt), [undefined, 'a', 'a', undefined])
})

test('who declines is asked once: kubectl runs the plugin ten times, and nine are refused at once', async () => {
  let asked = 0
  const once: Does = async (said) => {
    asked += 1
    await declines(said)
  }
  for (let n = 0; n < 10; n += 1) {
    const { code, out, err } = await plugin(there(), once)
    assert.deepEqual([code, out], [1, ''])
    assert.match(err, /it was declined/)
  }
  assert.equal(asked, 1)
  credentialOf(await login().then(() => plugin(away()))) // a sign-in by hand needs not wait
  await rm(join(folder, 'cache'), { recursive: true })
  await plugin(there(), once)
  clock.advance(31)
  credentialOf(await plugin(there(), confirms))
})

test('a kubectl that comes back was refused: it gets one other token, and then is told that none will do', async () => {
  await login()
  const first = credentialOf(await plugin(away()))
  const second = await again(away())
  assert.notEqual(credentialOf(second).token, first.token)
  assert.equal(second.err, '')
  for (let n = 0; n < 8; n += 1) {
    const more = await again(away())
    assert.equal(credentialOf(more).token, credentialOf(second).token)
    assert.match(more.err, /prod refuses every token that it is shown/)
  }
  const other = await plugin(away())
  assert.deepEqual([credentialOf(other).token, other.err], [credentialOf(second).token, ''])
  assert.notEqual(credentialOf(await again(away())).token, credentialOf(second).token)
})

test('a kubectl that comes back while the gateway is down gets what is kept, and after a minute it is no sign of anything', async () => {
  await login()
  const first = credentialOf(await plugin(away()))
  store = 'down'
  assert.equal(credentialOf(await again(away())).token, first.token)
  // Another one that was refused comes while the failure is remembered: that is no refusal either.
  assert.equal(credentialOf(await plugin(away())).token, first.token)
  assert.equal(credentialOf(await again(away())).token, first.token)
  store = 'well'
  clock.advance(61)
  assert.equal(credentialOf(await again(away())).token, first.token)
})

test('a kubectl that comes back after its sign-in was ended is asked once, by all of its ten runs', async () => {
  await login()
  credentialOf(await plugin(there()))
  await gateway.ends.end({ kind: 'connector', id: 'corp' }, 'operator', { reference: 'test' })
  clock.advance(2)
  let asked = 0
  for (let n = 0; n < 9; n += 1) {
    const { code } = await again(there(), async (said) => {
      asked += 1
      await declines(said)
    })
    assert.equal(code, 1)
  }
  assert.equal(asked, 1)
})

test('a target at which she may nothing is asked for once in half a minute, and the others go on', async () => {
  await login()
  await gateway.reload(config.replace("      - { target: argo, group: 'argo-<team>' }\n", ''))
  for (let n = 0; n < 3; n += 1) {
    const { code, err } = await plugin(there('argo'))
    assert.equal(code, 1)
    assert.match(err, /the rules give you nothing there/)
  }
  clock.advance(600)
  credentialOf(await plugin(away()))
  await gateway.reload(config)
  credentialOf(await plugin(away('argo')))
})

test('a target that the client may not use is said', async () => {
  await login()
  assert.match((await plugin(away('cloud'))).err, /this client may not ask for tokens of that target/)
  assert.match((await plugin(away('nowhere'))).err, /this client may not ask for tokens of that target/)
})

test('a sign-in that ended at the gateway is forgotten with all its tokens, and she is asked once', async () => {
  await login()
  credentialOf(await plugin(away()))
  await gateway.ends.end({ kind: 'connector', id: 'corp' }, 'operator', { reference: 'test' })
  clock.advance(600)
  const { code, err } = await plugin(away())
  assert.equal(code, 1)
  assert.match(err, /nobody is signed in/)
  assert.deepEqual((await kept()).tokens, {})
  credentialOf(await plugin(there(), confirms))
})

test('a gateway that is down takes nothing from her: what is good is given out, and the next refresh goes on', async () => {
  await login()
  const first = credentialOf(await plugin(away()))
  store = 'down'
  assert.equal(credentialOf(await plugin(away())).token, first.token)
  clock.advance(600)
  await assert.rejects(plugin(there()), /the gateway cannot answer now/)
  await assert.rejects(plugin(there()), /cannot answer now.* \(the gateway is asked again in \d s\)/)
  store = 'well'
  clock.advance(6)
  assert.notEqual(credentialOf(await plugin(away())).token, first.token)
})

test('logout gives the refresh token back, and forgets; a second one finds nothing', async () => {
  await login()
  const { refreshToken } = await kept()
  const { code, err } = await run(() => logout, [])
  assert.deepEqual([code, err], [0, `Signed out at ${gateway.issuer} (${CLIENT}).`])
  const again = await refresh(gateway, CLIENT, refreshToken, { resource: 'urn:lotse:target:prod' })
  assert.deepEqual([again.status, again.body['error']], [400, 'invalid_grant'])
  assert.deepEqual(
    Object.keys(await cacheIn(join(folder, 'cache'))).filter((name) => name.endsWith('.json')),
    [],
  )
  assert.equal((await run(() => logout, [])).err, 'Nobody is signed in.')
})

test('--forget forgets also where the certificates of the gateway are gone', async () => {
  await login()
  const ca = ['--ca', join(folder, 'gone.pem')]
  const held = await run(() => logout, ca)
  assert.deepEqual([held.code, (await run(() => logout, [...ca, '--forget'])).code], [3, 0])
  assert.match(held.err, new RegExp(`lotse logout: ${gateway.issuer}: .*gone\\.pem`))
  assert.equal((await run(() => logout, [])).err, 'Nobody is signed in.')
})

test('a second login gives back what the first one left', async () => {
  await login()
  const { refreshToken } = await kept()
  await login()
  const old = await refresh(gateway, CLIENT, refreshToken, { resource: 'urn:lotse:target:prod' })
  assert.equal(old.body['error'], 'invalid_grant')
  clock.advance(600)
  credentialOf(await plugin(away()))
})

test('lotse login needs no words about a gateway that this machine knows', async () => {
  await login()
  const { code } = await run(loginCommand, ['prod'], { LOTSE_ISSUER: '', LOTSE_CLIENT: '' }, confirms)
  assert.equal(code, 0)
})

test('the cache is for its owner alone, and tokens stand in it and on standard output, nowhere else', async () => {
  const { err } = await login()
  const ran = await plugin(away())
  const files = await cacheIn(join(folder, 'cache'))
  assert.equal((await stat(join(folder, 'cache'))).mode & 0o777, 0o700)
  for (const [name, { mode }] of Object.entries(files)) assert.equal(mode, '600', name)
  const { token } = credentialOf(ran)
  const { refreshToken } = await kept()
  for (const secret of [token, refreshToken]) assert.ok(!(err + ran.err).includes(secret))
})

test('what another program left in the place of the cache is no sign-in', async () => {
  await login()
  const files = await cacheIn(join(folder, 'cache'))
  const name = Object.keys(files).find((each) => each.endsWith('.json')) ?? ''
  const ours = { issuer: gateway.issuer, client: CLIENT }
  const torn = [
    { ...ours, tokens: null },
    { ...ours, tokens: { 'urn:lotse:target:prod': { until: 1e12 } }, refused: 7, refreshToken: {} },
  ].map((each) => JSON.stringify(each))
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '{"issuer":1}',
    '{"issuer":"https://other.example","client":"x"}',
    ...torn,
  ]) {
    await writeFile(join(folder, 'cache', name), text)
    assert.equal((await plugin(away())).code, 1, text)
  }
})

for (const [env, said] of [
  [{ KUBERNETES_EXEC_INFO: '{' }, /no JSON/],
  [{ KUBERNETES_EXEC_INFO: '{"apiVersion":"client.authentication.k8s.io/v1alpha1"}' }, /write apiVersion: client/],
  [{ KUBERNETES_EXEC_INFO: execInfo(true, {}) }, /no cluster is named/],
  [{ ...away(), LOTSE_CLIENT: '' }, /say --client/],
  [{ ...away(), LOTSE_ISSUER: 'x' }, /--issuer is no address/],
] as const)
  test(`is not understood: ${said.source}`, async () => {
    await assert.rejects(plugin(env), (error) => error instanceof UsageError && said.test(error.message))
  })

test('v1beta1 is answered in v1beta1, and --target goes before what the kubeconfig says of the cluster', async () => {
  await login()
  const old = { KUBERNETES_EXEC_INFO: execInfo(false, { target: 'nowhere' }).replace('.io/v1"', '.io/v1beta1"') }
  const { out, err } = await plugin(old, nobody, ['--target', 'prod'])
  assert.equal(JSON.parse(out || '{}').apiVersion, 'client.authentication.k8s.io/v1beta1', err)
})
