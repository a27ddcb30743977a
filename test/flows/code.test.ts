import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { claimsIn, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, CALLBACK, person, signIn, tokensOf } from '../support/sign-in.ts'
import { standard } from '../support/standard.ts'

let idp: Idp
let gateway: TestGateway
before(async () => {
  ;({ idp, gateway } = await standard())
})
after(async () => {
  await gateway.close()
  await idp.close()
})

test('a person signs in upstream and comes out with the groups that the rules give', async () => {
  const tokens = await tokensOf(gateway, 'kubectl', 'ada')
  const id = claimsIn(tokens.id_token)
  const access = claimsIn(tokens.access_token)
  assert.equal(id['iss'], gateway.issuer)
  assert.equal(id['aud'], 'kubectl')
  assert.deepEqual(id['groups'], ['x-web'])
  assert.equal(access['aud'], 'k8s-prod')
  assert.deepEqual(access['groups'], ['x-web'])
  assert.match(String(id['sub']), /^[\w-]{43}$/)
  assert.ok(id['jti'] && id['sid'] && id['auth_time'])
})

test('single sign-on needs no second visit to the upstream', async () => {
  const who = person()
  await signIn(who, authorization(gateway, 'kubectl'), 'ada')
  const asked = idp.asked.length
  const page = await who.get(authorization(gateway, 'kubectl').url)
  assert.ok(page.headers.get('location')?.startsWith(`${CALLBACK}?code=`))
  assert.equal(idp.asked.length, asked)
})
