import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { claimsIn, type TestGateway } from '../../support/gateway.ts'
import type { Idp } from '../../support/oidc-idp.ts'
import { answerCode, CLIENT, clients, execInfo, expire, startLotse, tokenIn } from '../../support/plugin.ts'
import { root } from '../../support/runner.ts'
import { person, pickPerson } from '../../support/sign-in.ts'
import { standard } from '../../support/standard.ts'

const program = join(root, 'dist-cli/lotse')

let idp: Idp
let gateway: TestGateway
let folder: string
let env: Readonly<Record<string, string>>
before(async () => {
  ;({ idp, gateway } = await standard({ extra: () => ({ clients }) }))
  folder = await mkdtemp(join(tmpdir(), 'lotse-executable-'))
  // No PATH, and so no node; nothing else of this process either.
  env = { HOME: folder, PATH: '/nonexistent', LOTSE_ISSUER: gateway.issuer, LOTSE_CLIENT: CLIENT }
})
after(async () => {
  await gateway.close()
  await idp.close()
  await rm(folder, { recursive: true })
})

const lotse = (words: readonly string[], more: Readonly<Record<string, string>> = {}) =>
  startLotse(words, { ...env, ...more }, [program])
const plugin = (target = 'prod') =>
  lotse(['kubectl-credential'], { KUBERNETES_EXEC_INFO: execInfo(false, { target }) }).ended

test('it needs no Node, and what other programs want of one does not change it', () => {
  const options = { env: { ...env, NODE_OPTIONS: '--require /nonexistent.js' }, encoding: 'utf8' } as const
  const { status, stdout, stderr } = spawnSync(program, ['version'], options)
  const { version } = JSON.parse(spawnSync('cat', [join(root, 'package.json')], { encoding: 'utf8' }).stdout)
  assert.deepEqual([status, stdout, stderr], [0, `lotse ${version}\n`, ''])
})

test('it signs in by a code, gives tokens of two clusters, refreshes, and signs out', async () => {
  const login = lotse(['login', 'prod'])
  await answerCode(await login.asked, 'confirm')
  assert.equal((await login.ended).code, 0)
  const [prod, argo] = [await plugin(), await plugin('argo')]
  assert.equal(claimsIn(tokenIn(prod.out))['aud'], 'k8s-prod')
  assert.equal(claimsIn(tokenIn(argo.out))['aud'], 'https://argo.example')
  await expire({ LOTSE_CACHE: join(folder, '.cache/lotse') })
  const next = await plugin()
  assert.notEqual(tokenIn(next.out), tokenIn(prod.out))
  const logout = await lotse(['logout']).ended
  assert.deepEqual([logout.code, logout.err], [0, `Signed out at ${gateway.issuer} (${CLIENT}).\n`])
  const { code, err } = await plugin()
  assert.deepEqual([code, /nobody is signed in/.test(err)], [1, true])
})

test('it signs in by the browser that it opens, and ends at once', async () => {
  const opener = join(folder, 'browser')
  const opened = join(folder, 'opened')
  await writeFile(opener, `#!/bin/sh\nprintf '%s' "$1" > ${opened}.part && /bin/mv ${opened}.part ${opened}\n`)
  await chmod(opener, 0o755)
  const login = lotse(['login', 'prod'], { BROWSER: opener })
  let address = ''
  for (let n = 0; n < 200 && address === ''; n += 1) {
    await wait(25)
    address = await readFile(opened, 'utf8').catch(() => '')
  }
  const who = person()
  await pickPerson(who, await who.get(address), 'ada')
  const begun = Date.now()
  const { code, err } = await login.ended
  assert.equal(code, 0, err)
  assert.ok(Date.now() - begun < 5000, 'a timer that goes on would keep it from ending')
  assert.equal((await plugin()).code, 0)
})

test('it has no gateway in it, and says what to do where it is asked for its configuration', async () => {
  assert.equal((await lotse(['serve']).ended).code, 2)
  const { code, err } = await lotse(['login', 'prod', '--config', 'gateway.yaml']).ended
  assert.equal(code, 3)
  assert.match(err, /this program reads no configuration of a gateway; give --issuer and --client/)
})
