import { createPrivateKey } from 'node:crypto'
import { compactDecrypt } from 'jose'
import { LoginError } from '../../core/errors.ts'
import type { WalletConfig } from './options.ts'
import { printable } from './refusal.ts'
import { type Exchange, encryptions } from './request.ts'

/** Errors by which a wallet says that nothing was wrong with it: the person declined, or has nothing that was asked for. */
const declined: ReadonlySet<string> = new Set(['access_denied', 'wallet_unavailable'])

/**
 * The `vp_token` of an answer: taken out of its encryption, and compared with what was asked only so far as the envelope goes.
 * @param state of the sign-in. A wallet that repeats it must repeat it rightly; the address of the answer is already this request's alone
 * @throws {LoginError} `upstream_rejected`, `upstream_declined`
 * @see OpenID4VP 1.0, 8.2 and 8.3
 */
export async function vpTokenIn(
  form: URLSearchParams,
  exchange: Exchange,
  { state, response }: Pick<WalletConfig, 'response'> & { readonly state: string },
): Promise<Readonly<Record<string, unknown>>> {
  const plain = Object.fromEntries(form)
  // "If a Wallet is unable to generate an encrypted response, it MAY send an error response without encryption".
  if (plain['error'] !== undefined) throw failed(plain)
  const encrypted = plain['response']
  if (response === 'encrypted' && encrypted === undefined) throw rejected('it is not encrypted, as was asked')
  if (response === 'plain' && encrypted !== undefined) throw rejected('it is encrypted, which nobody asked for')
  const answer = encrypted === undefined ? { ...plain, state: plain['said'] } : await decrypted(encrypted, exchange)
  if (answer['error'] !== undefined) throw failed(answer)
  if (answer['state'] !== undefined && answer['state'] !== state)
    throw rejected('its state is not that of this sign-in')
  const token = encrypted === undefined ? parsed(String(answer['vp_token'])) : answer['vp_token']
  if (!isRecord(token)) throw rejected('it has no vp_token')
  return token
}

async function decrypted(text: string, { key }: Exchange): Promise<Readonly<Record<string, unknown>>> {
  const jwe = await compactDecrypt(text, createPrivateKey({ key, format: 'jwk' }), {
    keyManagementAlgorithms: ['ECDH-ES'],
    contentEncryptionAlgorithms: [...encryptions],
  }).catch((cause: unknown) => {
    throw rejected('it cannot be decrypted by the key of its request', cause)
  })
  // "the JWE MUST include the same value in the kid": another key's answer is told apart even where a wallet mixed up its sign-ins.
  if (jwe.protectedHeader.kid !== key.kid) throw rejected('it is encrypted to the key of another request')
  const value = parsed(Buffer.from(jwe.plaintext).toString('utf8'))
  if (!isRecord(value)) throw rejected('what was encrypted is no object')
  return value
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw rejected('it is no JSON')
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What a wallet writes of an error is for the log alone. */
function failed({ error, error_description: more }: Readonly<Record<string, unknown>>): LoginError {
  const said = `the wallet says ${printable(error)}${more === undefined ? '' : `: ${printable(more, 300)}`}`
  return typeof error === 'string' && declined.has(error) ? new LoginError('upstream_declined', said) : rejected(said)
}

const rejected = (why: string, cause?: unknown) =>
  new LoginError('upstream_rejected', `the wallet's answer was refused: ${why}`, cause === undefined ? {} : { cause })
