import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Io, readArgs } from '../../src/cli/command.ts'
import { command } from '../../src/cli/keys.ts'
import { openRoot } from '../../src/keys/root-secret.ts'
import { openRings } from '../../src/keys/store-rings.ts'
import { openEmbedded } from '../../src/store/embedded.ts'

const DAY = 86_400
const yaml = `
issuer: https://login.example
listen: { port: 0 }
store: { kind: embedded, path: ./lotse.db }
keys: { dir: ./keys, create: true, rotateEvery: 90d, lead: 24h }
audit: { path: ./audit.log }
targets:
  - { id: cloud, type: keystone, url: https://keystone.example/v3 }
  - { id: prod, type: kubernetes, server: https://10.0.0.1:6443, alg: ES384 }
`

let top = ''
before(async () => {
  top = await mkdtemp(join(tmpdir(), 'lotse-keys-'))
})
after(() => rm(top, { recursive: true }))

/** A folder with a configuration, a clock, and `lotse keys` in it. */
async function place(text = yaml) {
  const dir = await mkdtemp(join(top, 'a-'))
  await writeFile(join(dir, 'gateway.yaml'), text)
  const clock = { time: 1_800_000_000 }
  const now = () => clock.time
  const keys = async (line: string, input = '') => {
    const out: string[] = []
    const err: string[] = []
    const io: Io = {
      out: (each) => out.push(each),
      send: async (each) => void out.push(each),
      err: (each) => err.push(each),
      input: async () => input,
      env: {},
      cwd: dir,
      columns: undefined,
      now,
      stop: new AbortController().signal,
      onHangup: () => {},
    }
    const words = line.split(' ').filter((word) => word !== '')
    const code = await command.run(readArgs([...words, '--config', 'gateway.yaml'], command.options), io)
    return { code, out, err }
  }
  /** A gateway on the same store; `issuer` signs ES256 and ES384. */
  const gateway = async () => {
    const store = await openEmbedded({ path: join(dir, 'lotse.db'), now })
    const root = await openRoot(join(dir, 'keys'), { create: 'allowed' })
    const specs = [
      { name: 'issuer', algs: ['ES256', 'ES384'] },
      { name: 'keystone-cloud', algs: ['ES256'] },
    ] as const
    const rings = await openRings({
      store,
      root,
      now,
      specs,
      rotateEvery: 90 * DAY,
      lead: DAY,
      retireFor: 600,
      rsaBits: 2048,
    })
    return { rings, close: () => store.close() }
  }
  const audit = async () => (await readFile(join(dir, 'audit.log'), 'utf8')).trim().split('\n').filter(Boolean)
  return { dir, clock, keys, gateway, audit }
}

const p256 = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()

describe('lotse keys list', () => {
  it('says that there are none yet, and makes none', async () => {
    const { keys } = await place()
    for (let twice = 0; twice < 2; twice++) {
      const { code, out, err } = await keys('list')
      assert.deepEqual([code, out, err], [0, [], ['no keys yet: the gateway makes them at its first start']])
    }
  })

  it('shows every key beside the gateway that uses them, for people and for programs', async () => {
    const { keys, gateway } = await place()
    const { rings, close } = await gateway()
    const { out } = await keys('list')
    assert.match(out[0] ?? '', /^RING +ALG +STATE +SINCE +FROM +KID$/)
    assert.deepEqual(
      out.slice(1).map((line) => line.split(/ {2,}/).slice(0, 5)),
      [
        ['issuer', 'ES256', 'current', '2027-01-15T08:00:00Z', 'made here'],
        ['issuer', 'ES384', 'current', '2027-01-15T08:00:00Z', 'made here'],
        ['keystone-cloud', 'ES256', 'current', '2027-01-15T08:00:00Z', 'made here'],
      ],
    )
    const shown = JSON.parse((await keys('list --json')).out.join('\n'))
    assert.deepEqual(new Set(shown.map(({ kid }: { kid: string }) => kid)), new Set(rings.list().map(({ kid }) => kid)))
    assert.doesNotMatch(JSON.stringify(shown), /sealed|"d"/)
    await close()
  })
})

describe('lotse keys rotate', () => {
  it('publishes next keys for all algorithms of a ring and says from when on they sign; the gateway hears of it', async () => {
    const { keys, gateway, clock } = await place()
    const { rings, close } = await gateway()
    const { code, out } = await keys('rotate issuer')
    assert.equal(code, 0)
    assert.match(out[0] ?? '', /^issuer ES256: [\w-]{43} is published and signs from 2027-01-16T08:00:00Z on$/)
    assert.equal(out.length, 2)
    assert.equal(await rings.tick(), true)
    assert.equal(rings.list().filter(({ state }) => state === 'next').length, 2)
    clock.time += DAY
    assert.match((await keys('rotate issuer --alg ES256')).out.join(), /signs now$/)
    await close()
  })

  it('at once with --now, and without the old key with --emergency, each with an audit line', async () => {
    const { keys, gateway, audit } = await place()
    const { rings, close } = await gateway()
    const first = rings.list().find(({ ring }) => ring === 'keystone-cloud')!.kid
    const token = rings.sign('keystone-cloud', 'ES256', 'at+jwt', {})
    await keys('rotate keystone-cloud --now')
    await rings.tick()
    assert.ok(rings.verify('keystone-cloud', 'at+jwt', token))
    await keys('rotate keystone-cloud --emergency')
    await rings.tick()
    assert.equal(rings.verify('keystone-cloud', 'at+jwt', token), undefined)
    const lines = (await audit()).map((line) => JSON.parse(line))
    assert.deepEqual(
      lines.map(({ event, ring, how }) => [event, ring, how]),
      [
        ['key.rotated', 'keystone-cloud', 'now'],
        ['key.rotated', 'keystone-cloud', 'emergency'],
      ],
    )
    assert.ok(lines.every(({ kid }) => kid !== first))
    await close()
  })

  it('works while rules, connectors and secrets of the configuration are broken', async () => {
    const broken = `${yaml}rules: 7\nconnectors: [{ id: x, type: nonsense }]\n`
    const { keys, gateway } = await place(broken)
    const { close } = await gateway()
    assert.equal((await keys('rotate issuer --emergency')).code, 0)
    await close()
  })

  it('is refused where the configuration is wrong in what keys need, at its line', async () => {
    const { keys } = await place(yaml.replace('lead: 24h', 'lead: soon'))
    await assert.rejects(keys('rotate issuer'), /gateway\.yaml:5:\d+ keys\.lead: .*\n'lotse check' says more$/)
  })
})

describe('lotse keys import', () => {
  it('takes a PEM file before the first start, and the gateway signs with it', async () => {
    const { dir, keys, gateway, audit } = await place()
    await writeFile(join(dir, 'mine.pem'), p256())
    const { code, out } = await keys('import issuer mine.pem')
    assert.equal(code, 0)
    const [, kid] = /^issuer ES256: ([\w-]{43}) is published and signs now$/.exec(out.join()) ?? []
    const { rings, close } = await gateway()
    assert.equal(rings.list().find(({ ring, alg }) => ring === 'issuer' && alg === 'ES256')?.kid, kid)
    await close()
    assert.equal((await audit()).filter((line) => line.includes('key.imported')).length, 1)
  })

  it('takes a key from standard input, which signs after the lead time', async () => {
    const { keys, gateway } = await place()
    const { close } = await gateway()
    const { out } = await keys('import issuer -', p256())
    assert.match(out.join(), /signs from 2027-01-16T08:00:00Z on$/)
    await close()
  })

  it('refuses what a consumer cannot read, with the reason and without an audit line', async () => {
    const { keys, audit } = await place()
    const ed = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
    await assert.rejects(keys('import issuer -', ed), /Ed25519 keys are refused/)
    await assert.rejects(keys('import nowhere -', p256()), /no ring nowhere/)
    assert.deepEqual(await audit(), [])
  })
})

describe('lotse keys', () => {
  for (const line of [
    '',
    'show',
    'constructor',
    'list issuer',
    'rotate',
    'import issuer',
    'rotate issuer --json',
    'list --now',
    'import issuer f --emergency',
    'rotate issuer --now --emergency',
    'rotate issuer --alg EdDSA',
    'rotate nowhere',
    'rotate issuer --alg RS256',
  ])
    it(`is not understood as: keys ${line}`, async () => {
      const { keys } = await place()
      await assert.rejects(keys(line), { name: 'UsageError' })
    })

  it('needs the root secret where the configuration does not let it be made', async () => {
    const { keys } = await place(yaml.replace('create: true', 'create: false'))
    await assert.rejects(keys('list'), /there is no root secret/)
  })
})
