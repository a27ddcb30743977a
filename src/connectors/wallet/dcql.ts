import { LoginError } from '../../core/errors.ts'
import type { Credential, Json } from './credential.ts'
import { typeName } from './gaia-x.ts'
import type { Asked, WalletConfig } from './options.ts'

/** What a wallet is asked for. @see OpenID4VP 1.0 section 6 */
export interface DcqlQuery {
  readonly credentials: readonly CredentialQuery[]
  readonly credential_sets?: readonly { readonly options: readonly (readonly string[])[]; readonly required: boolean }[]
}

interface CredentialQuery {
  readonly id: string
  readonly format: string
  readonly meta: { readonly vct_values: readonly string[] } | { readonly type_values: readonly (readonly string[])[] }
  readonly claims?: readonly {
    readonly path: readonly (string | null)[]
    readonly values?: readonly (string | number | boolean)[]
  }[]
  readonly trusted_authorities?: readonly { readonly type: 'aki'; readonly values: readonly string[] }[]
}

/** One answer of a wallet, to one of the things that it was asked for. */
export interface Answered {
  readonly asked: Asked
  readonly presentation: string
}

/** A credential, and as what it was asked for. */
export interface Found {
  readonly asked: Asked
  readonly credential: Credential
}

/** Characters of one presentation. */
const LONGEST = 256 * 1024

/** What a query is made of. */
export type Query = Pick<WalletConfig, 'credentials' | 'sets' | 'trustedAuthorities'>

/**
 * The query of a configuration.
 * @param keyIds of an anchor's certificates, base64url; empty where they have none
 */
export function queryOf(config: Query, keyIds: (anchor: string) => readonly string[]): DcqlQuery {
  const asked = config.credentials.filter(({ from }) => from !== 'operator')
  const sets = setsOf(config)
  return {
    credentials: asked.map((each) => ({
      id: each.id,
      format: each.format,
      meta:
        each.format === 'dc+sd-jwt'
          ? { vct_values: each.types }
          : { type_values: each.types.map((type) => ['VerifiableCredential', type]) },
      ...(each.claims.length > 0 && { claims: each.claims.map((claim) => claimQuery(each, claim)) }),
      ...authorities(config, each, keyIds),
    })),
    ...(sets.every(({ required, options }) => required && options.length === 1)
      ? {}
      : { credential_sets: sets.map(({ options, required }) => ({ options, required })) }),
  }
}

/** Paths begin at the top of the credential: of an SD-JWT that is its claims, of a VC what holds `credentialSubject`. */
function claimQuery({ format }: Asked, { path, values }: Asked['claims'][number]) {
  return { path: format === 'dc+sd-jwt' ? path : ['credentialSubject', ...path], ...(values && { values }) }
}

/** Said only where anchors decide alone: else a wallet would keep back what another issuer of the list vouches for. */
function authorities(
  { trustedAuthorities }: Query,
  { issuedBy }: Asked,
  keyIds: (anchor: string) => readonly string[],
): Pick<CredentialQuery, 'trusted_authorities'> {
  const each = issuedBy.map((issuer) =>
    typeof issuer === 'object' && issuer.anchor !== undefined ? keyIds(issuer.anchor) : [],
  )
  if (trustedAuthorities === 'off' || each.some((ids) => ids.length === 0)) return {}
  return { trusted_authorities: [{ type: 'aki', values: [...new Set(each.flat())] }] }
}

/** What has to be answered together. Evidence that the operator may have brought is nowhere required of the wallet. */
function setsOf({ credentials, sets }: Query) {
  if (sets)
    return sets.map(({ anyOf, need }) => ({
      options: anyOf,
      required: need === 'required' && !isEvidence(credentials, anyOf),
    }))
  return credentials
    .filter(({ from }) => from !== 'operator')
    .map(({ id, need, from }) => ({ options: [[id]], required: need === 'required' && from === 'wallet' }))
}

const isEvidence = (credentials: Query['credentials'], anyOf: readonly (readonly string[])[]) =>
  anyOf.every((option) => option.every((id) => credentials.find((each) => each.id === id)?.from === 'either'))

/**
 * What a wallet answered, held against what it was asked.
 * @param vpToken as it was in the response, already JSON
 * @throws {LoginError} `upstream_rejected`: something was not asked for, came twice, is no JWT, or not enough came
 * @see OpenID4VP 1.0 sections 6.4.2 and 8.1
 */
export function answers(config: Query, vpToken: unknown): readonly Answered[] {
  if (typeof vpToken !== 'object' || vpToken === null || Array.isArray(vpToken))
    throw rejected('vp_token is no object by the names of the query')
  const asked = new Map(config.credentials.filter(({ from }) => from !== 'operator').map((each) => [each.id, each]))
  const answered = Object.entries(vpToken).map(([id, value]): Answered => {
    const one = asked.get(id)
    if (!one) throw rejected('it holds a credential that was not asked for')
    return { asked: one, presentation: single(id, value) }
  })
  const unmet = unmetSet(
    config,
    answered.map((each) => each.asked.id),
  )
  if (unmet) throw rejected(`none of ${unmet.options.map((option) => option.join(' with ')).join(', ')} came`)
  return answered
}

/** What has to be answered together and is not; undefined where all is well. */
export function unmetSet(config: Query, answered: readonly string[]) {
  const got = new Set(answered)
  return setsOf(config).find(
    ({ options, required }) => required && !options.some((option) => option.every((id) => got.has(id))),
  )
}

/** The one presentation of a query: `multiple` is never asked for. */
function single(id: string, value: unknown): string {
  if (!Array.isArray(value) || value.length !== 1) throw rejected(`${id} is not one presentation in a list`)
  const [presentation] = value as readonly unknown[]
  if (typeof presentation === 'object' && presentation !== null)
    // Gaia-X Tagus: its presentations are unsigned envelopes, and whoever has seen one can send it.
    throw rejected(
      `${id} is JSON-LD, which says nothing about who presents it; it counts as evidence about organisations alone`,
    )
  if (typeof presentation !== 'string' || presentation.length > LONGEST)
    throw rejected(`${id} is no text, or longer than ${LONGEST} characters`)
  if (!presentation.includes('.')) throw rejected(`${id} is no JWT; mdoc is not read here`)
  return presentation
}

/**
 * The credentials of the answers, each as what it was asked for: the type has to be one that was asked for, and the claims have to be
 * there with the values that were wanted. A presentation of several (`vp+jwt`) holds one that it was asked for, and beside it none but
 * credentials about organisations.
 * @throws {LoginError} `upstream_rejected`
 */
export function matched(
  config: Query,
  answered: readonly { readonly asked: Asked; readonly credentials: readonly Credential[] }[],
): readonly Found[] {
  return answered.flatMap(({ asked, credentials }) => {
    const [credential, ...more] = credentials.filter((each) => each.format === asked.format && isOfType(asked, each))
    if (!credential) throw rejected(`${asked.id} is none of the types that were asked for`)
    if (more.length > 0) throw rejected(`${asked.id} came more than once in one presentation`)
    const unmet = unmetClaim(asked, credential)
    if (unmet) throw rejected(`${asked.id} lacks ${unmet}`)
    const beside = credentials.filter((each) => each !== credential).map((each) => attached(config, each))
    return [{ asked, credential }, ...beside]
  })
}

/** What a holder attached: evidence about an organisation that the configuration knows. */
function attached({ credentials }: Query, credential: Credential): Found {
  const asked = credentials.find(
    (each) => each.about === 'organisation' && each.from !== 'operator' && isOfType(each, credential),
  )
  if (!asked) throw rejected('it holds a credential that was not asked for')
  const unmet = unmetClaim(asked, credential)
  if (unmet) throw rejected(`${asked.id} lacks ${unmet}`)
  return { asked, credential }
}

/** Whether a credential is of a type that was asked for; of an SD-JWT letter by letter. */
export function isOfType(
  { types, format }: Pick<Asked, 'types' | 'format'>,
  credential: Pick<Credential, 'types'>,
): boolean {
  const name = format === 'dc+sd-jwt' ? (type: string) => type : typeName
  const wanted = new Set(types.map(name))
  return credential.types.some((type) => wanted.has(name(type)))
}

/** The first claim that is not there, or has another value than was wanted; undefined where all is well. */
export function unmetClaim(
  { claims }: Pick<Asked, 'claims'>,
  credential: Pick<Credential, 'claims'>,
): string | undefined {
  const unmet = claims.find(({ path, values }) => {
    const found = valuesAt(credential.claims, path)
      .flat()
      .filter((each) => each !== null)
    return (
      found.length === 0 || (values !== undefined && !found.some((each) => values.some((wanted) => wanted === each)))
    )
  })
  return unmet?.path.map((name) => name ?? '*').join('/')
}

/** What a path selects; `null` in it selects each element of a list. @see OpenID4VP 1.0 section 7.1.1 */
export function valuesAt(claims: Credential['claims'], path: readonly (string | null)[]): readonly Json[] {
  let here: readonly Json[] = [claims]
  for (const name of path)
    here = here.flatMap((each): readonly Json[] => (name === null ? elements(each) : member(each, name)))
  return here
}

const elements = (value: Json): readonly Json[] => (Array.isArray(value) ? value : [])

function member(value: Json, name: string): readonly Json[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return []
  const found = (value as { readonly [name: string]: Json })[name]
  return found === undefined ? [] : [found]
}

const rejected = (why: string) => new LoginError('upstream_rejected', `the wallet's answer was refused: ${why}`)
