/**
 * The processor time of an accepted SAML response, of all threads: the gateway's checks, signatures in their own thread, beside node-saml
 * alone doing what it can, in turns in one process. `best` rounds are compared, since others use the machine too.
 */
import { SAML, ValidateInResponseTo } from '@node-saml/node-saml'
import { openSignatureThread } from '../src/connectors/saml/signature-thread.ts'
import { verifyResponse } from '../src/connectors/saml/verify.ts'
import { type Exchange, idpRecord, type Said, samlKeys, signedResponse } from '../test/support/saml-idp.ts'
import { leastCosts, setting } from './compare.ts'

const LEAST = 1.3
const keys = samlKeys()

/** A person of a university: ten attributes, twenty groups. */
const attributes = {
  'urn:oid:0.9.2342.19200300.100.1.3': ['ada@example.edu'],
  'urn:oid:1.3.6.1.4.1.5923.1.1.1.6': ['ada@example.edu'],
  'urn:oid:1.3.6.1.4.1.5923.1.1.1.9': ['staff@example.edu', 'member@example.edu'],
  'urn:oid:2.5.4.42': ['Ada'],
  'urn:oid:2.5.4.4': ['Lovelace'],
  'urn:oid:2.16.840.1.113730.3.1.241': ['Ada Lovelace'],
  'urn:oid:1.3.6.1.4.1.5923.1.1.1.11': ['https://refeds.org/assurance', 'https://refeds.org/assurance/IAP/high'],
  'urn:oid:1.3.6.1.4.1.5923.1.5.1.1': Array.from({ length: 20 }, (_, at) => `urn:example:group:${at}`),
}

async function compared(sign: Said['sign']): Promise<number> {
  const now = Math.floor(Date.now() / 1000)
  const exchange: Exchange = {
    keys,
    idp: 'https://idp.example/saml',
    sp: 'https://gateway.example/saml/metadata',
    acs: 'https://gateway.example/callback/campus',
    requestId: '_request1',
    now,
  }
  const later = { notOnOrAfter: now + 3600, confirmedUntil: now + 3600 }
  const encoded = await signedResponse(exchange, { sign, attributes, ...later })
  const alone = new SAML({
    callbackUrl: exchange.acs,
    issuer: exchange.sp,
    audience: exchange.sp,
    idpCert: keys.base64,
    wantAuthnResponseSigned: sign !== 'assertion',
    wantAssertionsSigned: sign !== 'response',
    acceptedClockSkewMs: 60_000,
    validateInResponseTo: ValidateInResponseTo.always,
    cacheProvider: {
      saveAsync: async () => null,
      getAsync: async () => new Date().toISOString(),
      removeAsync: async () => null,
    },
  })
  const check = openSignatureThread().queue()
  const expected = {
    idp: idpRecord(exchange.idp, [keys]),
    entityId: exchange.sp,
    acs: exchange.acs,
    requestId: exchange.requestId,
    now,
    skew: 60,
    decryption: [],
    asked: { requestedAt: now },
    policy: { signed: 'either' },
  } as const
  const ours = () => verifyResponse(encoded, expected, check)
  const theirs = () => alone.validatePostResponseAsync({ SAMLResponse: encoded })
  const calls = setting('CALLS', 100)
  const best = await leastCosts(calls, ours, theirs)
  const ratio = best.ours / best.theirs
  console.log(
    `${sign} signed, ${encoded.length} characters: ${Math.round(best.ours)} µs, node-saml alone ${Math.round(best.theirs)} µs: ${ratio.toFixed(2)}`,
  )
  return ratio
}

/** Says whether an accepted response costs at most 1.3 times what it costs node-saml alone. */
export async function saml(): Promise<boolean> {
  const ratios: number[] = []
  for (const sign of ['assertion', 'response', 'both'] as const) ratios.push(await compared(sign))
  const worst = Math.max(...ratios)
  console.log(`saml: ${worst.toFixed(2)} of node-saml's processor time (at most ${LEAST})`)
  return worst <= LEAST
}
