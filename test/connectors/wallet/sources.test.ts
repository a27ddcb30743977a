import assert from 'node:assert/strict'
import { test } from 'node:test'
import { issuersIn, openSources, pemIn } from '../../../src/connectors/wallet/sources.ts'
import { NOW, person, walletConfig } from './credentials.ts'

const url = 'https://registry.example/notaries'
const config = walletConfig([person], { lists: { notaries: { url } } })

/** A registry that answers what it is told to, and a clock. */
function world() {
  const kept = new Map<string, string>()
  const said: string[] = []
  const state = { now: NOW, answer: () => new Response('["did:web:notary.example"]'), asked: 0 }
  const ports = {
    now: () => state.now,
    fetch: async () => {
      state.asked += 1
      return state.answer()
    },
    kept: {
      get: async (name: string) => kept.get(name),
      put: async (name: string, text: string) => void kept.set(name, text),
      delete: async (name: string) => void kept.delete(name),
    },
    log: (_level: string, _message: string, fields?: Readonly<Record<string, unknown>>) =>
      void said.push(String(fields?.['error'])),
  }
  return { state, ports, said, kept }
}

/** Long enough for what was begun and needs no network. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

test('a list at an address is read once before it is needed, and again after an hour', async () => {
  const { state, ports } = world()
  const sources = openSources(config, ports)
  assert.equal(sources.text('lists', 'notaries'), undefined)
  await Promise.all([sources.ready(), sources.ready()])
  sources.tend()
  assert.equal(state.asked, 1)
  assert.deepEqual([...issuersIn(sources.text('lists', 'notaries') ?? '')], ['did:web:notary.example'])
  state.now += 3600
  sources.tend()
  await settled()
  assert.equal(state.asked, 2)
})

test('a registry that is down or empty takes no trust away for a day, and then it does', async () => {
  const { state, ports, said } = world()
  const sources = openSources(config, ports)
  await sources.ready()
  for (const answer of [
    () => new Response('[]'),
    () => new Response('', { status: 503 }),
    () => new Response('<html>'),
  ]) {
    state.answer = answer
    state.now += 3600
    sources.tend()
    await settled()
    assert.ok(sources.text('lists', 'notaries'))
  }
  assert.equal(said.length, 3)
  state.now = NOW + 86_400
  assert.equal(sources.text('lists', 'notaries'), undefined)
})

test('what one registry said is nothing that another one says in its place', async () => {
  const { state, ports } = world()
  await openSources(config, ports).ready()
  state.answer = () => new Response('', { status: 500 })
  const moved = walletConfig([person], { lists: { notaries: { url: 'https://other.example/notaries' } } })
  const sources = openSources(moved, ports)
  await sources.ready()
  assert.equal(sources.text('lists', 'notaries'), undefined)
})

test('what was read outlives a restart while the registry is down', async () => {
  const { state, ports } = world()
  await openSources(config, ports).ready()
  state.answer = () => new Response('', { status: 500 })
  const again = openSources(config, ports)
  await again.ready()
  assert.deepEqual([...issuersIn(again.text('lists', 'notaries') ?? '')], ['did:web:notary.example'])
})

test('a list is JSON of texts or of objects, at the top or below one name; a did:web is known by its address too', () => {
  const listed = (value: unknown) => [...issuersIn(JSON.stringify(value))]
  assert.deepEqual(listed(['did:web:a.example', 7, null, 'nobody']), ['did:web:a.example'])
  assert.deepEqual(listed({ issuers: [{ did: 'did:web:a.example' }, { id: 'did:web:b.example' }] }), [
    'did:web:a.example',
    'did:web:b.example',
  ])
  assert.deepEqual(listed(['https://a.example/v1/']), ['https://a.example/v1/', 'did:web:a.example:v1'])
  assert.deepEqual(listed(['https://a.example:8443/.well-known/did.json']).at(-1), 'did:web:a.example%3A8443')
  assert.deepEqual(listed(['https://a.example/?x']), ['https://a.example/?x'])
  assert.deepEqual([...issuersIn('no JSON')], [])
})

test('certificates are found in PEM and in JSON that holds PEM', () => {
  const pem = `-----BEGIN CERTIFICATE-----\n${'A'.repeat(64)}\n${'B'.repeat(64)}\n-----END CERTIFICATE-----`
  assert.deepEqual(pemIn(`${pem}\n${pem}\n`), [pem, pem])
  assert.deepEqual(pemIn(JSON.stringify([{ certificate: pem }])), [pem])
  assert.deepEqual(pemIn('none'), [])
})
