import type { Evidence, Json } from './credential.ts'
import { valuesAt } from './dcql.ts'
import { isNumber } from './gaia-x.ts'
import { isOwn } from './issuers.ts'
import type { Asked } from './options.ts'

/** A credential about an organisation from an issuer that may say it, within its time. */
export interface Vouched {
  readonly asked: Asked
  readonly credential: Evidence
  /** Said by the organisation itself: it links others, and vouches for nothing. */
  readonly own: boolean
}

/** What is known of an organisation. */
export interface Organisation {
  /** A did, or the https URL of an issuer. */
  readonly id: string
  readonly facts: Readonly<Partial<Record<Fact, readonly string[]>>>
  readonly by: readonly Vouched[]
}

export type Fact = 'name' | 'vatId' | 'label'

/** What Gaia-X calls these, in the words of Loire and of Tagus. */
const words: Readonly<Record<Fact, readonly string[]>> = {
  name: ['gx:legalName', 'legalName', 'schema:name', 'gx:name', 'name'],
  vatId: ['gx:vatID', 'vatID'],
  label: ['gx:labelLevel', 'labelLevel'],
}

/** What the credentials say about one organisation; those about others are left out. */
export function organisationOf(id: string, all: readonly Vouched[]): Organisation {
  const by = all.filter((each) => isAbout(id, each, all))
  const facts: Partial<Record<Fact, readonly string[]>> = {}
  for (const fact of ['name', 'vatId', 'label'] as const) {
    // What it says of itself is no fact.
    const said = by.flatMap(({ asked, credential, own }) => (own ? [] : factIn(fact, asked, credential)))
    if (said.length > 0) facts[fact] = [...new Set(said)]
  }
  return { id, facts, by }
}

/** Whether somebody else vouches for it, by more than a number that anybody may ask for. */
export const isVouchedFor = ({ by }: Organisation) =>
  by.some(({ own, credential }) => !own && !credential.types.every(isNumber))

/**
 * Whether a credential is about an organisation: its subject is, or it lists by its digest what the organisation itself has said, or it is listed
 * beside that. What has a list is held to it: the name of a Gaia-X label is what whoever asked for it wanted, and could be another's.
 */
function isAbout(id: string, { credential, own }: Vouched, all: readonly Vouched[]): boolean {
  if (own) return credential.issuer.id === id
  const listed = listedIn(credential)
  if (listed.length > 0) return listsOwn(id, listed, all)
  if (credential.subject !== undefined && isOwn(id, credential.subject)) return true
  return all.some((each) => {
    const beside = each.own ? [] : listedIn(each.credential)
    return isListed(credential, beside) && listsOwn(id, beside, all)
  })
}

const listsOwn = (id: string, listed: readonly string[], all: readonly Vouched[]) =>
  all.some(({ own, credential }) => own && credential.issuer.id === id && isListed(credential, listed))

const isListed = ({ digests = [] }: Evidence, listed: readonly string[]) =>
  digests.some((each) => listed.includes(each))

/** SHA-256 digests, in lower-case hex, of what a label or a compliance credential was given for. */
function listedIn({ claims }: Evidence): readonly string[] {
  const entries = [
    claims,
    claims['gx:compliantCredentials'],
    claims['compliantCredentials'],
    claims['credentialSubject'],
  ].flat()
  return entries.flatMap((each) => {
    if (typeof each !== 'object' || each === null) return []
    const {
      'gx:digestSRI': prefixed,
      digestSRI,
      'gx:integrity': tagus,
      integrity,
    } = each as { readonly [name: string]: Json }
    return [prefixed, digestSRI, tagus, integrity].flatMap((text) => (typeof text === 'string' ? digestsIn(text) : []))
  })
}

/** The SHA-256 digest of a text as `sha256-…`: base64 as the W3C has it, or hex as Gaia-X writes. */
function digestsIn(text: string): readonly string[] {
  const [, value] = /^sha256-([A-Za-z0-9+/=_-]{43,64})$/.exec(text) ?? []
  if (value === undefined) return []
  return [/^[0-9a-f]{64}$/i.test(value) ? value.toLowerCase() : Buffer.from(value, 'base64').toString('hex')]
}

function factIn(fact: Fact, { facts }: Asked, { claims }: Evidence): readonly string[] {
  // A configuration that says what becomes what means nothing else.
  const paths = facts ? [facts[fact] ?? []] : words[fact].map((name) => [name])
  return paths
    .filter((path) => path.length > 0)
    .flatMap((path) => valuesAt(claims, path).flat())
    .filter((value): value is string => typeof value === 'string')
}
