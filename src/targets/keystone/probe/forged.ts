import type { Check } from '../../../core/ports.ts'
import { type Answer, type Asked, bad, good, isObject, json, note } from './ask.ts'

/**
 * How a header is spelt so that a Keystone behind it reads a claim. WSGI makes `HTTP_OIDC_ISS` of the first two: Apache drops the
 * underscores, uWSGI's own HTTP socket does not, and who unsets the one spelling forgets the other. Then the module's own prefix.
 */
const spellings: readonly (readonly [name: string, spell: (claim: string) => string])[] = [
  ['OIDC-iss', (claim) => `OIDC-${claim.replaceAll('_', '-')}`],
  ['OIDC_iss', (claim) => `OIDC_${claim}`],
  ['OIDC-CLAIM-iss', (claim) => `OIDC-CLAIM-${claim.replaceAll('_', '-')}`],
  ['OIDC_CLAIM_iss', (claim) => `OIDC_CLAIM_${claim}`],
]

/** Nobody: who is found by this name at a Keystone was made by this check, and by a hole. */
const NOBODY = 'lotse-check-forged-claims'

const ENTERED = `a token without any sign-in, given back at once; delete the user ${NOBODY}`

const cure =
  'have Keystone read OIDC-* only (assertion_prefix = OIDC-, no HTTP_OIDC_* in remote_id_attribute and mapping), behind mod_wsgi or mod_proxy_uwsgi, never mod_proxy_http'

/** How the identity provider stands there, and whether anybody can forge claims to it: what a sign-in without any proof shows. */
export async function federated(asked: Asked): Promise<readonly Check[]> {
  const without = await signIn(asked)
  return [registered(asked, without), ...(await forgedClaims(asked, without))]
}

/** What Keystone says to somebody who names the identity provider and proves nothing. */
function registered({ config }: Asked, answer: Answer | string): Check {
  const { identityProvider, protocol } = config
  const there = `${identityProvider}, with protocol ${protocol}`
  if (typeof answer === 'string') return note('identity provider', `no answer about it: ${answer}`)
  if (answer.status === 201)
    return bad('identity provider', `${there}: anybody gets a token without any proof; correct the mapping at once`)
  const { error } = answer
  if (error?.status === 404)
    return bad('identity provider', `${error.message} Run what lotse print ${config.id} writes as register.sh`)
  if (error?.status === 403) return bad('identity provider', `${there}: it is disabled there, or always refused`)
  if (unknownMethod(answer))
    return bad('identity provider', `${there}: Keystone does not know the method; add ${protocol} to [auth] methods`)
  if (error?.status === 401) return good('identity provider', there)
  return bad('identity provider', `${there}: answered with status ${answer.status} to a sign-in without proof`)
}

function unknownMethod({ body }: Answer): boolean {
  const error = body?.['error']
  return isObject(error) && isObject(error['identity']) && Array.isArray(error['identity']['methods'])
}

/**
 * The hole that Keystone's own documentation leads into: where claims are read from `HTTP_OIDC_*`, anybody sends them as headers to
 * a path that no Apache module guards, and becomes anybody. Seen by an issuer that nobody has: where Keystone answers to it
 * otherwise than to nothing, it read it. Only where that says nothing the gateway's own issuer is tried.
 */
async function forgedClaims(asked: Asked, without: Answer | string): Promise<readonly Check[]> {
  if (typeof without === 'string' || without.error?.status !== 401 || unknownMethod(without))
    return [note('forged claims', 'cannot be tried before the identity provider is in order')]
  const found: string[] = []
  for (const [name, spell] of spellings) {
    const read = (await tryIssuer(asked, spell)) ?? (await tryPerson(asked, spell))
    if (read !== undefined) found.push(`${name} (${read})`)
  }
  if (found.length === 0) return [good('forged claims', `headers in ${spellings.length} spellings gain nothing`)]
  return [
    bad('forged claims', `ANYBODY CAN BECOME ANYBODY: it believes the request headers ${found.join(', ')}; ${cure}`),
  ]
}

type Spell = (claim: string) => string

async function tryIssuer(asked: Asked, spell: Spell): Promise<string | undefined> {
  const answer = await signIn(asked, { [spell('iss')]: 'https://nobody.invalid' })
  if (typeof answer === 'string') return undefined
  if (answer.status === 201) return ENTERED
  // A page is a web server's that keeps such headers out; only Keystone answers by its own JSON.
  return answer.error !== undefined && answer.error.status !== 401
    ? `it answers ${answer.error.status} to the issuer in it`
    : undefined
}

async function tryPerson(asked: Asked, spell: Spell): Promise<string | undefined> {
  const claims = {
    iss: asked.issuer,
    aud: asked.audience,
    sub: NOBODY,
    preferred_username: NOBODY,
    openstack_user_domain: asked.config.domain,
    openstack_projects: '[]',
  }
  const headers = Object.fromEntries(Object.entries(claims).map(([claim, value]) => [spell(claim), value]))
  const answer = await signIn(asked, headers)
  if (typeof answer === 'string') return undefined
  if (answer.status === 201) return ENTERED
  return answer.error !== undefined && answer.error.status !== 401
    ? `it answers ${answer.error.status} to the claims in it`
    : undefined
}

/** @see keystone/auth/plugins/mapped.py: a protocol is a method of /auth/tokens, too, and there no Apache module strips headers */
function signIn(asked: Asked, headers: Readonly<Record<string, string>> = {}): Promise<Answer | string> {
  const { identityProvider, protocol } = asked.config
  const identity = { methods: [protocol], [protocol]: { identity_provider: identityProvider, protocol } }
  return asked.ask('/auth/tokens', json({ auth: { identity } }, headers))
}
