import { hash } from 'node:crypto'
import { isTextSignedBy } from '../../signature.ts'
import type { Evidence } from '../credential.ts'
import { canonicalJson } from '../credentials/jcs.ts'
import { bytesOf, isObject, type JsonObject, jsonOf, listOf, textOf } from '../credentials/jws.ts'
import { idOf, readVc } from '../credentials/vc.ts'
import { splitDid } from '../keys/did.ts'
import { certificateOf, type Signed, signedByDid } from '../keys/issuer.ts'
import type { OneChecking } from '../ports.ts'
import { printable, refusal } from '../refusal.ts'
import { bitstringStatus } from '../status/reference.ts'
import { type Contexts, canonical } from './canonical.ts'

/**
 * One credential of Gaia-X Tagus (22.10), as evidence about an organisation: it never signs anybody in, since nothing in such a document says
 * who presents it. Its time is not judged here.
 * @throws {LoginError} `upstream_rejected`, `upstream_unavailable`
 */
export async function tagusCredential(vc: JsonObject, contexts: Contexts, checking: OneChecking): Promise<Evidence> {
  const { ports, deviations } = checking
  const { proof: proofs, ...given } = vc
  const [proof, ...others] = listOf(proofs)
  if (!isObject(proof) || others.length > 0) throw refusal('a Tagus credential has no proof, or several')
  const issuer = idOf(given['issuer'])
  if (issuer === undefined) throw refusal('a Tagus credential names no issuer')
  // Whom nobody trusts is not asked.
  if (!ports.allowed(issuer)) throw refusal(`${printable(issuer)} is no issuer of this connector`)
  const { quads, document } = await canonical(given, contexts, deviations)
  const what = 'a Tagus credential'
  const by = { purpose: 'assertionMethod', deviations, what } as const
  const key = await signedByDid(signatureOf(proof, quads), issuer, by, ports)
  return {
    format: 'tagus',
    ...saidIn(document, what),
    // The compliance services of 22.10 hashed first what `JSON.stringify` made of a credential, later its canonical form.
    digests: [JSON.stringify(vc), canonicalJson(vc), canonicalJson(given)].map((text) => hash('sha256', text, 'hex')),
    issuer: { id: issuer, by: 'did', ...(await certificateOf(key, ports)) },
    leniencies: [...deviations.taken],
  }
}

/**
 * Tagus signs `BASE64URL(header) . hex(SHA-256(canonical form without proof))`, which is not what JsonWebSignature2020 says: the options of the
 * proof, so its time, purpose and `verificationMethod`, are not signed. The latter is a hint for finding the key, and has to be the issuer's.
 */
function signatureOf(proof: JsonObject, quads: string): Signed {
  const { type, jws, verificationMethod, proofPurpose } = proof
  if (type !== 'JsonWebSignature2020' || proofPurpose !== 'assertionMethod' || typeof jws !== 'string')
    throw refusal('the proof of a Tagus credential is of another kind')
  const [head = '', body, tail = '', ...more] = jws.split('.')
  const header = jsonOf(bytesOf(head)?.toString('utf8') ?? '')
  const { alg, b64, crit, ...rest } = isObject(header) ? header : {}
  const plain = b64 === false && JSON.stringify(crit) === '["b64"]' && Object.keys(rest).every((name) => name === 'typ')
  const signature = bytesOf(tail)
  if (body !== '' || more.length > 0 || alg !== 'PS256' || !plain || !signature)
    throw refusal('the signature of a Tagus credential is none in the way of Gaia-X (PS256, detached)')
  const text = `${head}.${hash('sha256', quads, 'hex')}`
  const kid = textOf(verificationMethod)
  // Without a fragment it would name the issuer and no key.
  return {
    kid: kid === undefined || splitDid(kid).fragment === '' ? undefined : kid,
    isBy: (jwk) => isTextSignedBy({ text, signature }, jwk, 'PS256'),
  }
}

/** A compliance credential speaks of several at once: then their list is what it claims, and no one of them is its subject. */
function saidIn(document: JsonObject, what: string): Omit<Evidence, 'format' | 'issuer' | 'leniencies'> {
  const subjects = listOf(document['credentialSubject'])
  const each = subjects.map((credentialSubject) => readVc({ ...document, credentialSubject }, what))
  const [first] = each
  if (!first) throw refusal(`${what} is about nobody`)
  const { id, window, status } = first
  return {
    types: [...new Set(each.flatMap(({ types }) => types))],
    ...(id !== undefined && { id }),
    ...(each.length === 1 && first.subject !== undefined && { subject: first.subject }),
    claims: each.length === 1 ? first.claims : { credentialSubject: subjects },
    ...window,
    status: bitstringStatus(status),
  }
}
