import { LoginError } from '../../../core/errors.ts'
import type { Credential, Issuer, StatusReference } from '../credential.ts'
import { noteDeviations } from '../credentials/presented.ts'
import { isKeyStanding } from '../keys/issuer.ts'
import type { VerifyPorts } from '../ports.ts'
import { printable, refusal } from '../refusal.ts'
import { readBitstringList } from './bitstring.ts'
import { valueAt } from './list.ts'
import { readTokenList } from './token-list.ts'

/** The worst that lists say of a credential. */
export type Standing = 'valid' | 'suspended' | 'revoked'

const order: readonly Standing[] = ['valid', 'suspended', 'revoked']

/**
 * Where a credential stands by its status lists, `valid` where it has none; and by the key that signed it, which its issuer may have taken back. A list counts only where the issuer of the credential signed it,
 * or who has a certificate of the same anchor; lists are kept for as long as they say, for five minutes at most.
 * @throws {LoginError} `upstream_unavailable` where a list cannot be read or believed; `upstream_rejected` where it has no such place
 */
export async function standingOf(
  { issuer, status }: Pick<Credential, 'issuer' | 'status'>,
  ports: VerifyPorts,
): Promise<Standing> {
  const [standing, ...found] = await Promise.all([
    believable(() => isKeyStanding(issuer, ports), 'the key of an issuer'),
    ...status.map((reference) => one(reference, issuer, ports)),
  ])
  if (!standing) return 'revoked'
  return order.findLast((standing) => found.includes(standing)) ?? 'valid'
}

async function one(reference: StatusReference, issuer: Issuer, ports: VerifyPorts): Promise<Standing> {
  const list = await believed(reference, issuer, ports)
  const value = valueAt(list, reference.index)
  if (value === undefined) throw refusal('the status list does not reach to the place of the credential')
  if (value === 0) return 'valid'
  if (reference.kind === 'bitstring') return reference.purpose === 'suspension' ? 'suspended' : 'revoked'
  // Token Status List, 7.1. What else a list may say is not for us to know, and nothing but 0 is valid.
  return value === 2 ? 'suspended' : 'revoked'
}

/** A list that lies says no more than one that is not there: it neither revokes nor clears. */
function believed(reference: StatusReference, issuer: Issuer, ports: VerifyPorts) {
  const checking = { ports, deviations: noteDeviations(ports.lenient) }
  return believable(async () => {
    const { list, issuer: signer } = await (reference.kind === 'token'
      ? readTokenList(reference.uri, issuer, checking)
      : readBitstringList(reference, issuer, checking))
    if (!isOf(signer, issuer)) throw refusal(`the status list is of another issuer: ${printable(signer.id)}`)
    return list
  }, 'the status of a credential')
}

async function believable<T>(read: () => Promise<T>, what: string): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    if (!(cause instanceof LoginError)) throw cause
    throw new LoginError('upstream_unavailable', `${what} cannot be read: ${cause.message}`, { cause })
  }
}

/** By its very name; who is known by a certificate, by the anchor of it, under which lists are often signed apart (EUDI ARF). */
const isOf = (signer: Issuer, issuer: Issuer) =>
  issuer.by === 'x5c' ? signer.anchor === issuer.anchor : signer.id === issuer.id
