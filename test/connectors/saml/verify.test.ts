import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspectResponse, verifyResponse } from '../../../src/connectors/saml/verify.ts'
import { responseXml, type Said, signedResponse, signXml } from '../../support/saml-idp.ts'
import { base64, exchange, expected, keys, NOW, others, ours, post } from './world.ts'

const encryption = { to: ours.cert }

for (const sign of ['assertion', 'response', 'both'] as const)
  for (const sealed of [false, true])
    test(`a good response is accepted: signed ${sign}${sealed ? ', encrypted' : ''}`, async () => {
      const said: Partial<Said> = { sign, assertionId: '_a0', ...(sealed && { encryption }) }
      assert.deepEqual(await post(said), {
        assertionId: '_a0',
        goodUntil: NOW + 360,
        issuer: exchange.idp,
        nameId: {
          value: 'AAdzZWNyZXQx',
          format: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
        },
        sessionIndex: '_s1',
        sessionNotOnOrAfter: NOW + 8 * 3600,
        authnInstant: NOW,
        contextClass: 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport',
        attributes: [
          {
            name: 'urn:oid:0.9.2342.19200300.100.1.3',
            nameFormat: 'urn:oasis:names:tc:SAML:2.0:attrname-format:uri',
            values: ['ada@example.edu'],
          },
        ],
      })
    })

test('any of the IdP’s certificates may have signed: keys roll over', async () => {
  const encoded = await signedResponse(exchange)
  assert.equal((await verifyResponse(encoded, expected({}, [others, keys]))).issuer, exchange.idp)
  assert.equal((await verifyResponse(encoded, expected({}, [keys, others]))).issuer, exchange.idp)
})

test('explain sees every check with what it found, and stops where nothing more can be believed', async () => {
  const all = await inspectResponse(await signedResponse(exchange), expected())
  assert.ok(all.every(({ ok }) => ok))
  assert.ok(all.length > 20)
  const wrong = await inspectResponse(
    await signedResponse(exchange, { recipient: 'https://evil.example', audience: 'urn:x' }),
    expected(),
  )
  assert.deepEqual(
    wrong.filter(({ ok }) => !ok).map(({ check }) => check),
    ['SubjectConfirmation', 'Audience'],
  )
  assert.equal((await inspectResponse('%%%', expected())).at(-1)?.check, 'size and encoding')
})

test('no refusal holds anything of the assertion: not the name, not an attribute, not the signature', async () => {
  const secret = { nameId: 'geheim-17', attributes: { mail: ['geheim-18@example.edu'] } }
  for (const changes of [
    { recipient: 'x' },
    { signing: { keys: others } },
    { audience: 'x' },
    { sessionEnd: NOW - 999 },
    { method: 'x' },
  ])
    for (const check of await inspectResponse(await signedResponse(exchange, { ...secret, ...changes }), expected()))
      assert.doesNotMatch(JSON.stringify(check), /geheim/)
})

test('the helper that signs is itself right: what it signs verifies', async () => {
  const xml = signXml(await responseXml(exchange, { id: '_r', sign: 'none' }), '_r', { keys })
  assert.ok(await verifyResponse(base64(xml), expected()))
})
