import assert from 'node:assert/strict'
import { constants, createCipheriv, publicEncrypt, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { Said } from '../../support/saml-idp.ts'
import { onItsWay, others, ours, post, type Row, refused, signing } from './world.ts'

const encrypted = (more: Partial<Said['encryption']> = {}): Partial<Said> => ({
  encryption: { to: ours.cert, ...more },
})

/** Encrypted to us, with the right key: refused for how, before anything is decrypted. */
const ciphers: readonly Row[] = [
  ['CBC', /aes256-cbc is not allowed/, encrypted({ content: 'http://www.w3.org/2001/04/xmlenc#aes256-cbc' })],
  [
    'triple DES',
    /tripledes-cbc is not allowed/,
    encrypted({ content: 'http://www.w3.org/2001/04/xmlenc#tripledes-cbc' }),
  ],
  [
    'RSA 1.5',
    /rsa-1_5 with its hashes is not allowed/,
    encrypted({ transport: 'http://www.w3.org/2001/04/xmlenc#rsa-1_5' }),
  ],
  ['another’s key', /not for a key of this gateway/, encrypted({ to: others.cert })],
  ['an unsigned assertion in an unsigned response', /it is not signed/, { ...encrypted(), sign: 'none' }],
  ['an assertion encrypted by somebody else', /no key of 1/, { ...encrypted(), signing: { keys: others } }],
  [
    'a changed byte of the cipher text',
    /not for a key/,
    {
      ...encrypted(),
      ...onItsWay((xml) =>
        xml.replace(
          /(<e:CipherValue>\s*)(\w)([\w+/=\s]*<\/e:CipherValue>\s*<\/e:CipherData>\s*<\/xenc:EncryptedData>|[\s\S]{60,}$)/,
          '$1$3',
        ),
      ),
    },
  ],
  [
    'a cipher text too short for its tag',
    /not for a key/,
    {
      ...encrypted(),
      ...onItsWay((xml) =>
        xml.replace(/(<xenc:CipherValue>)[^<]{100,}(<\/xenc:CipherValue>)/, '$1AAAAAAAAAAAAAAAAAAAAAAAA$2'),
      ),
    },
  ],
  [
    'two encrypted keys',
    /exactly one content and one key/,
    { ...encrypted(), ...onItsWay((xml) => xml.replace(/(<e:EncryptedKey[\s\S]*<\/e:EncryptedKey>)/, '$1$1')) },
  ],
]
for (const [what, by, changes, more] of ciphers)
  test(`refused: ${what}, encrypted`, () => refused(post(changes, more), by))

test('either key of a rotation decrypts', async () => {
  const found = await post(encrypted(), { decryption: [others.key, ours.key] })
  assert.equal(found.nameId.value, 'AAdzZWNyZXQx')
})

test('what is encrypted is held to the same limits as what is not', async () => {
  const bomb = `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">${'<a/>'.repeat(2000)}</saml:Assertion>`
  await refused(post({ ...encrypted(), sign: 'none', editAssertion: () => bomb }), /more than 1200 elements/)
  await refused(post({ ...encrypted(), sign: 'none', editAssertion: () => '<!DOCTYPE x><x/>' }), /DOCTYPE/)
})

/** Encrypted by hand, as XML Encryption 1.1 has it and xml-encryption does not. */
function encrypt11(xml: string, hash: 'sha1' | 'sha256' | 'sha512', method: string): string {
  const [key, nonce] = [randomBytes(16), randomBytes(12)]
  const cipher = createCipheriv('aes-128-gcm', key, nonce)
  const content = Buffer.concat([nonce, cipher.update(xml), cipher.final(), cipher.getAuthTag()])
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  const sealed = publicEncrypt({ key: ours.cert, padding, oaepHash: hash }, key)
  const value = (bytes: Buffer) => `<CipherData><CipherValue>${bytes.toString('base64')}</CipherValue></CipherData>`
  return `<saml:EncryptedAssertion><EncryptedData xmlns="http://www.w3.org/2001/04/xmlenc#"><EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#aes128-gcm"/><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><EncryptedKey xmlns="http://www.w3.org/2001/04/xmlenc#">${method}${value(sealed)}</EncryptedKey></KeyInfo>${value(content)}</EncryptedData></saml:EncryptedAssertion>`
}

const oaep = (digest: string, mgf: string) =>
  `<EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#rsa-oaep"><DigestMethod xmlns="http://www.w3.org/2000/09/xmldsig#" Algorithm="${digest}"/><MGF xmlns="http://www.w3.org/2009/xmlenc11#" Algorithm="http://www.w3.org/2009/xmlenc11#${mgf}"/></EncryptionMethod>`
const mgf1p = (digest: string) =>
  `<EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"><DigestMethod xmlns="http://www.w3.org/2000/09/xmldsig#" Algorithm="${digest}"/></EncryptionMethod>`
const SHA1 = 'http://www.w3.org/2000/09/xmldsig#sha1'
const SHA256 = 'http://www.w3.org/2001/04/xmlenc#sha256'
const SHA512 = 'http://www.w3.org/2001/04/xmlenc#sha512'

/** A good response whose assertion is encrypted by hand. */
const byHand = (hash: 'sha1' | 'sha256' | 'sha512', method: string) =>
  onItsWay((xml) => xml.replace(/<saml:Assertion [\s\S]*<\/saml:Assertion>/, (inner) => encrypt11(inner, hash, method)))

for (const [what, hash, method] of [
  ['SHA-256', 'sha256', oaep(SHA256, 'mgf1sha256')],
  ['SHA-512', 'sha512', oaep(SHA512, 'mgf1sha512')],
  ['SHA-1, by the newer name', 'sha1', oaep(SHA1, 'mgf1sha1')],
  ['SHA-1, by the older name', 'sha1', mgf1p(SHA1)],
] as const)
  test(`RSA-OAEP decrypts with ${what}`, async () => {
    assert.equal((await post(byHand(hash, method))).nameId.value, 'AAdzZWNyZXQx')
  })

for (const [what, method] of [
  ['two hashes', oaep(SHA256, 'mgf1sha1')],
  ['the mask of SHA-1 and the digest of SHA-256', mgf1p(SHA256)],
  ['a hash that nobody knows', oaep('urn:x', 'mgf1sha256')],
] as const)
  test(`refused: RSA-OAEP with ${what}`, () =>
    refused(post(byHand('sha256', method)), /with its hashes is not allowed/))

test('refused: an assertion in an assertion, signed and encrypted', () => {
  const nested = signing((xml) => xml.replace('<saml:AuthnStatement', '<saml:Assertion ID="_b"/><saml:AuthnStatement'))
  return refused(post({ ...encrypted(), ...nested }), /it has 2 assertions/)
})
