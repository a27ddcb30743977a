import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConnectorPorts } from '../../../src/connectors/connector.ts'
import type { WalletConfig } from '../../../src/connectors/wallet/options.ts'
import { judgeNow, proofOf, type Wallet } from '../../../src/connectors/wallet/proof.ts'
import { recheck } from '../../../src/connectors/wallet/recheck.ts'
import { openTrusted } from '../../../src/connectors/wallet/trusted.ts'
import { authority } from '../../support/certificate.ts'
import { x5cOf } from '../../support/wallet.ts'
import { credential, found, person, type Written, walletConfig } from './credentials.ts'

const corp = authority('Root of corp')
const other = authority('Another root')
const url = 'https://registry.example/anchors'
const iss = 'https://hr.corp.example'
const member = { ...person, issuedBy: [{ anchor: 'eu', id: iss }] }
const settled = () => new Promise((resolve) => setImmediate(resolve))

/** A connector whose anchor `eu` is what a registry says, and a clock. */
function connectorOf(web: Record<string, string>) {
  const state = { now: Math.floor(Date.now() / 1000) }
  const ports = {
    now: () => state.now,
    fetch: async (at: string) => new Response(web[at] ?? '', { status: web[at] === undefined ? 503 : 200 }),
    kept: { get: async () => undefined, put: async () => {}, delete: async () => {} },
    seal: (text: string) => text,
    open: (text: string) => text,
    log: () => {},
  } as unknown as ConnectorPorts // nothing else is used
  const configOf = (credentials: readonly Written[], more: Written = {}): WalletConfig =>
    walletConfig(credentials, { anchors: { eu: { url } }, ...more })
  const walletOf = (config: WalletConfig): Wallet => ({
    asking: { config, ports: { ...ports, wallet: undefined as never }, signer: undefined, query: () => ({}) },
    trusted: openTrusted(config, ports),
  })
  return { state, configOf, walletOf }
}

/** What is kept of somebody who signed in with a credential under the anchor. */
async function signedIn({ asking, trusted }: Wallet, claims: object = { role: 'developer' }) {
  await trusted.ready()
  const now = asking.ports.now()
  const x5c = x5cOf(corp.issue({ name: 'hr', dns: ['hr.corp.example'] }).chain)
  const { anchor, root, until } = await trusted.ports().anchors.verify(x5c, now)
  const issuer = { id: iss, by: 'x5c', anchor, root, certifiedUntil: until } as const
  const all = [found(asking.config, 'member', credential({ issuer, claims: { ...claims }, validUntil: now + 86_400 }))]
  const judged = await judgeNow({ asking, trusted }, all, now)
  return proofOf({ asking, trusted }, { found: all, judged, at: now })
}

test('an anchor that has left its registry takes the access of those whose issuers it certified, under whatever name others stand there', async () => {
  const web = { [url]: corp.root }
  const { state, configOf, walletOf } = connectorOf(web)
  const wallet = walletOf(configOf([member]))
  const proof = await signedIn(wallet)
  assert.ok('subject' in Object(await recheck(wallet, proof)))
  web[url] = other.root
  state.now += 3600
  wallet.trusted.tend()
  await settled()
  assert.deepEqual(await recheck(wallet, proof), { kind: 'gone', why: 'what was presented is not trusted any more' })
  web[url] = corp.root + other.root
  state.now += 3600
  wallet.trusted.tend()
  await settled()
  assert.ok('subject' in Object(await recheck(wallet, proof)))
})

test('while an anchor cannot be read nobody is gone for the want of it', async () => {
  const web: Record<string, string> = { [url]: corp.root }
  const { configOf, walletOf } = connectorOf(web)
  const proof = await signedIn(walletOf(configOf([member])))
  delete web[url]
  await assert.rejects(recheck(walletOf(configOf([member])), proof), { code: 'upstream_unavailable' })
})

test('who would not get in by what is asked for now does not stay in either', async () => {
  const { configOf, walletOf } = connectorOf({ [url]: corp.root })
  const proof = await signedIn(walletOf(configOf([member])))
  const badge = { ...member, id: 'badge', types: ['Badge'] }
  const role = (...values: string[]) => ({ ...member, claims: [{ path: 'role', values }] })
  const again = (credentials: readonly Written[], more: Written = {}) =>
    recheck(walletOf(configOf(credentials, more)), proof)
  for (const credentials of [[role('operator')], [{ ...member, types: ['Badge'] }], [member, badge], [badge]])
    assert.deepEqual(await again(credentials), { kind: 'gone', why: 'what was presented is not asked for any more' })
  assert.ok('subject' in Object(await again([role('developer')])))
  assert.ok('subject' in Object(await again([member, { ...badge, need: 'optional' }])))
  assert.ok('subject' in Object(await again([member, badge], { sets: [{ anyOf: [['member'], ['badge']] }] })))
})
