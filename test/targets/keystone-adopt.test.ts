import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { openAdoption } from '../../src/targets/keystone/live/adopt.ts'
import { addUser } from '../support/keystone/state.ts'
import { startKeystoneStandIn } from '../support/keystone-stand-in.ts'
import { keystoneConfig } from './keystone-live-world.ts'

describe('users of another identity provider', async () => {
  const keystone = await startKeystoneStandIn()
  after(() => keystone.close())
  const { name, password, scope } = keystone.admin
  const user = { name, password, domain: 'Default', scope: { ...scope, projectDomain: 'Default' } }
  const config = keystoneConfig(keystone.url, user)
  const adoption = openAdoption(config, { now: () => Math.floor(Date.now() / 1000), fetch, log: () => {} })
  const old = (uniqueId: string) => ({ identityProvider: 'keycloak', protocol: 'openid', uniqueId })
  const person = (called: string, unique_id: string) =>
    addUser(keystone.state, {
      name: called,
      domain_id: 'default',
      federated: [{ idp_id: 'keycloak', protocols: [{ protocol_id: 'openid', unique_id }] }],
    }).id

  it('come to the gateway with their ids, once, and are looked at before', async () => {
    const id = person('ada', 'f-1')
    const move = { from: old('f-1'), sub: 'sub-1' }
    assert.deepEqual(await adoption.look(move), { state: 'ready', user: id, name: 'ada' })
    assert.equal(keystone.user('sub-1'), undefined)
    assert.equal((await adoption.move(move)).state, 'done')
    assert.equal(keystone.user('sub-1'), id)
    assert.equal((await adoption.move(move)).state, 'done')
  })

  it('are found by ids with signs that Keystone writes otherwise', async () => {
    const id = person('did', 'did%3Aweb%3Ax/y%21')
    assert.equal((await adoption.move({ from: old('did:web:x/y!'), sub: 'sub-did' })).state, 'done')
    assert.equal(keystone.user('sub-did'), id)
  })

  it('keep all that they were known by when somebody takes the new id in between', async () => {
    const one = {
      idp_id: 'keycloak',
      protocols: [
        { protocol_id: 'openid', unique_id: 'f-4' },
        { protocol_id: 'saml2', unique_id: 'f-4s' },
      ],
    }
    const { id } = addUser(keystone.state, { name: 'eve', domain_id: 'default', federated: [one] })
    let taken = false
    const racing: typeof fetch = (input, init) => {
      if (init?.method === 'PATCH' && !taken) {
        taken = true
        keystone.login('sub-4', { name: 'eve.new' })
      }
      return fetch(input, init)
    }
    const raced = openAdoption(config, { now: () => Math.floor(Date.now() / 1000), fetch: racing, log: () => {} })
    const own = () => keystone.user('sub-4')
    assert.deepEqual(await raced.move({ from: old('f-4'), sub: 'sub-4' }), { state: 'taken', user: id, by: own() })
    assert.deepEqual(keystone.state.users.get(id)?.federated, [one])
  })

  it('stay where they are when somebody else is known by the new id, or nobody by the old one', async () => {
    const id = person('ben', 'f-2')
    keystone.login('sub-2', { name: 'ben.new' })
    const own = keystone.user('sub-2')
    assert.deepEqual(await adoption.move({ from: old('f-2'), sub: 'sub-2' }), { state: 'taken', user: id, by: own })
    assert.equal(keystone.user('sub-2'), own)
    assert.deepEqual(await adoption.move({ from: old('nobody'), sub: 'sub-3' }), { state: 'absent' })
  })

  it('keep their old identity where somebody signs in by the new one in the same moment', async () => {
    const id = person('race', 'f-race')
    const racing: typeof fetch = async (input, init) => {
      if (init?.method === 'PATCH') keystone.login('sub-race', { name: 'race' })
      return await fetch(input, init)
    }
    const ports = { now: () => Math.floor(Date.now() / 1000), fetch: racing, log: () => {} }
    const finding = await openAdoption(config, ports).move({ from: old('f-race'), sub: 'sub-race' })
    assert.deepEqual(finding, { state: 'taken', user: id, by: keystone.user('sub-race') })
  })
})
