import { LoginError } from '../../core/errors.ts'
import type { Credential, Evidence } from './credential.ts'
import { type Found, isOfType, unmetClaim, valuesAt } from './dcql.ts'
import { entryFor, entryText, isOwn, type Lists, maySpeakFor, type Named, outOfTime, takes } from './issuers.ts'
import type { Asked, WalletConfig } from './options.ts'
import { isVouchedFor, type Organisation, organisationOf, type Vouched } from './organisations.ts'

/** Seconds by which an issuer's clock may be wrong. */
export const SKEW = 60

/** By what credentials are judged. */
export interface Policy {
  readonly config: Pick<WalletConfig, 'credentials' | 'require'> & { readonly lenient: readonly string[] }
  readonly lists: Lists
  /** What the operator brought about organisations, after its signatures were checked. */
  readonly evidence: readonly Evidence[]
  /** What of it its issuers have taken back: it counts no more, and what it had replaced stays replaced. */
  readonly takenBack?: ReadonlySet<Evidence>
}

/** What became of the credentials of an answer. */
export interface Judged {
  /** All about the one person, in the configuration's order; the first names her. */
  readonly persons: readonly [Found, ...Found[]]
  readonly organisation?: Organisation
  /** Everything on which this rests: whoever rechecks it asks for the status of each. */
  readonly rests: readonly Evidence[]
  /** How each came to count, a sentence each. */
  readonly path: readonly string[]
}

interface Member {
  readonly found: Found
  /** To which organisation she belongs by it; undefined where it says nothing of that. */
  readonly organisation?: string
  readonly sentence: string
}

/**
 * Who presents this, and to whom she belongs: each credential has to come from an issuer that may say it, all have to be about one person, and
 * her organisation has to be the one that vouches for her. Pure; signatures, binding and status are checked before.
 * @param now Unix seconds
 * @throws {LoginError} `upstream_rejected`, with the reason for the log
 */
export function judge(policy: Policy, found: readonly Found[], now: number): Judged {
  const sentences: string[] = []
  for (const each of found) inOrder(policy, each, now)
  const about = (what: Asked['about']) =>
    ordered(
      policy,
      found.filter(({ asked }) => asked.about === what),
    )
  const brought = about('organisation').map((each) => vouchedBy(policy, each))
  const imported = evidenceOf(policy, now, sentences)
  const [first, ...more] = about('person')
  if (!first) throw rejected('no credential in it is about a person; one about an organisation signs nobody in')
  const persons = [first, ...more] as const
  onePerson(persons)
  const known = [...brought, ...imported]
  const members = persons.map((each) => member(policy, each, known))
  sentences.push(...members.map(({ sentence }) => sentence))
  const organisation = oneOrganisation(members, known)
  fulfilled(policy, { organisation, brought })
  sentences.push(...(organisation?.by.map((each) => aboutText(each, organisation.id)) ?? []))
  return {
    persons,
    ...(organisation && { organisation }),
    rests: [
      ...persons.map(({ credential }) => credential),
      ...(organisation?.by.map(({ credential }) => credential) ?? []),
    ],
    path: sentences,
  }
}

function ordered({ config }: Policy, found: readonly Found[]): readonly Found[] {
  const place = (each: Found) => config.credentials.indexOf(each.asked)
  return [...found].sort((a, b) => place(a) - place(b))
}

/** @throws {LoginError} where its time is over, or it deviates in a way that the configuration does not take */
function inOrder({ config, evidence }: Policy, { asked, credential }: Found, now: number) {
  const late = outOfTime(credential, now, SKEW)
  if (late) throw rejected(`${asked.id} ${late}`)
  // Else a wallet could keep the better one.
  if (evidence.some((other) => replaces(other, credential, now)))
    throw rejected(`${asked.id} has been replaced by a newer one`)
  const strange = credential.leniencies.filter((each) => !config.lenient.includes(each))
  if (strange.length > 0)
    throw rejected(`${asked.id} deviates from its standard, which is not allowed: ${strange.join(', ')}`)
}

/** @throws {LoginError} where its issuer may not say this */
function vouchedBy({ lists }: Policy, { asked, credential }: Found): Vouched {
  const entry = entryFor(asked, credential.issuer, lists)
  if (!entry && !takes(asked, 'itself', credential.issuer)) throw untrusted(asked, credential)
  return { asked, credential, own: !entry }
}

/** What of the operator's files counts now; of what does not, a sentence says why. */
function evidenceOf(policy: Policy, now: number, sentences: string[]): readonly Vouched[] {
  return policy.evidence.flatMap((credential): readonly Vouched[] => {
    if (policy.takenBack?.has(credential)) return []
    const asked = policy.config.credentials.filter(
      (each) => each.about === 'organisation' && each.from !== 'wallet' && isOfType(each, credential),
    )
    return asked.flatMap((each) => {
      const entry = entryFor(each, credential.issuer, policy.lists)
      const own = !entry && takes(each, 'itself', credential.issuer)
      const lacks = unmetClaim(each, credential)
      const strange = credential.leniencies.find((one) => !policy.config.lenient.includes(one))
      const against =
        outOfTime(credential, now, SKEW) ??
        (entry || own ? undefined : `is from ${credential.issuer.id}, which may not issue it`) ??
        (strange && `deviates from its standard, which is not allowed: ${strange}`) ??
        (lacks && `lacks ${lacks}`) ??
        (policy.evidence.some((other) => replaces(other, credential, now))
          ? 'has been replaced by a newer one'
          : undefined)
      if (against === undefined) return [{ asked: each, credential, own }]
      sentences.push(`evidence ${each.id} about ${credential.subject ?? 'nobody'} does not count: it ${against}`)
      return []
    })
  })
}

/** ICAM: a credential is deprecated once its issuer has made a newer one of the same id. */
const replaces = (newer: Evidence, { id, issuer, validFrom = 0 }: Evidence, now: number) =>
  id !== undefined &&
  newer.id === id &&
  newer.issuer.id === issuer.id &&
  (newer.validFrom ?? 0) > validFrom &&
  outOfTime({ ...newer, validUntil: Number.POSITIVE_INFINITY }, now, SKEW) === undefined

/**
 * Two people's credentials in one answer would give one of them what the other has.
 * One wallet may hold a key for each credential, so that another key is nothing against it where a stable claim of one issuer is the same.
 */
function onePerson(persons: readonly [Found, ...Found[]]) {
  const [first, ...more] = persons
  // Whoever has a copy of it could present it.
  for (const each of persons)
    if (each.credential.holder === undefined) throw rejected(`${each.asked.id} is not bound to who presents it`)
  for (const each of more) {
    const sameKey = each.credential.holder === first.credential.holder
    const sameName =
      each.credential.issuer.id === first.credential.issuer.id &&
      nameOf(each) !== undefined &&
      nameOf(each) === nameOf(first)
    if (!sameKey && !sameName) throw rejected(`${first.asked.id} and ${each.asked.id} are about two persons`)
  }
}

/** The stable claim of a credential that is named by one, with the claim's place; undefined where the key names its holder. */
function nameOf({ asked, credential }: Found): string | undefined {
  if (asked.subject === 'holder') return undefined
  const [value, ...more] = valuesAt(credential.claims, asked.subject.claim)
  const text = typeof value === 'string' || typeof value === 'number' ? value : undefined
  return text === undefined || more.length > 0 ? undefined : JSON.stringify([asked.subject.claim, text])
}

/** @throws {LoginError} where the issuer may not say this of a person, or not of a member of that organisation */
function member({ lists }: Policy, found: Found, known: readonly Vouched[]): Member {
  const { asked, credential } = found
  const { issuer } = credential
  const entry = entryFor(asked, issuer, lists)
  const asOrganisation =
    !entry && takes(asked, 'organisations', issuer) && isVouchedFor(organisationOf(issuer.id, known))
  if (!entry && !asOrganisation) throw untrusted(asked, credential)
  const why = entry ? entryText(entry) : 'it is an organisation that others vouch for'
  const sentence = `${asked.id} is from ${issuer.id}, which may issue it: ${why}`
  const organisation = belongsTo(found, entry)
  return organisation === undefined
    ? { found, sentence }
    : { found, organisation, sentence: `${sentence}; it makes its holder a member of ${organisation}` }
}

/** @throws {LoginError} where the claim is not there, or names an organisation that has not issued this */
function belongsTo({ asked, credential }: Found, entry: Named | undefined): string | undefined {
  const { issuer } = credential
  if (asked.memberOf === 'nobody') return undefined
  if (asked.memberOf === 'issuer') return issuer.id
  const [named, ...more] = valuesAt(credential.claims, asked.memberOf.claim).flat()
  if (typeof named !== 'string' || more.length > 0)
    throw rejected(
      `${asked.id} does not say by ${asked.memberOf.claim.join('/')} to which organisation somebody belongs`,
    )
  if (isOwn(issuer.id, named)) return issuer.id
  if (!maySpeakFor(issuer, named, entry))
    throw rejected(`${asked.id} claims membership of ${printable(named)}, for which ${issuer.id} may not speak`)
  return named
}

/** @throws {LoginError} where one person would be a member of two organisations */
function oneOrganisation(members: readonly Member[], known: readonly Vouched[]): Organisation | undefined {
  const [id, ...more] = new Set(members.flatMap(({ organisation }) => organisation ?? []))
  if (more.length > 0) throw rejected(`its credentials are from two organisations, ${id} and ${more[0]}`)
  return id === undefined ? undefined : organisationOf(id, known)
}

/** @throws {LoginError} where something is missing that has to be known, or a wallet brought what is about another organisation */
function fulfilled(
  { config }: Policy,
  { organisation, brought }: { readonly organisation: Organisation | undefined; readonly brought: readonly Vouched[] },
) {
  const name = organisation?.id ?? 'no organisation'
  const by = organisation?.by ?? []
  const foreign = brought.find((each) => !by.includes(each))
  if (foreign) throw rejected(`${foreign.asked.id} is not about ${name}, to which its holder belongs`)
  for (const asked of config.credentials)
    if (asked.about === 'organisation' && asked.need === 'required' && !by.some((each) => each.asked === asked))
      throw rejected(`${asked.id} is required, and there is none that counts about ${name}`)
  for (const fact of config.require)
    if (!organisation?.facts[fact])
      throw rejected(`org.${fact} is required, and nobody who may say it says it of ${name}`)
}

const aboutText = ({ asked, credential, own }: Vouched, organisation: string) =>
  own
    ? `${asked.id} is what ${organisation} says of itself`
    : `${asked.id} about ${organisation} is from ${credential.issuer.id}, which may issue it`

const untrusted = ({ id }: Asked, { issuer, types }: Pick<Credential, 'issuer' | 'types'>) =>
  rejected(
    `${issuer.id} (by ${issuer.by}${issuer.anchor === undefined ? '' : `, anchor ${issuer.anchor}`}) may not issue ${id} (${types.join(', ')})`,
  )

/** What came from outside, for a line of a log. */
export const printable = (text: string) =>
  text
    .slice(0, 200)
    .toWellFormed()
    .replace(/\p{Cc}/gu, '?')

const rejected = (why: string) => new LoginError('upstream_rejected', `the wallet's answer was refused: ${why}`)
