import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verifyResponse } from '../../../src/connectors/saml/verify.ts'
import { idpRecord, responseXml, signedResponse } from '../../support/saml-idp.ts'
import { base64, exchange, expected, keys, onItsWay, post, refused, signing } from './world.ts'

/* Signatures and assertions of one place used in another: stolen, wrapped, lent. */

test('an assertion stolen from one sign-in is of no use in another, whatever is written around it', async () => {
  const stolen = await responseXml(exchange, { sign: 'assertion' })
  const forged = base64(stolen.replace('InResponseTo="_request1"', 'InResponseTo="_request2"'))
  await refused(
    verifyResponse(forged, expected({ requestId: '_request2' })),
    /SubjectConfirmation: InResponseTo _request1/,
  )
})

test('a stolen assertion that names no request is of no use either', async () => {
  const stolen = await signedResponse(exchange, { confirmedInResponseTo: undefined })
  await refused(verifyResponse(stolen, expected()), /SubjectConfirmation: InResponseTo none/)
})

test('the response of one IdP is refused at a connector that asked another, also where both have the same key', async () => {
  const encoded = await signedResponse(exchange)
  await refused(verifyResponse(encoded, expected({ idp: idpRecord('https://b.example', [keys]) })), /response Issuer/)
  const relabelled = await signedResponse(exchange, { issuer: 'https://b.example' })
  await refused(
    verifyResponse(relabelled, expected({ idp: idpRecord('https://b.example', [keys]) })),
    /assertion Issuer/,
  )
})

test('a response for one connector is refused at another', async () => {
  const encoded = await signedResponse(exchange)
  await refused(verifyResponse(encoded, expected({ acs: 'https://gateway.example/callback/other' })), /Destination/)
  const relabelled = await signedResponse(exchange, { destination: 'https://gateway.example/callback/other' })
  await refused(
    verifyResponse(relabelled, expected({ acs: 'https://gateway.example/callback/other' })),
    /the Recipient/,
  )
})

test('something else that the IdP signed is no assertion: a decoy in the place of the response’s signature', async () => {
  // A signed error response, of which anybody can have one, lends its signature.
  const decoy = await responseXml(exchange, {
    id: '_decoy',
    status: 'urn:oasis:names:tc:SAML:2.0:status:Responder',
    sign: 'response',
  })
  const signature = /<ds:Signature [\s\S]*?<\/ds:Signature>/.exec(decoy)?.[0] ?? ''
  const forged = await responseXml(exchange, { id: '_evil', nameId: 'root', sign: 'none' })
  const lent = forged.replace('</saml:Issuer>', `</saml:Issuer>${signature}`)
  await refused(verifyResponse(base64(lent), expected()), /does not refer to the element/)
  const renamed = lent.replace('ID="_evil"', 'ID="_decoy"')
  await refused(verifyResponse(base64(renamed), expected()), /no key of 1/)
  const inside = renamed.replace('<samlp:Status>', `<samlp:Extensions>${decoy}</samlp:Extensions><samlp:Status>`)
  await refused(verifyResponse(base64(inside), expected()), /twice|out of its place/)
})

test('signature wrapping: whatever holds the signed assertion, another one is never read', async () => {
  const good = await responseXml(exchange)
  const signed = /<saml:Assertion [\s\S]*<\/saml:Assertion>/.exec(good)?.[0] ?? ''
  const signature = /<ds:Signature [\s\S]*<\/ds:Signature>/.exec(signed)?.[0] ?? ''
  const evil = signed.replace(signature, '').replace('AAdzZWNyZXQx', 'root')
  const evilOf = (id: string) => evil.replace(/ID="[^"]*"/, `ID="${id}"`)
  const inEvil = (holder: string) => evilOf('_evil').replace('</saml:Issuer>', `</saml:Issuer>${holder}`)
  const wrapped = [
    good.replace(
      signed,
      inEvil(
        signature.replace('</ds:Signature>', `<ds:Object>${signed.replace(signature, '')}</ds:Object></ds:Signature>`),
      ),
    ),
    good.replace(signed, inEvil(`${signature}<saml:Advice>${signed.replace(signature, '')}</saml:Advice>`)),
    good.replace(signed, inEvil(`<saml:Advice>${signed}</saml:Advice>`)),
    good.replace(signed, evilOf('_evil').replace('</saml:Assertion>', `${signed}</saml:Assertion>`)),
    good.replace(signed, `${evilOf('_evil')}${signed}`),
    good.replace(signed, `${signed}${evilOf('_evil')}`),
    good.replace(signed, evil.replace('</saml:Issuer>', `</saml:Issuer>${signature}`)),
    good.replace(signed, `<x:Wrapper xmlns:x="urn:x">${signed}</x:Wrapper>${evilOf('_evil')}`),
    good.replace(signed, `<saml:EncryptedAssertion>${signed}</saml:EncryptedAssertion>${evilOf('_evil')}`),
  ]
  for (const [at, xml] of wrapped.entries()) {
    assert.notEqual(xml, good, `${at}`)
    await assert.rejects(verifyResponse(base64(xml), expected()), { code: 'upstream_rejected' }, `${at}`)
  }
})

test('an assertion in the Advice of the signed one is not read, signed or not', async () => {
  const advice =
    '<saml:Advice><saml:Assertion ID="_b" Version="2.0"><saml:Issuer>x</saml:Issuer><saml:Subject><saml:NameID>root</saml:NameID></saml:Subject></saml:Assertion></saml:Advice>'
  const found = await post(signing((xml) => xml.replace('<saml:AuthnStatement', `${advice}<saml:AuthnStatement`)))
  assert.equal(found.nameId.value, 'AAdzZWNyZXQx')
})

test('one bearer confirmation that is as it must be is enough', async () => {
  const holder = '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"/>'
  assert.ok(
    await post(signing((xml) => xml.replace('<saml:SubjectConfirmation ', `${holder}<saml:SubjectConfirmation `))),
  )
})

test('what is read is what was signed, also where two parsers read what was sent differently', async () => {
  // One of them takes U+0085 for the end of a line: the signature over a line feed holds, and only that was signed.
  const said = {
    ...signing((xml) => xml.replace('AAdz', 'AAdz\n')),
    ...onItsWay((xml) => xml.replace('AAdz\n', 'AAdz\u0085')),
  }
  assert.equal((await post(said)).nameId.value, 'AAdz\nZWNyZXQx')
})

test('a signature that holds is refused where it does not belong', async () => {
  const last = onItsWay((xml) =>
    xml.replace(/(<ds:Signature [\s\S]*<\/ds:Signature>)([\s\S]*)(<\/saml:Assertion>)/, '$2$1$3'),
  )
  await refused(post(last), /signature is out of its place/)
})
