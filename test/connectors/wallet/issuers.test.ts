import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fetchable } from '../../../src/connectors/wallet/issuers.ts'
import { CORP, GXDCH, labelled, OTHER, person, type Written, walletConfig } from './credentials.ts'

const anchors = { anchors: { eu: { env: 'EU' } } }
const lists = { lists: { members: { url: 'https://registry.example/members' } } }
const asked = (credentials: readonly Written[], ...members: string[]) =>
  fetchable(walletConfig(credentials, { ...anchors, ...lists }), () => new Set(members))

test('only issuers that the configuration names or lists are asked for their keys', () => {
  const named = asked([person, labelled])
  assert.deepEqual([CORP, GXDCH, OTHER].map(named), [true, true, false])
  const listed = asked([{ ...person, issuedBy: [{ list: 'members' }] }], OTHER)
  assert.deepEqual([CORP, OTHER].map(listed), [false, true])
  const unread = fetchable(walletConfig([{ ...person, issuedBy: [{ list: 'members' }] }], lists), () => undefined)
  assert.equal(unread(OTHER), false)
})

test('an SD-JWT VC by an anchor asks nobody; a VC whose DID names its certificate has to ask', () => {
  const anchored = { ...person, issuedBy: [{ anchor: 'eu' }] }
  assert.equal(asked([{ ...anchored, format: 'dc+sd-jwt' }])(OTHER), false)
  assert.equal(asked([anchored])(OTHER), true)
  assert.equal(asked([{ ...anchored, issuedBy: [{ anchor: 'eu', id: CORP }] }])(OTHER), false)
})

test('where organisations vouch for people, any may have to be asked', () => {
  assert.equal(asked([{ ...person, issuedBy: ['organisations'] }, labelled])(OTHER), true)
  assert.equal(asked([person, { ...labelled, issuedBy: ['itself'] }])(OTHER), true)
})
