import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ada, enter, haip, knock, refusedAs } from './haip.ts'

/* openvc, PyJWT and jwcrypto as the wallet: another language, other libraries, and VC-JWTs besides. */

const world = haip('openvc')
const way = { connector: 'vc' }

test('a VC-JWT in a VP-JWT signs in, by an issuer and a holder that are did:jwk', async () => {
  const { presented, claims } = await enter(world(), await world().wallet(ada, { format: 'jwt_vc_json' }), way)
  assert.deepEqual(Object.keys(presented.vpToken), ['employee'])
  assert.match(JSON.stringify(claims), /member/)
})

test('one that its Bitstring Status List has as revoked is refused', async () => {
  await refusedAs(world(), await world().wallet(ada, { format: 'jwt_vc_json', status: 1 }), /revoked/, way)
})

test('an SD-JWT VC is not offered where a VC-JWT is asked for', async () => {
  const { link } = await knock(world(), way)
  assert.equal((await (await world().wallet(ada)).present(link)).unanswered, 'no credential fits')
})
