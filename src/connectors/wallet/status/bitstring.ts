import type { Issuer, StatusReference } from '../credential.ts'
import { isObject, type JsonObject, readJws, textOf } from '../credentials/jws.ts'
import { jwtVc } from '../credentials/jwt-vc.ts'
import { loireVc } from '../credentials/loire.ts'
import type { Kind } from '../keys/documents.ts'
import type { OneChecking } from '../ports.ts'
import { refusal } from '../refusal.ts'
import { KEPT, type List, unpacked } from './list.ts'

interface BitstringList {
  readonly text: string
  /** Whether it is of data model 1.1, with the claim `vc`. */
  readonly model: '1.1' | '2.0'
  readonly bytes: Uint8Array
  readonly ttl: number
}

/**
 * A BitstringStatusListCredential as a VC-JWT. Lists with a Data Integrity proof are not read.
 * @see Bitstring Status List 1.0, sections 2.2 and 3.2
 */
const bitstringList: Kind<BitstringList> = {
  accept: 'application/vc+jwt, application/jwt',
  longest: 262_144,
  parse(text) {
    const { payload } = readJws(text.trim(), 'the status list')
    const vc = isObject(payload['vc']) ? payload['vc'] : payload
    const { encodedList, ttl } = subjectOf(vc)
    const encoded = textOf(encodedList)
    if (encoded === undefined) throw refusal('the status list has no list in it')
    return {
      text: text.trim(),
      model: vc === payload ? '2.0' : '1.1',
      // The `u` of multibase is missing in the examples of Gaia-X; a gzip file never begins with one.
      bytes: unpacked(encoded.replace(/^u/, ''), 'gzip'),
      ttl: typeof ttl === 'number' && ttl >= 0 ? ttl / 1000 : KEPT, // milliseconds, says section 2.2
    }
  },
  unpacked: ({ bytes }) => bytes.length,
  keep: ({ ttl }) => Math.min(KEPT, ttl),
}

const subjectOf = (vc: JsonObject): JsonObject => {
  const subject = vc['credentialSubject']
  return isObject(subject) ? subject : {}
}

/**
 * The list to which an entry leads, after its signature, time and purpose were checked, and by whom it is.
 * @throws {LoginError}
 */
export async function readBitstringList(
  { uri, purpose, size }: Extract<StatusReference, { kind: 'bitstring' }>,
  of: Issuer,
  checking: OneChecking,
): Promise<{ readonly list: List; readonly issuer: Issuer }> {
  const { text, model, bytes } = await checking.ports.documents(of.id).read(uri, bitstringList)
  const { evidence } = await (model === '2.0' ? loireVc : jwtVc)(text, checking)
  if (!evidence.types.includes('BitstringStatusListCredential'))
    throw refusal('the status list is a credential of another type')
  // Else another list of the issuer could stand here; a name that is no address says nothing of where it belongs.
  if (evidence.id?.startsWith('https://') && evidence.id !== uri)
    throw refusal('the status list is meant for another address')
  const purposes = [evidence.claims['statusPurpose']].flat()
  if (!purposes.includes(purpose)) throw refusal('the status list has another purpose than the credential says')
  return { list: { bytes, bits: size, from: 'highest' }, issuer: evidence.issuer }
}
