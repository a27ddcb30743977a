import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort, startGateway, type TestGateway } from '../../support/gateway.ts'
import { type Operator, operator } from '../../support/lotse.ts'
import { startIdp } from '../../support/oidc-idp.ts'
import { rounds } from '../../support/rounds.ts'
import { tokensOf } from '../../support/sign-in.ts'
import { people, standardEnv } from '../../support/standard.ts'
import { kidOf, strangeToken } from './traffic.ts'
import { config, programs, rotated, tls } from './world.ts'

/*
 * go-oidc v3, which no kube-apiserver up to 1.37 has: it asks for the keys whenever it meets one that it does not know, whatever
 * Cache-Control says, and the apiservers that take it will limit how often.
 */

/** Seconds between two fetches of keys at least. */
const LIMIT = rounds(4, 30)
/** Seconds of `keys.lead`: longer than that. */
const LEAD = LIMIT + 3
const ORDERLY = rounds(2, 10)

const opened = new AsyncDisposableStack()
let folder: string
let gateway: TestGateway
let commands: Operator
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lotse-go-oidc-'))
  opened.defer(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'ca.pem'), tls.cert)
  const port = await freePort()
  const redirectUris = [`https://127.0.0.1:${port}/callback/corp`]
  const idp = await startIdp({ people, clients: [{ id: 'lotse', secret: standardEnv.CORP_SECRET, redirectUris }] })
  opened.defer(() => idp.close())
  const yaml = config(idp.issuer, { stock: 1, structured: 2, ids: 3 })
  gateway = await startGateway({ config: yaml, env: standardEnv, port, tls, lead: `${LEAD}s` })
  opened.defer(() => gateway.close())
  commands = await operator(gateway, yaml)
})
after(() => opened.disposeAsync())

const rotate = (how: '' | '--now' | '--emergency') => rotated({ gateway, operator: commands }, how)
const token = async () =>
  (await tokensOf(gateway, 'kubectl', 'ada', { resource: 'urn:lotse:target:stock' })).access_token

for (const limit of [0, LIMIT]) {
  const limited = limit === 0 ? 'no limit' : `a fetch in ${limit} s`

  test(`${limited}: orderly rotations while tokens are used and a stranger asks for fetches: none is refused`, async (t) => {
    await using verifier = await startVerifier('k8s-stock', limit)
    const [kids, strangers] = [new Set<string>(), { count: 0 }]
    const began = Date.now()
    let fetches = 0
    for (let round = 0; round < ORDERLY; round++) {
      const [from] = [Date.now(), await rotate('')]
      while (Date.now() - from < (LEAD + 2) * 1000) {
        await gateway.app.tick()
        assert.equal((await verifier.verify(strangeToken(gateway.issuer, 'k8s-stock'))).ok, false)
        strangers.count++
        const good = await token()
        kids.add(kidOf(good))
        const verdict = await verifier.verify(good)
        assert.ok(verdict.ok, verdict.reason)
        fetches = verdict.fetches
        await delay(100)
      }
    }
    t.diagnostic(`${kids.size} keys, ${strangers.count} tokens of a stranger, ${fetches} fetches of keys`)
    assert.ok(kids.size > ORDERLY)
    if (limit > 0) assert.ok(fetches <= (Date.now() - began) / 1000 / limit + 1, `${fetches} fetches`)
  })

  test(`${limited}: after a rotation at once a token by the new key is taken as soon as a fetch is allowed`, async (t) => {
    await using verifier = await startVerifier('k8s-stock', limit)
    await verifier.verify(strangeToken(gateway.issuer, 'k8s-stock'))
    const began = Date.now()
    const old = await token()
    await rotate('--now')
    const fresh = await token()
    assert.ok((await verifier.verify(old)).ok, 'the retired key is published')
    while (!(await verifier.verify(fresh)).ok) {
      assert.ok(Date.now() - began < limit * 1000 + 5000)
      await delay(50)
    }
    t.diagnostic(`after ${((Date.now() - began) / 1000).toFixed(1)} s`)
    assert.ok(Date.now() - began > limit * 1000 - 1000)
  })

  test(`${limited}: a revoked key is let go of with the first fetch after it, and not before`, async (t) => {
    await using verifier = await startVerifier('k8s-stock', limit)
    const old = await token()
    assert.ok((await verifier.verify(old)).ok)
    await rotate('--emergency')
    const began = Date.now()
    assert.ok((await verifier.verify(old)).ok, 'it has not asked')
    while (!(await verifier.verify(await token())).ok) await delay(50)
    assert.equal((await verifier.verify(old)).ok, false)
    t.diagnostic(`after ${((Date.now() - began) / 1000).toFixed(1)} s`)
    assert.ok(Date.now() - began < limit * 1000 + 5000)
  })
}

test('another audience and a key that nobody has are refused, with the reason', async () => {
  await using verifier = await startVerifier('k8s-structured', 0)
  assert.match((await verifier.verify(await token())).reason ?? '', /expected audience "k8s-structured"/)
  const strange = await verifier.verify(strangeToken(gateway.issuer, 'k8s-structured', 'ES256'))
  assert.match(strange.reason ?? '', /failed to verify id token signature/)
})

interface Verdict {
  readonly ok: boolean
  readonly reason?: string
  /** Fetches of keys so far. */
  readonly fetches: number
}

interface Verifier extends AsyncDisposable {
  verify(token: string): Promise<Verdict>
}

/** modules/go-oidc, running. @param limit seconds between two fetches of keys at least */
async function startVerifier(audience: string, limit: number): Promise<Verifier> {
  const [program] = programs
  const args = ['-issuer', gateway.issuer, '-audience', audience, '-ca', join(folder, 'ca.pem'), '-every', `${limit}s`]
  const child = spawn(program?.verifier ?? '', args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async verify(jws) {
      child.stdin.write(`${jws}\n`)
      const { value, done } = await answers.next()
      if (done) throw new Error('the verifier has ended')
      return JSON.parse(value) as Verdict
    },
    [Symbol.asyncDispose]: () => ended(child),
  }
}

/** It ends with its standard input. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const exit = once(child, 'exit')
  child.stdin?.end()
  await exit
}
