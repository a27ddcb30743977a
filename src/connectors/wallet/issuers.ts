import type { Credential, Issuer } from './credential.ts'
import type { Asked, IssuerEntry, WalletConfig } from './options.ts'

/** Who stands on a list of the configuration; undefined where it could not be read yet. */
export type Lists = (name: string) => ReadonlySet<string> | undefined

/** An entry of `issuedBy` that names somebody. */
export type Named = Exclude<IssuerEntry, string>

/** The entry by which an issuer may issue something; undefined where nobody trusts it for that. */
export function entryFor(asked: Pick<Asked, 'issuedBy'>, issuer: Issuer, lists: Lists): Named | undefined {
  return asked.issuedBy.find((entry): entry is Named => typeof entry === 'object' && fits(entry, issuer, lists))
}

/** Whether an entry takes an issuer without naming it. None of them has an anchor, so that no certificate makes anybody it. */
export const takes = (
  { issuedBy }: Pick<Asked, 'issuedBy'>,
  word: 'organisations' | 'itself',
  { by }: Issuer,
): boolean => issuedBy.includes(word) && by !== 'x5c'

function fits({ id, anchor, list }: Named, issuer: Issuer, lists: Lists): boolean {
  // Whoever is named without an anchor is known by her own domain. A certificate is another's word: of an anchor that was trusted for
  // something else it could name anybody.
  if (anchor === undefined ? issuer.by === 'x5c' : issuer.anchor !== anchor) return false
  if (id !== undefined && issuer.id !== id) return false
  return list === undefined || (lists(list)?.has(issuer.id) ?? false)
}

/** What was trusted, in the words of the configuration. */
export function entryText({ id, anchor, list }: Named): string {
  return [
    ...(id === undefined ? [] : [`it is named`]),
    ...(anchor === undefined ? [] : [`its certificate chains to the anchor ${anchor}`]),
    ...(list === undefined ? [] : [`it is on the list ${list}`]),
  ].join(', ')
}

/**
 * Whether a name is an organisation's own: the organisation itself, a fragment of its DID, or something that lies where its `did:web` document
 * does. Who has `did:web:host:path` has what is below that path, and nothing else of the host.
 */
export function isOwn(organisation: string, name: string): boolean {
  if (name === organisation || name.startsWith(`${organisation}#`)) return true
  const home = homeOf(organisation)
  return (
    home !== undefined && (name === home.slice(0, -1) || name.startsWith(home)) && !/\/\.\.?(\/|$)|%2e|\\/i.test(name)
  )
}

/** The address below which everything is an organisation's; ends in `/`. @see did:web method specification, "Read (Resolve)" */
function homeOf(organisation: string): string | undefined {
  if (!organisation.startsWith('did:web:')) return undefined
  const [host = '', ...path] = organisation.slice('did:web:'.length).split(':')
  const text = `https://${host.replace(/%3a/i, ':')}/${path.map((each) => `${each}/`).join('')}`
  return URL.canParse(text) && new URL(text).href === text ? text : undefined
}

/** Whether an issuer may say of somebody that she belongs to an organisation. */
export function maySpeakFor(issuer: Issuer, organisation: string, entry: Named | undefined): boolean {
  if (isOwn(issuer.id, organisation)) return true
  const others = entry?.speaksFor
  return others === 'anybody' || (others?.includes(organisation) ?? false)
}

/** Whose keys may be asked for, so that no stranger's address is: of dids and https issuers, those whom the configuration trusts for anything. */
export function fetchable(config: Pick<WalletConfig, 'credentials'>, lists: Lists): (id: string) => boolean {
  const open = config.credentials.some(asksAnybody)
  const named = namedIn(config, lists)
  return (id) => open || named(id)
}

/** Whether an issuer is written down, in the configuration or on one of its lists. */
export function namedIn(config: Pick<WalletConfig, 'credentials'>, lists: Lists): (id: string) => boolean {
  const entries = config.credentials.flatMap(({ issuedBy }) => issuedBy.filter((entry) => typeof entry === 'object'))
  const named = new Set(entries.flatMap(({ id }) => id ?? []))
  const listed = entries.flatMap(({ list }) => list ?? [])
  return (id) => named.has(id) || listed.some((list) => lists(list)?.has(id) ?? false)
}

/**
 * Whether keys of issuers that nobody wrote down have to be asked for: which organisations there are is said by what comes with the answer,
 * and a DID's document names the certificate that chains to an anchor. An SD-JWT VC has its certificate with it.
 */
export function asksAnybody({ issuedBy, format }: Pick<Asked, 'issuedBy' | 'format'>): boolean {
  return issuedBy.some((entry) =>
    typeof entry === 'string' ? true : entry.id === undefined && entry.list === undefined && format !== 'dc+sd-jwt',
  )
}

/** Why time does not allow a credential, or the certificate of its key; undefined where it does. @param skew seconds */
export function outOfTime(
  { validFrom, validUntil, issuer }: Pick<Credential, 'validFrom' | 'validUntil' | 'issuer'>,
  now: number,
  skew: number,
): string | undefined {
  if (validFrom !== undefined && validFrom > now + skew) return 'is not valid yet'
  if (validUntil !== undefined && validUntil <= now - skew) return 'has expired'
  // ICAM: a credential has expired when the certificate of its signature has.
  if (issuer.certifiedUntil !== undefined && issuer.certifiedUntil <= now - skew)
    return 'was signed by a key whose certificate has expired'
  return undefined
}
