import { LoginError } from '../../core/errors.ts'
import type { Subject } from '../../core/subject.ts'
import { readClaims, readSubjectId } from '../claims.ts'
import type { Json } from './credential.ts'
import { type Found, valuesAt } from './dcql.ts'
import type { WalletConfig } from './options.ts'
import type { Judged } from './trust.ts'

/** Claims that the gateway says itself; a credential cannot. */
const own = /^(org|credential)\./

/** Names that one issuer gives once. Where several may issue, each could give another's: they are left out, and rules see who issued. */
const perIssuer = new Set(['preferred_username', 'email', 'email_verified'])

/** A subject, and how long what it rests on is good. */
export interface Named {
  readonly subject: Subject
  /** Unix seconds at which the first of its credentials, or the certificate of its key, comes to its end; absent where none does. */
  readonly validUntil?: number
}

/**
 * The person of whom credentials speak. Claims of the first count where two say the same; `org.did`, `org.name`, `org.vatId` and `org.label` are
 * what is known of her organisation, `credential.issuer` and `credential.type` are of the credential that names her.
 * @param now Unix seconds: a presentation is made at the moment of the sign-in
 * @throws {LoginError} `claims_unusable`
 */
export function subjectFrom(judged: Judged, config: Pick<WalletConfig, 'id' | 'credentials'>, now: number): Named {
  const [first] = judged.persons
  const { claims, records } = readClaims(claimsOf(judged), hasOneIssuer(config) ? [] : [...perIssuer])
  const { acr } = first.asked
  const subject: Subject = {
    connector: config.id,
    id: idOf(first),
    claims,
    records,
    authTime: now,
    ...(acr !== undefined && { acr }),
  }
  const ends = judged.rests.flatMap(({ validUntil, issuer }) => [validUntil ?? [], issuer.certifiedUntil ?? []].flat())
  return { subject, ...(ends.length > 0 && { validUntil: Math.min(...ends) }) }
}

/**
 * The person's name for good: the issuer, and beside it the key of her wallet or the configured claim. Never a name, which others have too. The
 * kinds have prefixes of their own, and an issuer ends at the first `!`, so that no two people could be called alike.
 */
function idOf({ asked, credential }: Found): string {
  const { issuer, holder = '' } = credential
  // Without `iss` a certificate's subject is the issuer's name, which another anchor may give to another.
  const name = /^(did|https):/.test(issuer.id) ? issuer.id : `${issuer.anchor}/${issuer.id}`
  const scope = name.replaceAll('%', '%25').replaceAll('!', '%21')
  if (asked.subject === 'holder') return `holder:${scope}!${holder}`
  const path = asked.subject.claim
  const label = path.join('/')
  const [value, ...more] = valuesAt(credential.claims, path)
  if (more.length > 0) throw unusable(label, 'has several values; it is what identifies the person')
  return `claim:${label.replaceAll('%', '%25').replaceAll(':', '%3a')}:${scope}!${readSubjectId({ [label]: value }, label)}`
}

/** Whether all people of a connector come from one issuer, which is named. */
function hasOneIssuer({ credentials }: Pick<WalletConfig, 'credentials'>): boolean {
  const entries = credentials.flatMap(({ about, issuedBy }) => (about === 'person' ? issuedBy : []))
  const ids = new Set(entries.map((entry) => (typeof entry === 'object' ? entry.id : undefined)))
  return ids.size === 1 && !ids.has(undefined)
}

function claimsOf({ persons, organisation }: Judged): Readonly<Record<string, Json>> {
  const claims: Record<string, Json> = Object.create(null)
  for (const { credential } of persons)
    for (const [name, value] of Object.entries(credential.claims)) {
      if (own.test(name)) throw unusable(name, 'is what the gateway says itself')
      if (!(name in claims)) claims[name] = value
    }
  const { issuer, types } = persons[0].credential
  claims['credential.issuer'] = issuer.id
  claims['credential.type'] = types
  if (!organisation) return claims
  claims['org.did'] = organisation.id
  for (const [fact, values] of Object.entries(organisation.facts)) claims[`org.${fact}`] = values
  return claims
}

const unusable = (claim: string, why: string) =>
  new LoginError('claims_unusable', `the claim ${claim.slice(0, 80)} ${why}`, {
    facts: { claim: claim.slice(0, 80), why },
  })
