import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Said } from '../../support/saml-idp.ts'
import { onItsWay, others, ours, post, type Row, refused } from './world.ts'

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
