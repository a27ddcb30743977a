import { constants, createDecipheriv, type KeyObject, privateDecrypt } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { ciphers, oaepHash } from './algorithms.ts'
import { printable, refusal, textOf } from './limits.ts'
import { childrenOf, ns, onlyChild, type Tag, within } from './xml.ts'

/** Bytes of a GCM nonce and of its tag. A shorter tag would be accepted by the cipher, and guessed by others. */
const NONCE = 12
const TAG = 16

/**
 * What an `EncryptedAssertion` holds, as text of which nothing is known yet. One key, one content, by RSA-OAEP and AES-GCM; where that does
 * not hold nothing is decrypted, so that no answer of ours says anything about what another cipher would have made of it.
 * @param keys PEM private keys, the current first
 * @throws {LoginError} `upstream_rejected`
 * @see XML Encryption 1.1, 5.2.4 and 5.5.2; SAML Core 6
 */
export async function decrypt(encrypted: Tag, keys: readonly (string | KeyObject)[]): Promise<string> {
  const data = onlyChild(encrypted, ns.xenc, 'EncryptedData')
  const encryptedKeys = [...within(encrypted)].filter(({ uri, name }) => uri === ns.xenc && name === 'EncryptedKey')
  const [encryptedKey] = encryptedKeys
  if (data === undefined || encryptedKey === undefined || encryptedKeys.length > 1)
    throw refusal('an encrypted assertion has not exactly one content and one key')
  const algorithm = onlyChild(data, ns.xenc, 'EncryptionMethod')?.attributes['Algorithm'] ?? 'none'
  const cipher = Object.hasOwn(ciphers, algorithm) ? ciphers[algorithm] : undefined
  if (cipher === undefined) throw refusal(`the encryption ${printable(algorithm)} is not allowed, AES-GCM is`)
  const method = onlyChild(encryptedKey, ns.xenc, 'EncryptionMethod')
  const hash = oaepHash(method)
  if (hash === undefined) {
    const name = printable(method?.attributes['Algorithm'] ?? 'none')
    throw refusal(`the key transport ${name} with its hashes is not allowed, RSA-OAEP with one hash is`)
  }
  const [key, content] = [bytesIn(encryptedKey), bytesIn(data)]
  for (const candidate of keys) {
    const text = opened(content, cipher.name, contentKey(key, candidate, hash))
    if (text !== undefined) return textOf(text)
    // A key of 3072 bits takes milliseconds, and a rotation has three: others come in between.
    await setImmediate()
  }
  throw refusal('an encrypted assertion is not for a key of this gateway; let the IdP take its metadata again')
}

/** The bytes of CipherData/CipherValue; a CipherReference would be an address to fetch from. */
function bytesIn(tag: Tag): Buffer {
  const value = onlyChild(onlyChild(tag, ns.xenc, 'CipherData'), ns.xenc, 'CipherValue')
  const base64 = value?.text.replace(/\s+/g, '') ?? ''
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || childrenOf(tag, ns.xenc, 'CipherData').length !== 1)
    throw refusal('an encrypted assertion has no CipherValue in base64')
  return Buffer.from(base64, 'base64')
}

function contentKey(encrypted: Buffer, key: string | KeyObject, oaep: string): Buffer | undefined {
  try {
    return privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: oaep }, encrypted)
  } catch {
    return undefined
  }
}

function opened(content: Buffer, cipher: 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm', key: Buffer | undefined) {
  if (key === undefined || content.length <= NONCE + TAG) return undefined
  try {
    const decipher = createDecipheriv(cipher, key, content.subarray(0, NONCE), { authTagLength: TAG })
    decipher.setAuthTag(content.subarray(-TAG))
    return Buffer.concat([decipher.update(content.subarray(NONCE, -TAG)), decipher.final()])
  } catch {
    return undefined
  }
}
