import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { refresh, tokensOf } from '../../support/sign-in.ts'
import { atEach, type Kind, type World } from './world.ts'

const KINDS = ['stock', 'structured'] as const
/** Sign-ins that refresh side by side for each cluster, and the pause of each: 20 tokens a second in all. */
const CHAINS = 2
const PAUSE = 200
const ROTATIONS = 10

/** What became of one token. */
interface Use {
  readonly kind: Kind
  readonly kid: string
  readonly status: number
  /** Milliseconds since it was given. */
  readonly age: number
}

atEach(KINDS, (world) => {
  /** Rotates as an operator does, and lets the gateway see it. */
  async function rotate(how: '--now' | '--emergency'): Promise<void> {
    const { code, err } = await world().operator.lotse(`keys rotate issuer ${how}`)
    assert.equal(code, 0, err.join('\n'))
    await world().gateway.app.tick()
  }

  test('ten rotations at once, without a lead, while 20 tokens a second are given and used: no 401', async (t) => {
    const traffic = await startTraffic(world())
    const kids = new Set([await world().operator.kidOf('issuer')])
    for (let round = 0; round < ROTATIONS; round++) {
      await delay(1500)
      await rotate('--now')
      kids.add(await world().operator.kidOf('issuer'))
    }
    await delay(1500)
    const uses = await traffic.stop()
    t.diagnostic(`${uses.length} uses of tokens, ${new Set(uses.map(({ kid }) => kid)).size} keys`)
    assert.ok(kids.size > ROTATIONS, 'each rotation has another key')
    assert.deepEqual(
      uses.filter(({ status }) => status !== 201),
      [],
    )
    assert.ok(new Set(uses.map(({ kid }) => kid)).size > ROTATIONS)
  })

  test('an emergency: tokens by the new key are taken from the first one, and those by the old one are let go of', async (t) => {
    const old = new Map<Kind, string>()
    for (const kind of KINDS) {
      const token = await world().accessToken(kind, 'bob')
      assert.equal((await world().cluster(kind).whoami(token)).status, 201)
      old.set(kind, token)
    }
    await rotate('--emergency')
    const began = Date.now()
    const traffic = await startTraffic(world())
    for (const [kind, token] of old) {
      while ((await world().cluster(kind).whoami(token)).status === 201) {
        assert.ok(Date.now() - began < BOUND, `${kind} still takes a token of the revoked key after ${BOUND} ms`)
        await delay(100)
      }
      t.diagnostic(`${kind} let go of the revoked key after ${((Date.now() - began) / 1000).toFixed(1)} s`)
    }
    const uses = await traffic.stop()
    assert.ok(uses.length > 10)
    assert.deepEqual(
      uses.filter(({ status }) => status !== 201),
      [],
    )
  })
})

/** A kube-apiserver believes for ten seconds what it believed once. */
const BOUND = 15_000

interface Traffic {
  /** Ends it; every use of a token so far. */
  stop(): Promise<readonly Use[]>
}

/** Gives tokens by refreshes and uses each at once, and one that is some seconds old beside it. */
async function startTraffic(world: World): Promise<Traffic> {
  const uses: Use[] = []
  let over = false
  const use = async (kind: Kind, { token, at }: { readonly token: string; readonly at: number }) => {
    const { status } = await world.cluster(kind).whoami(token)
    uses.push({ kind, kid: kidOf(token), status, age: Date.now() - at })
  }
  const chain = async (kind: Kind) => {
    const resource = `urn:lotse:target:${kind}`
    let { refresh_token: next } = await tokensOf(world.gateway, 'kubectl', 'ada', { resource })
    const given: { readonly token: string; readonly at: number }[] = []
    while (!over) {
      const { status, body } = await refresh(world.gateway, 'kubectl', next, { resource })
      assert.equal(status, 200, JSON.stringify(body))
      next = body['refresh_token'] ?? next
      const fresh = { token: body['access_token'] ?? '', at: Date.now() }
      given.push(fresh)
      await Promise.all([use(kind, fresh), use(kind, given.at(-20) ?? fresh), delay(PAUSE)])
    }
  }
  const chains = KINDS.flatMap((kind) => Array.from({ length: CHAINS }, () => chain(kind)))
  return {
    async stop() {
      over = true
      await Promise.all(chains)
      return uses
    },
  }
}

const kidOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString('utf8')).kid
