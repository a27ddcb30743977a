import type { Issuer } from '../credential.ts'
import { isObject, type Jws, readJws, secondsOf, textOf } from '../credentials/jws.ts'
import { checkTime } from '../credentials/time.ts'
import type { Kind } from '../keys/documents.ts'
import { signedByIssuer } from '../keys/issuer.ts'
import type { OneChecking } from '../ports.ts'
import { refusal } from '../refusal.ts'
import { KEPT, type List, LONGEST, unpacked } from './list.ts'

interface TokenList {
  readonly jws: Jws
  readonly list: List
}

const WHAT = 'the status list'

/** A Status List Token. @see Token Status List, sections 5.1 and 8 */
const tokenList: Kind<TokenList> = {
  accept: 'application/statuslist+jwt',
  longest: LONGEST,
  parse(text, url) {
    const jws = readJws(text.trim(), WHAT, LONGEST)
    const { sub, status_list: list } = jws.payload
    if (jws.header['typ'] !== 'statuslist+jwt') throw refusal('the status list is not of the type statuslist+jwt')
    // Else a list for other credentials could stand here.
    if (sub !== url) throw refusal('the status list is meant for another address')
    const { bits, lst } = isObject(list) ? list : {}
    if (typeof bits !== 'number' || ![1, 2, 4, 8].includes(bits) || typeof lst !== 'string')
      throw refusal('the status list cannot be read')
    return { jws, list: { bytes: unpacked(lst, 'deflate'), bits, from: 'lowest' } }
  },
  unpacked: ({ list }) => list.bytes.length,
  keep({ jws }, now) {
    const { ttl, exp } = jws.payload
    const left = (secondsOf(exp, 'exp of the status list') ?? now + KEPT) - now
    return Math.max(0, Math.min(KEPT, left, secondsOf(ttl, 'ttl of the status list') ?? KEPT))
  },
}

/**
 * The list at an address, after its signature and time were checked, and by whom it is.
 * @throws {LoginError}
 */
export async function readTokenList(
  uri: string,
  of: Issuer,
  { ports, deviations }: OneChecking,
): Promise<{ readonly list: List; readonly issuer: Issuer }> {
  const { jws, list } = await ports.documents(of.id).read(uri, tokenList)
  checkTime(jws.payload, ports.now(), WHAT)
  // Lists need not name who signs them; by its certificate or key it has to be the credential's issuer all the same.
  const iss = textOf(jws.payload['iss']) ?? (jws.header['x5c'] === undefined ? of.id : undefined)
  return { list, issuer: await signedByIssuer(jws, { iss, deviations, what: WHAT }, ports) }
}
