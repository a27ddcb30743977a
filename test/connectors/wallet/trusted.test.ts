import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import type { ConnectorPorts } from '../../../src/connectors/connector.ts'
import { didDocument, didWebUrl } from '../../../src/connectors/wallet/keys/did.ts'
import type { WalletConfig } from '../../../src/connectors/wallet/options.ts'
import { openTrusted } from '../../../src/connectors/wallet/trusted.ts'
import { authority } from '../../support/certificate.ts'
import { x5cOf } from '../../support/wallet.ts'
import { CORP, person, walletConfig } from './credentials.ts'

const corp = authority('Root of corp')
const other = authority('Another root')
const start = Math.floor(Date.now() / 1000)

/** What a connector gets of a world in which registries answer what they are told to. */
function worldOf(web: Record<string, string>) {
  const state = { now: start }
  const ports = {
    now: () => state.now,
    fetch: async (url: string) => new Response(web[url] ?? '', { status: web[url] === undefined ? 503 : 200 }),
    kept: { get: async () => undefined, put: async () => {}, delete: async () => {} },
    log: () => {},
  } as unknown as ConnectorPorts // nothing else is used
  return { state, ports }
}

/** Loaded options: texts stand in the place of references. */
const configOf = (more: Partial<WalletConfig>): WalletConfig => ({ ...walletConfig([person]), ...more })
const settled = () => new Promise((resolve) => setImmediate(resolve))
const url = 'https://registry.example/anchors'

test('the query names an anchor by the key identifier of its certificate', () => {
  const trusted = openTrusted(configOf({ anchors: { corp: corp.root } }), worldOf({}).ports)
  const key = new X509Certificate(corp.root).publicKey.export({ type: 'spki', format: 'der' }).subarray(-65)
  assert.deepEqual(trusted.keyIds('corp'), [createHash('sha1').update(key).digest('base64url')])
  assert.deepEqual(trusted.keyIds('absent'), [])
})

test('anchors of a registry verify chains once they are read, without those that cannot be read, and not after they are gone', async () => {
  const broken = corp.root.replace(/[A-Za-z0-9]{20}/, 'x'.repeat(20))
  const web = { [url]: JSON.stringify([{ certificate: broken }, { certificate: corp.root }]) }
  const { state, ports } = worldOf(web)
  const trusted = openTrusted(configOf({ anchors: { eu: { url } } }), ports)
  const x5c = x5cOf(corp.issue({ name: 'hr', dns: ['hr.corp.example'] }).chain)
  const verified = () => trusted.ports().anchors.verify(x5c, state.now)
  assert.equal(trusted.unread(), 'anchors/eu')
  await assert.rejects(verified())
  await trusted.ready()
  assert.equal(trusted.unread(), undefined)
  assert.equal((await verified()).anchor, 'eu')
  assert.equal(trusted.keyIds('eu').length, 1)
  web[url] = other.root
  state.now += 3600
  trusted.tend()
  await settled()
  await assert.rejects(verified(), { code: 'upstream_rejected' })
})

test('who stands on a list of a registry is known, and may be asked for her keys, once it is read', async () => {
  const lists = { members: { url } }
  const trusted = openTrusted(
    configOf({ lists, credentials: walletConfig([{ ...person, issuedBy: [{ list: 'members' }] }]).credentials }),
    worldOf({ [url]: JSON.stringify([CORP]) }).ports,
  )
  assert.equal(trusted.ports().allowed(CORP), false)
  await trusted.ready()
  assert.equal(trusted.ports().allowed(CORP), true)
  assert.ok(trusted.policy().lists('members')?.has(CORP))
})

test('an anchor in a file that is no certificate stops the connector from being opened', () => {
  assert.throws(
    () => openTrusted(configOf({ anchors: { corp: 'no certificate' } }), worldOf({}).ports),
    /no PEM certificate/,
  )
})

test('strangers whose hosts never answer do not keep an issuer of the configuration from being asked', async () => {
  const { ports } = worldOf({ 'https://corp.example/.well-known/did.json': JSON.stringify({ id: CORP }) })
  const slow = (url: string) => (url.includes('stranger') ? new Promise<Response>(() => {}) : ports.fetch(url))
  const fetch = slow as typeof globalThis.fetch
  const issuedBy = [{ id: CORP }, { anchor: 'corp' }]
  const config = configOf({
    anchors: { corp: corp.root },
    credentials: walletConfig([{ ...person, issuedBy }]).credentials,
  })
  const { allowed, documents } = openTrusted(config, { ...ports, fetch }).ports()
  const read = (did: string) => documents(did).read(didWebUrl(did), didDocument)
  const stranger = (index: number) => `did:web:stranger${index}.example`
  assert.equal(allowed(stranger(0)), true)
  for (let index = 0; index < 16; index += 1) void read(stranger(index))
  await assert.rejects(read(stranger(16)), { code: 'upstream_unavailable' })
  assert.equal((await read(CORP)).id, CORP)
})
