import { createCipheriv, createDecipheriv, createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'

/** Texts that only who has the root secret can read, and that are equal where text and context are: they can be keys, and be compared. */
export interface Concealer {
  /** @returns base64url; 16 bytes more than the text */
  conceal(context: string, text: string): string
  /** @throws where it was not concealed with this key and context, or was changed */
  reveal(context: string, concealed: string): string
}

const IV_BYTES = 16

/**
 * The SIV construction (Rogaway and Shrimpton, Deterministic Authenticated-Encryption, 2006; RFC 5297 is the same with CMAC): a keyed
 * hash of context and text is the initial vector of the encryption, and proves the text when it is read again. It needs no nonce,
 * so it does not wear out with the number of texts, and what a dump shows is which texts of one context are equal, and how long they are.
 * @param derive 32 bytes for a purpose, from the root secret
 */
export function concealer(derive: (purpose: string) => Buffer): Concealer {
  const mac = createSecretKey(derive('redis:mac'))
  const key = createSecretKey(derive('redis:cipher'))
  // The length says where the context ends.
  const vector = (context: string, text: string): Buffer =>
    createHmac('sha256', mac).update(`${context.length}\n${context}${text}`).digest().subarray(0, IV_BYTES)
  return {
    conceal(context, text) {
      const iv = vector(context, text)
      return Buffer.concat([iv, createCipheriv('aes-256-ctr', key, iv).update(text, 'utf8')]).toString('base64url')
    },
    reveal(context, concealed) {
      const bytes = Buffer.from(concealed, 'base64url')
      const iv = bytes.subarray(0, IV_BYTES)
      if (iv.length === IV_BYTES) {
        const text = createDecipheriv('aes-256-ctr', key, iv).update(bytes.subarray(IV_BYTES)).toString()
        if (timingSafeEqual(vector(context, text), iv)) return text
      }
      throw new Error('not concealed with this root secret, changed, or concealed for another place')
    },
  }
}
