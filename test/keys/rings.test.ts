import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { compactVerify, createLocalJWKSet } from 'jose'
import type { SigningAlg } from '../../src/core/ports.ts'
import type { KeyChange } from '../../src/keys/ring-state.ts'
import type { Rings } from '../../src/keys/rings.ts'
import type { Root } from '../../src/keys/root.ts'
import { openRoot } from '../../src/keys/root-secret.ts'
import { openRings } from '../../src/keys/store-rings.ts'
import { StoreUnavailable } from '../../src/store/store.ts'
import { memoryStore } from './memory-store.ts'

const DAY = 86_400
const timing = { rotateEvery: 90 * DAY, lead: DAY, retireFor: 3600 }
const specs = [
  { name: 'issuer', algs: ['ES256'] },
  { name: 'keystone-cloud', algs: ['ES256'] },
] as const

let dir = ''
let root: Root
let otherRoot: Root
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lotse-rings-'))
  root = await openRoot(join(dir, 'a'), { create: 'allowed' })
  otherRoot = await openRoot(join(dir, 'b'), { create: 'allowed' })
})
after(() => rm(dir, { recursive: true }))

/** An installation: one store, one clock, and processes that open it. */
function installation(algs?: readonly SigningAlg[]) {
  const clock = { time: 1_800_000_000 }
  const store = memoryStore()
  const changes: KeyChange[] = []
  const used = algs ? [{ name: 'issuer', algs }] : specs
  const start = (more: Partial<Parameters<typeof openRings>[0]> = {}) =>
    openRings({
      store,
      root,
      now: () => clock.time,
      specs: used,
      ...timing,
      rsaBits: 2048,
      report: async (change) => {
        changes.push(change)
      },
      ...more,
    })
  return { clock, store, changes, start }
}

const states = (rings: Rings, ring = 'issuer') =>
  rings
    .list()
    .filter((key) => key.ring === ring)
    .map((key) => key.state)
    .sort()
const current = (rings: Rings, alg: SigningAlg = 'ES256', ring = 'issuer') =>
  rings.list().find((key) => key.ring === ring && key.alg === alg && key.state === 'current')?.kid
const published = (rings: Rings, ring = 'issuer'): Record<string, unknown>[] => JSON.parse(rings.jwks(ring)!).keys

describe('signing', () => {
  for (const alg of ['ES256', 'ES384', 'RS256', 'PS256'] as const) {
    it(`makes ${alg} signatures that another library takes with the published keys, and takes them itself`, async () => {
      const rings = await installation([alg]).start()
      const jws = rings.sign('issuer', alg, 'at+jwt', { sub: 'größe', exp: 1 })
      const { payload, protectedHeader } = await compactVerify(
        jws,
        createLocalJWKSet({ keys: published(rings) as never }),
      )
      assert.deepEqual(protectedHeader, { alg, typ: 'at+jwt', kid: current(rings, alg) })
      assert.deepEqual(JSON.parse(new TextDecoder().decode(payload)), { sub: 'größe', exp: 1 })
      assert.deepEqual(rings.verify('issuer', 'at+jwt', jws), { sub: 'größe', exp: 1 })
    })
  }

  it('is refused for an algorithm or a ring that is not there', async () => {
    const rings = await installation().start()
    assert.throws(() => rings.sign('issuer', 'RS256', 'JWT', {}), /no current key for RS256/)
    assert.throws(() => rings.sign('none', 'ES256', 'JWT', {}), /no current key/)
    assert.equal(rings.jwks('none'), undefined)
    assert.equal(rings.verify('none', 'JWT', rings.sign('issuer', 'ES256', 'JWT', {})), undefined)
  })

  it('is not believed in another ring, with another typ, changed, cut, or written otherwise', async () => {
    const rings = await installation().start()
    const jws = rings.sign('issuer', 'ES256', 'at+jwt', { sub: 'a' })
    const [head, body, tail] = jws.split('.') as [string, string, string]
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const kid = current(rings)
    assert.ok(rings.verify('issuer', 'at+jwt', jws))
    assert.equal(rings.verify('keystone-cloud', 'at+jwt', jws), undefined)
    assert.equal(rings.verify('issuer', 'JWT', jws), undefined)
    const bad = {
      'another payload': `${head}.${encode({ sub: 'b' })}.${tail}`,
      'no signature': `${head}.${body}.`,
      'alg none': `${encode({ alg: 'none', typ: 'at+jwt', kid })}.${body}.`,
      'alg HS256': `${encode({ alg: 'HS256', typ: 'at+jwt', kid })}.${body}.${tail}`,
      'an unknown kid': `${encode({ alg: 'ES256', typ: 'at+jwt', kid: 'x' })}.${body}.${tail}`,
      'a critical extension': `${encode({ alg: 'ES256', typ: 'at+jwt', kid, crit: ['b64'] })}.${body}.${tail}`,
      'a padded signature': `${jws}==`,
      'a fourth part': `${jws}.${tail}`,
      'a header that is a list': `${encode([])}.${body}.${tail}`,
      'no header': `.${body}.${tail}`,
      nothing: '',
      'three dots': '...',
      'a megabyte': 'a'.repeat(1_000_000),
    }
    for (const [what, text] of Object.entries(bad))
      assert.equal(rings.verify('issuer', 'at+jwt', text), undefined, what)
  })
})

describe('a header that the right key signed', () => {
  it('is not believed with another algorithm, a critical extension or another typ', async () => {
    const rings = await installation().start()
    const kid = current(rings)
    const key = createPrivateKey({ key: { ...rings.keystore()[0] }, format: 'jwk' })
    const signed = (header: object) => {
      const text = [header, { sub: 'a' }]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .join('.')
      const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
      return rings.verify('issuer', 'at+jwt', `${text}.${signature.toString('base64url')}`)
    }
    assert.deepEqual(signed({ alg: 'ES256', typ: 'at+jwt', kid }), { sub: 'a' })
    for (const more of [
      { alg: 'none' },
      { alg: 'HS256' },
      { alg: 'RS256' },
      { alg: undefined },
      { crit: ['exp'] },
      { typ: 'JWT' },
    ])
      assert.equal(signed({ alg: 'ES256', typ: 'at+jwt', kid, ...more }), undefined, JSON.stringify(more))
  })
})

describe('what is published', () => {
  it('holds public signature keys of the four kinds and nothing private', async () => {
    const rings = await installation(['ES256', 'ES384', 'RS256', 'PS256']).start()
    const members = { EC: 'alg,crv,kid,kty,use,x,y', RSA: 'alg,e,kid,kty,n,use' } as Record<string, string>
    for (const key of published(rings)) {
      assert.equal(Object.keys(key).sort().join(), members[String(key['kty'])])
      assert.equal(key['use'], 'sig')
    }
    assert.equal(published(rings).length, 4)
  })

  it('is equal byte for byte in all processes, and does not change when a next key is promoted', async () => {
    const { clock, start } = installation()
    const [one, other] = [await start(), await start()]
    assert.equal(one.jwks('issuer'), other.jwks('issuer'))
    clock.time += 89 * DAY
    await one.tick()
    await other.tick()
    const withNext = one.jwks('issuer')
    assert.equal(other.jwks('issuer'), withNext)
    assert.equal(published(one).length, 2)
    const before = current(one)
    clock.time += DAY
    await one.tick()
    assert.notEqual(current(one), before)
    assert.equal(one.jwks('issuer'), withNext)
  })

  it('keeps the private keys out of the store', async () => {
    const { store, start } = installation()
    const rings = await start()
    const { d } = rings.keystore()[0] as unknown as { d: string }
    const text = [...store.entries.values()].join()
    assert.ok(d.length > 40 && text.includes('sealed'))
    assert.ok(!text.includes(d) && !text.includes('"d"'))
  })

  it('gives the Provider the issuer ring only, the signing key first, and the others for verifying', async () => {
    const { clock, start } = installation()
    const rings = await start()
    clock.time += 89 * DAY
    await rings.tick()
    const keys = rings.keystore()
    assert.deepEqual(
      keys.map(({ kid, key_ops }) => [kid === current(rings), key_ops]),
      [
        [true, undefined],
        [false, ['verify']],
      ],
    )
    const mine = new Set(published(rings).map(({ kid }) => kid))
    assert.ok(keys.every(({ kid, alg, use, d }) => mine.has(kid) && alg === 'ES256' && use === 'sig' && d))
  })
})

describe('rotation', () => {
  it('publishes the next key a lead time ahead, promotes it when due, and removes the old one after the last token', async () => {
    const { clock, start, changes } = installation()
    const rings = await start()
    const first = current(rings)
    const walk: [number, string[], boolean][] = [
      [0, ['current'], false],
      [89 * DAY - 1, ['current'], false],
      [89 * DAY, ['current', 'next'], true],
      [90 * DAY - 1, ['current', 'next'], false],
      [90 * DAY, ['current', 'retired'], true],
      [90 * DAY + 3599, ['current', 'retired'], false],
      [90 * DAY + 3600, ['current'], true],
    ]
    const begin = clock.time
    const token = rings.sign('issuer', 'ES256', 'JWT', { n: 1 })
    for (const [at, expected, changed] of walk) {
      clock.time = begin + at
      assert.equal(await rings.tick(), changed, `at ${at}`)
      assert.deepEqual(states(rings), expected, `at ${at}`)
      assert.equal(rings.verify('issuer', 'JWT', token) !== undefined, at < 90 * DAY + 3600, `at ${at}`)
    }
    assert.notEqual(current(rings), first)
    assert.deepEqual(
      changes.filter(({ ring }) => ring === 'issuer').map(({ how, kid }) => [how, kid]),
      [
        ['first', first],
        ['due', current(rings)],
      ],
    )
  })

  it('waits the whole lead time also where the gateway was down when the key was due', async () => {
    const { clock, start } = installation()
    const first = current(await start())
    clock.time += 400 * DAY
    const rings = await start()
    assert.equal(current(rings), first)
    clock.time += DAY - 1
    await rings.tick()
    assert.equal(current(rings), first)
    clock.time += 1
    await rings.tick()
    assert.notEqual(current(rings), first)
  })

  it('signs at every moment of ten years with a key that was published for the lead time, and never reuses a kid', async () => {
    const { clock, start } = installation()
    const rings = await start()
    const seen = new Map<string, number>()
    const signed: string[] = []
    const begin = clock.time
    for (; clock.time < begin + 3650 * DAY; clock.time += DAY / 3) {
      await rings.tick()
      for (const { kid } of published(rings)) seen.set(String(kid), seen.get(String(kid)) ?? clock.time)
      const kid = current(rings)!
      if (signed.at(-1) !== kid) {
        assert.ok(!signed.includes(kid))
        if (signed.length > 0) assert.ok(clock.time - seen.get(kid)! >= timing.lead)
        signed.push(kid)
      }
    }
    assert.equal(signed.length, 41)
  })

  it('retires an algorithm that the configuration drops, and makes one that it adds', async () => {
    const { clock, start } = installation()
    await start({ specs: [{ name: 'issuer', algs: ['ES256', 'ES384'] }] })
    const rings = await start({ specs: [{ name: 'issuer', algs: ['ES384', 'PS256'] }] })
    const shown = () =>
      rings
        .list()
        .map(({ alg, state }) => `${alg} ${state}`)
        .sort()
    assert.deepEqual(shown(), ['ES256 retired', 'ES384 current', 'PS256 current'])
    clock.time += 3600
    await rings.tick()
    assert.deepEqual(shown(), ['ES384 current', 'PS256 current'])
  })

  it('by hand publishes a next key and promotes it after the lead time, however often it is asked', async () => {
    const { clock, start } = installation()
    const rings = await start()
    const first = current(rings)
    assert.equal(await rings.rotate('issuer', 'ES256', 'orderly'), 'announced')
    assert.equal(await rings.rotate('issuer', 'ES256', 'orderly'), 'announced')
    assert.deepEqual(states(rings), ['current', 'next'])
    assert.equal(current(rings), first)
    clock.time += DAY - 1
    await rings.tick()
    assert.equal(current(rings), first)
    clock.time += 1
    await rings.tick()
    assert.notEqual(current(rings), first)
    assert.deepEqual(states(rings), ['current', 'retired'])
  })

  it('by hand promotes a next key that was published long enough at once', async () => {
    const { clock, start } = installation()
    const rings = await start()
    const first = current(rings)
    clock.time += 89 * DAY
    await rings.tick()
    assert.equal(await rings.rotate('issuer', 'ES256', 'orderly'), 'announced')
    clock.time += DAY
    assert.equal(await rings.rotate('issuer', 'ES256', 'orderly'), 'promoted')
    assert.notEqual(current(rings), first)
  })

  it('by hand and now retires the old key, which stays published', async () => {
    const { start, changes } = installation()
    const rings = await start()
    const token = rings.sign('issuer', 'ES256', 'JWT', {})
    assert.equal(await rings.rotate('issuer', 'ES256', 'now'), 'promoted')
    assert.deepEqual(states(rings), ['current', 'retired'])
    assert.ok(rings.verify('issuer', 'JWT', token))
    assert.deepEqual([changes.at(-1)?.how, changes.at(-1)?.kid], ['now', current(rings)])
  })

  it('in an emergency leaves no older key of the algorithm, and touches no other algorithm and no other ring', async () => {
    const { clock, start } = installation(['ES256', 'ES384'])
    const rings = await start()
    await rings.rotate('issuer', 'ES256', 'now')
    clock.time += 89 * DAY - 1
    await rings.rotate('issuer', 'ES256', 'orderly')
    const old = rings.list().filter(({ alg }) => alg === 'ES256')
    const token = rings.sign('issuer', 'ES256', 'JWT', {})
    const [other] = rings.list().filter(({ alg }) => alg === 'ES384')
    await rings.rotate('issuer', 'ES256', 'emergency')
    const kids = rings.list().map(({ kid }) => kid)
    assert.ok(old.length >= 2 && old.every(({ kid }) => !kids.includes(kid)))
    assert.deepEqual(kids.length, 2)
    assert.ok(kids.includes(other!.kid))
    assert.equal(rings.verify('issuer', 'JWT', token), undefined)
    assert.equal(published(rings).length, 2)
  })

  it('of an unknown ring or algorithm is refused with what there is', async () => {
    const rings = await installation().start()
    await assert.rejects(rings.rotate('prod', 'ES256', 'now'), /no ring prod; there is issuer, keystone-cloud/)
    await assert.rejects(rings.rotate('issuer', 'RS256', 'now'), /signs ES256, not RS256/)
  })

  it('refuses a lead time as long as the rotation', async () => {
    await assert.rejects(installation().start({ lead: 90 * DAY }), /must be shorter/)
  })
})

describe('several processes', () => {
  it('that start at once end with one key for each ring', async () => {
    const { store, start, changes } = installation()
    const all = await Promise.all(Array.from({ length: 8 }, () => start()))
    assert.equal(new Set(all.map((rings) => current(rings))).size, 1)
    assert.equal(new Set(all.map((rings) => current(rings, 'ES256', 'keystone-cloud'))).size, 1)
    assert.equal(store.swaps, 2)
    assert.equal(changes.length, 2)
  })

  it('that rotate at once make one next key and promote it once', async () => {
    const { clock, start, changes } = installation()
    const all = [await start(), await start(), await start(), await start()]
    clock.time += 89 * DAY
    await Promise.all(all.map((rings) => rings.tick()))
    assert.ok(all.every((rings) => states(rings).join() === 'current,next'))
    clock.time += DAY
    await Promise.all(all.map((rings) => rings.tick()))
    assert.equal(new Set(all.map((rings) => current(rings))).size, 1)
    assert.equal(changes.filter(({ how, ring }) => how === 'due' && ring === 'issuer').length, 1)
  })

  it('hear of each other at the next tick, once', async () => {
    const { start } = installation()
    const [one, other] = [await start(), await start()]
    await one.rotate('issuer', 'ES256', 'now')
    const token = one.sign('issuer', 'ES256', 'JWT', {})
    assert.equal(other.verify('issuer', 'JWT', token), undefined)
    assert.equal(await other.tick(), true)
    assert.ok(other.verify('issuer', 'JWT', token))
    assert.equal(await other.tick(), false)
  })

  it('believe each other’s new key before they know of the promotion, since it was published', async () => {
    const { clock, start } = installation()
    const [one, other] = [await start(), await start()]
    clock.time += 89 * DAY
    await one.tick()
    await other.tick()
    clock.time += DAY
    await one.tick()
    assert.ok(other.verify('issuer', 'JWT', one.sign('issuer', 'ES256', 'JWT', {})))
    assert.ok(one.verify('issuer', 'JWT', other.sign('issuer', 'ES256', 'JWT', {})))
  })

  it('write nothing while nothing is due', async () => {
    const { store, clock, start } = installation()
    const rings = await start()
    const before = store.swaps
    for (let second = 0; second < 50; second++) {
      clock.time++
      assert.equal(await rings.tick(), false)
    }
    assert.equal(store.swaps, before)
  })
})

describe('an operator’s command', () => {
  it('changes nothing by the way, also with another configuration than the gateway’s', async () => {
    const { store, clock, start } = installation()
    await start({ mode: 'command' })
    assert.equal(store.entries.size, 0)
    await start()
    const before = [...store.entries]
    clock.time += 1000 * DAY
    const command = await start({ mode: 'command', specs: [{ name: 'issuer', algs: ['RS256'] }] })
    assert.deepEqual(states(command), ['current'])
    await command.tick()
    assert.deepEqual([...store.entries], before)
  })

  it('that imports a key before the first start makes it the first one', async () => {
    const { start } = installation()
    const command = await start({ mode: 'command' })
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
    const info = await command.import('issuer', { ...key })
    assert.equal(info.state, 'current')
    assert.equal(current(await start()), info.kid)
  })

  it('that rotates is heard by the gateway', async () => {
    const { start } = installation()
    const rings = await start()
    const command = await start({ mode: 'command' })
    await command.rotate('issuer', 'ES256', 'emergency')
    assert.equal(await rings.tick(), true)
    assert.equal(current(rings), current(command))
  })
})

describe('failures', () => {
  it('of the store are told, and keys that were read go on', async () => {
    const { store, start } = installation()
    const rings = await start()
    store.broken = true
    await assert.rejects(rings.tick(), StoreUnavailable)
    assert.ok(rings.jwks('issuer'))
    assert.ok(rings.sign('issuer', 'ES256', 'JWT', {}))
    await assert.rejects(start(), StoreUnavailable)
    store.broken = false
    assert.equal(await rings.tick(), false)
  })

  it('of the root secret are told as such, and nothing is overwritten', async () => {
    const { store, start } = installation()
    await start()
    const before = [...store.entries]
    await assert.rejects(start({ root: otherRoot }), /another root secret/)
    assert.deepEqual([...store.entries], before)
  })

  it('of one ring keep no other ring from rotating', async () => {
    const { store, clock, start } = installation()
    const rings = await start()
    store.entries.set('Ring/issuer', '{"v":2}')
    clock.time += 89 * DAY
    await assert.rejects(rings.tick(), /ring issuer/)
    assert.deepEqual(states(rings, 'keystone-cloud'), ['current', 'next'])
    assert.deepEqual(states(rings), ['current'])
  })

  it('a sealed key moved to another ring or another name does not open', async () => {
    const { store, start } = installation()
    await start()
    const issuer = JSON.parse(store.entries.get('Ring/issuer')!)
    const cloud = store.entries.get('Ring/keystone-cloud')!
    store.entries.set('Ring/keystone-cloud', JSON.stringify(issuer))
    await assert.rejects(start(), /keystone-cloud cannot be opened/)
    store.entries.set('Ring/keystone-cloud', cloud)
    issuer.keys[0].kid = 'mine'
    store.entries.set('Ring/issuer', JSON.stringify(issuer))
    await assert.rejects(start(), /tampered/)
  })
})

describe('imported keys', () => {
  const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey.export({ format: 'jwk' })

  it('wait the lead time, then sign and are never rotated by themselves', async () => {
    const { clock, start } = installation()
    const rings = await start()
    const info = await rings.import('issuer', { ...ec('P-256') })
    assert.deepEqual([info.state, info.imported, info.ring], ['next', true, 'issuer'])
    clock.time += DAY
    await rings.tick()
    assert.equal(current(rings), info.kid)
    clock.time += 1000 * DAY
    await rings.tick()
    assert.equal(current(rings), info.kid)
    assert.deepEqual(states(rings), ['current'])
    assert.equal(await rings.rotate('issuer', 'ES256', 'now'), 'promoted')
    assert.notEqual(current(rings), info.kid)
  })

  it('sign at once where nothing of their algorithm does', async () => {
    const { start } = installation()
    const rings = await start({ specs: [{ name: 'issuer', algs: ['ES384'] }] })
    await start({ specs: [{ name: 'issuer', algs: ['ES256'] }] })
    const info = await rings.import('issuer', { ...ec('P-384') })
    assert.equal(info.state, 'current')
    assert.equal(current(rings, 'ES384'), info.kid)
  })

  it('take the place of a next key, and wait the lead time', async () => {
    const { clock, start } = installation()
    const rings = await start()
    clock.time += 89 * DAY
    await rings.tick()
    const made = rings.list().find(({ state, ring }) => state === 'next' && ring === 'issuer')
    const { kid } = await rings.import('issuer', { ...ec('P-256'), kid: 'mine', alg: 'ES256' })
    assert.notEqual(kid, 'mine')
    assert.deepEqual(states(rings), ['current', 'next'])
    assert.ok(!rings.list().some((key) => key.kid === made?.kid))
    clock.time += DAY - 1
    await rings.tick()
    assert.notEqual(current(rings), kid)
    clock.time += 1
    await rings.tick()
    assert.equal(current(rings), kid)
  })

  it('are refused a second time, in another ring, and after they were taken away', async () => {
    const { start } = installation()
    const rings = await start()
    const key = { ...ec('P-256') }
    const { kid } = await rings.import('issuer', key)
    await assert.rejects(rings.import('issuer', key), /already/)
    await assert.rejects(rings.import('keystone-cloud', key), /belongs to ring issuer/)
    await rings.rotate('issuer', 'ES256', 'emergency')
    assert.ok(!rings.list().some((each) => each.kid === kid))
    await assert.rejects(rings.import('issuer', key), /used before/)
    await assert.rejects(rings.import('keystone-cloud', key), /belongs to ring issuer/)
  })
})
