import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { selfSigned } from '../../src/keys/certificate.ts'
import type { Root } from '../../src/keys/root.ts'
import { openRoot } from '../../src/keys/root-secret.ts'
import { openRings } from '../../src/keys/store-rings.ts'
import { memoryStore } from './memory-store.ts'

const DAY = 86_400
const START = 1_800_000_000

let dir = ''
let root: Root
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lotse-certificate-'))
  root = await openRoot(dir, { create: 'allowed' })
})
after(() => rm(dir, { recursive: true }))

/** A ring with certificates that changes when it is told to, as SAML's does. */
function installation() {
  const clock = { time: START }
  const store = memoryStore()
  const timing = { rotateEvery: Infinity, lead: 7 * DAY, retireFor: 30 * DAY }
  const ring = { name: 'saml', algs: ['RS256'], timing, certifiedAs: 'login.cloud.example' } as const
  const specs = [{ name: 'issuer', algs: ['ES256'] } as const, ring]
  const start = () =>
    openRings({
      store,
      root,
      now: () => clock.time,
      specs,
      rotateEvery: 90 * DAY,
      lead: DAY,
      retireFor: 3600,
      rsaBits: 2048,
    })
  return { clock, start }
}

test('a certificate is one that Node reads: self-signed over its key, by name, for twenty years from the day before', async () => {
  const rings = await installation().start()
  const [key] = rings.certified('saml')
  const read = new X509Certificate(Buffer.from(key?.certificate ?? '', 'base64'))
  assert.equal(read.subject, 'CN=login.cloud.example')
  assert.equal(read.issuer, read.subject)
  assert.equal(read.verify(read.publicKey), true)
  assert.equal(read.checkPrivateKey(createPrivateKey(key?.privateKey ?? '')), true)
  assert.equal(read.validFromDate.getTime(), (START - DAY) * 1000)
  assert.equal(read.validToDate.getTime(), (START + 20 * 365 * DAY) * 1000)
  assert.match(read.serialNumber, /^[4-7][0-9A-F]{31}$/)
})

test('every process makes the same bytes of a certificate, and none for a ring without', async () => {
  const { start } = installation()
  const [one, other] = [await start(), await start()]
  assert.equal(one.certified('saml')[0]?.certificate, other.certified('saml')[0]?.certificate)
  assert.deepEqual(one.certified('issuer'), [])
  assert.deepEqual(one.certified('nobody'), [])
})

test('a ring with certificates is in no key set: nobody takes its signatures for those of tokens', async () => {
  const rings = await installation().start()
  assert.equal(rings.jwks('saml'), undefined)
  assert.ok(rings.jwks('issuer'))
})

test('its key stays for years, and once told to rotate signs a week later; the old one is read for a month more', async () => {
  const { clock, start } = installation()
  const rings = await start()
  const states = () => rings.certified('saml').map(({ state }) => state)
  const first = rings.certified('saml')[0]?.kid
  clock.time += 3650 * DAY
  await rings.tick()
  assert.deepEqual([states(), rings.certified('saml')[0]?.kid], [['current'], first])
  assert.equal(await rings.rotate('saml', 'RS256', 'orderly'), 'announced')
  assert.deepEqual(states(), ['current', 'next'])
  clock.time += 7 * DAY - 1
  await rings.tick()
  assert.equal(rings.certified('saml')[0]?.kid, first)
  clock.time += 1
  await rings.tick()
  assert.deepEqual(states(), ['current', 'retired'])
  assert.notEqual(rings.certified('saml')[0]?.kid, first)
  clock.time += 30 * DAY
  await rings.tick()
  assert.deepEqual(states(), ['current'])
})

test('a name longer than a certificate holds is cut, and times from 2050 on are written at full length', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const createdAt = Date.UTC(2049, 11, 1) / 1000
  const made = selfSigned({ kid: 'x', privateKey, publicKey, createdAt }, 'a'.repeat(80))
  const read = new X509Certificate(made)
  assert.equal(read.subject, `CN=${'a'.repeat(64)}`)
  assert.equal(read.validFromDate.getUTCFullYear(), 2049)
  assert.equal(read.validToDate.getUTCFullYear(), 2069)
})
