import type { Json, StatusReference } from '../credential.ts'
import { isObject, type JsonObject, listOf, textOf } from '../credentials/jws.ts'
import { refusal } from '../refusal.ts'

/** Places in a list, at most: 2²⁴ bits are 2 MB, and a list of more does not pass its limits anyway. */
const LAST = 16_777_215

/** `status_list` of a JWT. Undefined where there is none. @see Token Status List, section 6.2 @throws {LoginError} */
export function tokenStatus(value: Json | undefined): StatusReference | undefined {
  if (value === undefined) return undefined
  const { idx, uri } = isObject(value) ? value : ({} as JsonObject)
  return { kind: 'token', uri: address(uri), index: place(idx) }
}

/** `status` of a JWT, in which nothing else than a Token Status List is read. @throws {LoginError} */
export function jwtStatus(status: Json | undefined): readonly StatusReference[] {
  if (status === undefined) return []
  const reference = isObject(status) ? tokenStatus(status['status_list']) : undefined
  // A status of a kind that cannot be read must not count as none.
  if (!reference) throw refusal('the status of the credential is of a kind that is not known here')
  return [reference]
}

/** `credentialStatus` of a VC. @see Bitstring Status List 1.0, section 2.1 @throws {LoginError} */
export function bitstringStatus(value: Json | undefined): readonly StatusReference[] {
  return listOf(value).flatMap((entry): readonly StatusReference[] => {
    // A status of a kind that cannot be read must not count as none.
    if (!isObject(entry) || entry['type'] !== 'BitstringStatusListEntry')
      throw refusal('the status of the credential is of a kind that is not known here')
    const purpose = textOf(entry['statusPurpose'])
    const size = entry['statusSize'] ?? 1
    // They tell a wallet something, and take nothing back.
    if (purpose === 'refresh' || purpose === 'message') return []
    if (
      (purpose !== 'revocation' && purpose !== 'suspension') ||
      typeof size !== 'number' ||
      ![1, 2, 4, 8].includes(size)
    )
      throw refusal('the status of the credential cannot be read')
    const { statusListCredential: uri, statusListIndex: index } = entry as Readonly<Record<string, Json>>
    const number = typeof index === 'string' && /^\d{1,9}$/.test(index) ? Number(index) : index
    return [{ kind: 'bitstring', uri: address(uri), index: place(number), purpose, size }]
  })
}

function place(index: Json | undefined): number {
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index > LAST)
    throw refusal('the status of the credential has no place in its list')
  return index
}

function address(uri: Json | undefined): string {
  if (typeof uri !== 'string' || uri.length > 2048 || !uri.startsWith('https://') || !URL.canParse(uri))
    throw refusal('the status of the credential is at no https address')
  return uri
}
