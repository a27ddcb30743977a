import type { Binding, Credential } from '../credential.ts'
import { signedByIssuer } from '../keys/issuer.ts'
import { thumbprint } from '../keys/jwk.ts'
import type { Checking, OneChecking } from '../ports.ts'
import { refusal } from '../refusal.ts'
import { bitstringStatus, jwtStatus } from '../status/reference.ts'
import { boundTo, checkPresentation, type Holder } from './holder.ts'
import { digestsOf } from './jcs.ts'
import { isObject, type JsonObject, listOf, readJws, textOf } from './jws.ts'
import { sentenceOf } from './say.ts'
import { checkTime, narrower, within } from './time.ts'
import { type ReadVc, readVc, typesOf } from './vc.ts'

/** Credentials in one presentation, at most; a real one of Gaia-X has 68. */
export const MOST = 100

/**
 * `jwt_vc_json`: VC-JWTs of data model 1.1 in a VP-JWT that the holder signs.
 * @see OpenID4VP 1.0, B.1.3.1 and VC Data Model 1.1, 6.3.1
 * @throws {LoginError} `upstream_rejected`, `upstream_unavailable`
 */
export async function presentedJwtVc(
  text: string,
  binding: Binding,
  checking: Checking,
): Promise<readonly Credential[]> {
  const jws = readJws(text, 'the presentation')
  const { vp, iss } = jws.payload
  if (!['JWT', undefined].includes(jws.header['typ'] as string | undefined) || !isObject(vp))
    throw refusal('it is no presentation as a JWT with `vp`')
  const did = textOf(iss)
  if (did === undefined || !(vp['holder'] === undefined || vp['holder'] === did))
    throw refusal('the presentation names no holder, or two')
  if (!typesOf(vp).includes('VerifiablePresentation')) throw refusal('it is no VerifiablePresentation')
  const { ports, deviations, note } = checking
  const holder = await checkPresentation(jws, did, binding, { ports, deviations: deviations() })
  note({ check: 'presentation', ok: true, found: `nonce and audience fit; key ${thumbprint(holder.jwk)}` })
  const credentials = listOf(vp['verifiableCredential'])
  if (credentials.length === 0 || credentials.length > MOST) throw refusal(`it has ${credentials.length} credentials`)
  const found: Credential[] = []
  for (const each of credentials) {
    if (typeof each !== 'string') throw refusal('a credential in it is no JWT')
    found.push(await credentialOf(each, holder, checking))
  }
  return found
}

async function credentialOf(text: string, holder: Holder, checking: Checking): Promise<Credential> {
  const { evidence, cnf, sentence } = await jwtVc(text, { ports: checking.ports, deviations: checking.deviations() })
  const key = boundTo(holder, { cnf, subject: evidence.subject })
  checking.note({ check: 'credential', ok: true, found: sentence })
  return { format: 'jwt_vc_json', ...evidence, ...(key !== undefined && { holder: key }) }
}

/**
 * One VC-JWT of data model 1.1, whoever presents it.
 * @throws {LoginError} `upstream_rejected`, `upstream_unavailable`
 */
export async function jwtVc(text: string, { ports, deviations }: OneChecking): Promise<ReadVc> {
  const jws = readJws(text, 'a credential')
  const { vc, iss: named, sub, cnf, status } = jws.payload
  if (!['JWT', undefined].includes(jws.header['typ'] as string | undefined) || !isObject(vc))
    throw refusal('a credential is no JWT with `vc`')
  const said = readVc(whole(vc, jws.payload), 'a credential')
  const iss = textOf(named)
  if (iss === undefined || !(said.issuer === undefined || said.issuer === iss))
    throw refusal('a credential names no issuer, or two')
  if (sub !== undefined && sub !== said.subject) throw refusal('a credential is about two subjects')
  const now = ports.now()
  const window = within(narrower(checkTime(jws.payload, now, 'a credential'), said.window), now, 'a credential')
  const issuer = await signedByIssuer(jws, { iss, deviations, what: 'a credential' }, ports)
  const evidence = {
    types: said.types,
    ...(said.id !== undefined && { id: said.id }),
    digests: digestsOf(text, vc),
    issuer,
    ...(said.subject !== undefined && { subject: said.subject }),
    claims: said.claims,
    ...window,
    status: [...bitstringStatus(said.status), ...jwtStatus(status)],
    leniencies: [...deviations.taken],
  }
  return { evidence, cnf, sentence: sentenceOf(evidence) }
}

/** VC Data Model 1.1, 6.3.1: `jti` and `sub` of the JWT stand for what the VC itself leaves out. */
function whole(vc: JsonObject, { jti, sub }: JsonObject): JsonObject {
  const subject = vc['credentialSubject']
  const named = isObject(subject) && subject['id'] === undefined && typeof sub === 'string'
  return {
    ...(jti !== undefined && { id: jti }),
    ...vc,
    ...(named && { credentialSubject: { ...subject, id: sub } }),
  }
}
