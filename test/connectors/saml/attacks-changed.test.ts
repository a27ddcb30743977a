import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verifyResponse } from '../../../src/connectors/saml/verify.ts'
import { type Said, samlKeys, signedResponse } from '../../support/saml-idp.ts'
import { exchange, expected, keys, onItsWay, others, post, type Row, refused, signing } from './world.ts'

/* What is done to a signed response on its way through the browser. */

/** Done to a good response on its way. */
const changed: readonly Row[] = [
  ['no signature at all', /it is not signed/, { sign: 'none' }],
  ['a signature of another key', /no key of 1/, { signing: { keys: others } }],
  [
    'a signature of another key, whose certificate is inside',
    /no key of 1/,
    { signing: { keys: others }, sign: 'both' },
  ],
  [
    'a second Algorithm, of another name space',
    /an attribute of another name space/,
    onItsWay((xml) => xml.replace('<ds:SignatureMethod', '$& xmlns:x="u:x" x:Algorithm="urn:x"')),
  ],
  ['another NameID than was signed', /no key of 1/, onItsWay((xml) => xml.replace('AAdzZWNyZXQx', 'root'))],
  [
    'another Status than was signed',
    /no key of 1/,
    onItsWay((xml) => xml.replace('</samlp:Status>', '<samlp:StatusMessage>x</samlp:StatusMessage></samlp:Status>'), {
      sign: 'response',
    }),
  ],
  [
    'a response signature that is bad around a good assertion',
    /no key of 1 .* Response/,
    onItsWay((xml) => xml.replace('</samlp:Status>', '<samlp:StatusMessage>x</samlp:StatusMessage></samlp:Status>')),
  ],
  ['SHA-1', /rsa-sha1 is not allowed/, { signing: { keys, signature: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1' } }],
  [
    'a digest by SHA-1',
    /xmldsig#sha1 is not allowed/,
    { signing: { keys, digest: 'http://www.w3.org/2000/09/xmldsig#sha1' } },
  ],
  [
    'inclusive canonical XML',
    /REC-xml-c14n-20010315 is not allowed/,
    { signing: { keys, canonicalization: 'http://www.w3.org/TR/2001/REC-xml-c14n-20010315' } },
  ],
  [
    'canonical XML with comments',
    /transforms are not/,
    {
      signing: {
        keys,
        transforms: [
          'http://www.w3.org/2000/09/xmldsig#enveloped-signature',
          'http://www.w3.org/2001/10/xml-exc-c14n#WithComments',
        ],
      },
    },
  ],
  [
    'canonical XML 1.1',
    /xml-c14n11 is not allowed/,
    onItsWay((xml) =>
      xml.replace(
        'CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"',
        'CanonicalizationMethod Algorithm="http://www.w3.org/2006/12/xml-c14n11"',
      ),
    ),
  ],
  [
    'a MAC whose key is the certificate',
    /hmac-sha256 is not allowed/,
    onItsWay((xml) =>
      xml.replace(
        'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
        'http://www.w3.org/2001/04/xmldsig-more#hmac-sha256',
      ),
    ),
  ],
  [
    'a third transform',
    /transforms are not/,
    onItsWay((xml) =>
      xml.replace(
        '</ds:Transforms>',
        '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"/></ds:Transforms>',
      ),
    ),
  ],
  ['a signature over the whole document', /does not refer/, onItsWay((xml) => xml.replace(/URI="#[^"]*"/, 'URI=""'))],
  [
    'a second Reference',
    /no single SignedInfo/,
    onItsWay((xml) => xml.replace(/(<ds:Reference[\s\S]*<\/ds:Reference>)/, '$1$1')),
  ],
  [
    'a second SignedInfo',
    /no single SignedInfo/,
    onItsWay((xml) => xml.replace(/(<ds:SignedInfo[\s\S]*<\/ds:SignedInfo>)/, '$1$1')),
  ],
  [
    'an Object in the signature',
    /no place in it/,
    onItsWay((xml) => xml.replace('</ds:Signature>', '<ds:Object/></ds:Signature>')),
  ],
  [
    'a comment in the digest',
    /no key of 1/,
    onItsWay((xml) => xml.replace(/<ds:DigestValue>/, '<ds:DigestValue><!-- AAAA -->').replace('AAdzZWNyZXQx', 'root')),
  ],
  [
    'two signatures',
    /out of its place/,
    onItsWay((xml) => xml.replace(/(<ds:Signature [\s\S]*<\/ds:Signature>)/, '$1$1')),
  ],
  [
    'a second, unsigned assertion',
    /out of its place|2 assertions/,
    onItsWay((xml) =>
      xml.replace(
        '</samlp:Response>',
        '<saml:Assertion ID="_evil"><saml:Issuer>x</saml:Issuer></saml:Assertion></samlp:Response>',
      ),
    ),
  ],
  [
    'an unsigned assertion in front',
    /2 assertions/,
    onItsWay((xml) =>
      xml.replace(
        '<saml:Assertion ',
        '<saml:Assertion ID="_evil" Version="2.0"><saml:Issuer>x</saml:Issuer></saml:Assertion><saml:Assertion ',
      ),
    ),
  ],
  [
    'the signed assertion moved into Extensions, another in its place',
    /out of its place/,
    onItsWay((xml) =>
      xml.replace(
        /(<saml:Assertion [\s\S]*<\/saml:Assertion>)/,
        '<samlp:Extensions>$1</samlp:Extensions><saml:Assertion ID="_evil"/>',
      ),
    ),
  ],
  [
    'the signed response moved into Extensions of another',
    /no Response|out of its place|twice|response /,
    onItsWay(
      (xml) =>
        `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_evil"><samlp:Extensions>${xml}</samlp:Extensions></samlp:Response>`,
      { sign: 'response' },
    ),
  ],
  ['the assertion’s ID at the response too', /identifier is there twice/, { id: '_same', assertionId: '_same' }],
  [
    'an ID and an Id that are the same',
    /identifier is there twice/,
    onItsWay((xml) => xml.replace('<samlp:Status>', '<samlp:Status Id="_x"><samlp:StatusDetail ID="_x"/>')),
  ],
  [
    'an assertion that is no child of a SAML response',
    /it is no Response/,
    onItsWay((xml) => /<saml:Assertion [\s\S]*<\/saml:Assertion>/.exec(xml)?.[0] ?? ''),
  ],
  [
    'a response in another namespace',
    /it is no Response/,
    onItsWay((xml) => xml.replace('xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"', 'xmlns:samlp="urn:evil"')),
  ],
  [
    'a relative namespace',
    /not an absolute URI/,
    onItsWay((xml) => xml.replace('<samlp:Response ', '<samlp:Response xmlns:a="1" ')),
  ],
  ['a DOCTYPE', /has a DOCTYPE/, onItsWay((xml) => `<!DOCTYPE r [<!ENTITY x "y">]>${xml}`)],
  [
    'a processing instruction in the NameID',
    /processing instruction/,
    onItsWay((xml) => xml.replace('AAdz', 'AAd<?x?>z')),
  ],
  ['an entity that nobody declared', /not well-formed/, onItsWay((xml) => xml.replace('AAdz', '&x;'))],
  ['two roots', /not well-formed/, onItsWay((xml) => `${xml}<x/>`)],
  ['UTF-16', /not UTF-8|not well-formed|UTF-8/, onItsWay((xml) => `<?xml version="1.0" encoding="UTF-16"?>${xml}`)],
  [
    'an assertion in the clear where it must be encrypted',
    /not encrypted/,
    {},
    { policy: { signed: 'either', encrypted: true } },
  ],
  [
    'an unsigned assertion where that must be signed',
    /the assertion is not signed/,
    { sign: 'response' },
    { policy: { signed: 'assertion' } },
  ],
  [
    'an unsigned response where that must be signed',
    /the response is not signed/,
    { sign: 'assertion' },
    { policy: { signed: 'both' } },
  ],
  [
    'an unsolicited response',
    /response InResponseTo: none/,
    { inResponseTo: undefined, confirmedInResponseTo: undefined },
    { requestId: '' },
  ],
  [
    'an unsolicited response that answers nothing',
    /response InResponseTo: /,
    { inResponseTo: '', confirmedInResponseTo: '' },
    { requestId: '' },
  ],
]

/** The row that changes a signed response signs both, and edits after that. */
const both: Partial<Said> = { sign: 'both' }
for (const [what, by, changes, more] of changed)
  test(`refused: ${what}`, () => {
    const edited = /around a good assertion/.test(what) ? { ...changes, ...both } : changes
    return refused(post(edited, more), by)
  })

test('a key of 1024 bits is refused, also where the metadata names it, and is told apart from a wrong one', async () => {
  const short = samlKeys('old.example', 'RSA-1024')
  for (const sign of ['assertion', 'response'] as const) {
    const message = await signedResponse(exchange, { sign, signing: { keys: short } })
    const known = expected({}, [keys, short])
    await refused(verifyResponse(message, known), /: it is shorter than RSA keys of 2048 bits make it/)
    // That nothing else is wrong with it.
    const taken = { ...known, policy: { ...known.policy, shortKeys: true } } as const
    assert.equal((await verifyResponse(message, taken)).nameId.value, 'AAdzZWNyZXQx')
    await refused(verifyResponse(message, { ...taken, idp: expected().idp }), /no key of 1 .* signed the/)
  }
})

test('SHA-1 is accepted where one connector says so, and there alone', async () => {
  const old = {
    signing: {
      keys,
      signature: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1',
      digest: 'http://www.w3.org/2000/09/xmldsig#sha1',
    },
  }
  assert.equal((await post(old, { policy: { signed: 'either', sha1: true } })).nameId.value, 'AAdzZWNyZXQx')
})

test('PSS and SHA-512 are accepted', async () => {
  for (const signature of [
    'http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1',
    'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
  ])
    assert.ok(await post({ signing: { keys, signature, digest: 'http://www.w3.org/2001/04/xmlenc#sha512' } }))
})

for (const [what, put] of [
  ['a comment', 'AAdz<!-- -->ZWNyZXQx'],
  ['a CDATA section', 'AAdz<![CDATA[ZWNy]]>ZXQx'],
  ['character references', '&#65;Adz&#x5A;WNyZXQx'],
] as const)
  test(`${what} in a NameID changes nothing of it`, async () => {
    const found = await post(onItsWay((xml) => xml.replace('AAdzZWNyZXQx', put)))
    assert.equal(found.nameId.value, 'AAdzZWNyZXQx')
  })

test('a comment that was signed into a NameID cuts nothing off it', async () => {
  const found = await post(signing((xml) => xml.replace('AAdzZWNyZXQx', 'admin@example.edu<!---->.evil.example')))
  assert.equal(found.nameId.value, 'admin@example.edu.evil.example')
})

for (const sign of ['response', 'assertion'] as const)
  for (const [what, put] of [
    ['a next line', '\u0085'],
    ['a line separator', '\u2028'],
  ] as const)
    test(`${what}, which the library's parser takes for a line end and ours does not, is read as it was signed: the ${sign}`, async () => {
      const found = await post(
        onItsWay((xml) => xml.replace('a\nb', `a${put}b`), { attributes: { g: ['a\nb'] }, sign }),
      )
      assert.deepEqual(found.attributes[0]?.values, ['a\nb'])
    })
