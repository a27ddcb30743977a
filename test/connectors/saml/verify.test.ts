import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verifyResponse } from '../../../src/connectors/saml/verify.ts'
import { type Said, signedResponse } from '../../support/saml-idp.ts'
import { exchange, expected, keys, NOW, others, ours, post } from './world.ts'

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
