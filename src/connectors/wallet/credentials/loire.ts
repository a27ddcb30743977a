import type { Binding, Credential, Json } from '../credential.ts'
import { signedByIssuer } from '../keys/issuer.ts'
import { thumbprint } from '../keys/jwk.ts'
import type { Checking, Deviations, OneChecking } from '../ports.ts'
import { printable, refusal } from '../refusal.ts'
import { bitstringStatus, jwtStatus } from '../status/reference.ts'
import { boundTo, checkPresentation } from './holder.ts'
import { digestsOf } from './jcs.ts'
import { isObject, type JsonObject, type Jws, listOf, readJws, textOf } from './jws.ts'
import { MOST } from './jwt-vc.ts'
import { sentenceOf } from './say.ts'
import { checkTime, narrower, type Window, within } from './time.ts'
import { idOf, type ReadVc, readVc, typesOf } from './vc.ts'

/** What real wallets and issuers write instead of `vp+jwt` and `vc+jwt`. */
const otherVpTypes: readonly Json[] = ['vc+jwt', 'vp+ld+jwt', 'vp+ld+json+jwt', 'JWT']
const otherVcTypes: readonly Json[] = ['vc+ld+jwt', 'vc+ld+json+jwt', 'JWT']

/**
 * `vp+jwt`: Gaia-X Loire, VC-JWTs of data model 2.0, each enveloped, in a VP-JWT that the holder signs for our request.
 * @see docs/gaia-x-profile.md; ICAM 25.11; W3C VC-JOSE-COSE
 * @throws {LoginError} `upstream_rejected`, `upstream_unavailable`
 */
export async function presentedLoire(
  text: string,
  binding: Binding,
  checking: Checking,
): Promise<readonly Credential[]> {
  const { ports, note } = checking
  const jws = readJws(text, 'the presentation')
  const deviations = checking.deviations()
  typed(jws, { wanted: 'vp+jwt', others: otherVpTypes, take: () => deviations.take('vp-typ') })
  if ('vp' in jws.payload || !typesOf(jws.payload).includes('VerifiablePresentation'))
    throw refusal('it is no VerifiablePresentation of data model 2.0')
  const holder = await checkPresentation(jws, oneOf(holdersOf(jws), 'the presentation'), binding, { ports, deviations })
  note({ check: 'presentation', ok: true, found: `nonce and audience fit; key ${thumbprint(holder.jwk)}` })
  const envelopes = listOf(jws.payload['verifiableCredential'])
  if (envelopes.length === 0 || envelopes.length > MOST) throw refusal(`it has ${envelopes.length} credentials`)
  const found: Credential[] = []
  for (const envelope of envelopes) {
    const own = checking.deviations()
    const vc = await loireVc(enveloped(envelope, own), { ports, deviations: own })
    const key = boundTo(holder, { cnf: vc.cnf, subject: vc.evidence.subject })
    note({ check: 'credential', ok: true, found: vc.sentence })
    found.push({
      format: 'vp+jwt',
      ...vc.evidence,
      ...(key !== undefined && { holder: key }),
      // What the presentation deviates in, each credential came by.
      leniencies: [...new Set([...deviations.taken, ...vc.evidence.leniencies])],
    })
  }
  return found
}

/**
 * One VC-JWT of Gaia-X Loire: of a presentation, or a file of the operator.
 * @throws {LoginError} `upstream_rejected`, `upstream_unavailable`
 */
export async function loireVc(text: string, { ports, deviations }: OneChecking): Promise<ReadVc> {
  const jws = readJws(text, 'a credential')
  const { header, payload } = jws
  typed(jws, { wanted: 'vc+jwt', others: otherVcTypes, take: () => deviations.take('vc-typ') })
  // A claim `vc` would be a second credential beside the one that is read.
  if ('vc' in payload || 'vp' in payload) throw refusal('a credential is not of data model 2.0')
  const said = readVc(payload, 'a credential')
  if (said.issuer === undefined) throw refusal('a credential has no issuer')
  if (header['iss'] === undefined && payload['iss'] === undefined) deviations.take('iss-missing')
  const iss = oneOf([said.issuer, idOf(header['iss']), idOf(payload['iss'])], 'a credential')
  const now = ports.now()
  const times = narrower(headerTimes(header, now, deviations), checkTime(payload, now, 'a credential'))
  const window = within(narrower(times, said.window), now, 'a credential')
  const issuer = await signedByIssuer(jws, { iss, deviations, what: 'a credential' }, ports)
  const evidence = {
    types: said.types,
    ...(said.id !== undefined && { id: said.id }),
    digests: digestsOf(text, payload),
    issuer,
    ...(said.subject !== undefined && { subject: said.subject }),
    claims: said.claims,
    ...window,
    status: [...bitstringStatus(said.status), ...jwtStatus(payload['status'])],
    leniencies: [...deviations.taken],
  }
  return { evidence, cnf: payload['cnf'], sentence: sentenceOf(evidence) }
}

function typed(
  { header }: Jws,
  { wanted, others, take }: { readonly wanted: string; readonly others: readonly Json[]; readonly take: () => void },
): void {
  const typ = header['typ']
  if (typ === wanted) return
  if (typ === undefined || !others.includes(typ))
    throw refusal(`it is of the type ${printable(typ, 40)}, not ${wanted}`)
  take()
}

const holdersOf = ({ header, payload }: Jws) => [
  idOf(payload['holder']),
  idOf(payload['issuer']),
  textOf(payload['iss']),
  textOf(header['iss']),
]

/** One name under which all that is there agree. */
function oneOf(names: readonly (string | undefined)[], what: string): string {
  const [name, ...others] = [...new Set(names.filter((each) => each !== undefined))]
  if (name === undefined || others.length > 0) throw refusal(`${what} names nobody who signed it, or two`)
  return name
}

/** VC-JOSE-COSE, 3.1.3; the types in the media type deviate as those in `typ`. */
export function enveloped(value: Json, deviations: Deviations): string {
  const url =
    isObject(value) && typesOf(value).includes('EnvelopedVerifiableCredential') ? textOf(value['id']) : undefined
  const [, type, separator, text] = /^data:application\/(vc(?:\+ld)?(?:\+json)?\+jwt)([,;])(.+)$/.exec(url ?? '') ?? []
  if (text === undefined) throw refusal('a credential in it is no EnvelopedVerifiableCredential')
  if (type !== 'vc+jwt') deviations.take('vc-typ')
  if (separator === ';') deviations.take('enveloped-separator')
  return text
}

/** Seconds after which a number can only be milliseconds: the year 5138. */
const SECONDS_END = 1e11

/** `iat` and `exp` where Gaia-X issuers put them; an end that is signed counts wherever it stands. */
function headerTimes({ iat, exp }: JsonObject, now: number, deviations: Deviations): Window {
  const seconds = (value: Json | undefined): Json | undefined => {
    if (typeof value !== 'number' || value < SECONDS_END) return value
    deviations.take('header-milliseconds')
    return Math.floor(value / 1000)
  }
  const times = Object.entries({ iat: seconds(iat), exp: seconds(exp) }).filter(([, value]) => value !== undefined)
  return checkTime(Object.fromEntries(times) as JsonObject, now, 'a credential')
}
