import { generateKeyPairSync, sign } from 'node:crypto'
import type { ClientConfig } from '../../../config/clients.ts'
import type { Check } from '../../../core/ports.ts'
import { LISTENER } from '../print/keystone.ts'
import { type Answer, type Asked, bad, good, note, shown } from './ask.ts'

/** Nobody: who is found by this name was made by a token that the gateway did not sign. */
const UNSIGNED = 'lotse-check-unsigned'
const UNGUARDED = 'Keystone answers by itself: the web server does not guard this path; include the printed Apache file'
const STRANGER = 'https://nobody.invalid/auth/websso/'
/** Redirects inside Apache before it sends somebody to the gateway: with several providers it goes over its own address. */
const HOPS = 3

const federation = ({ identityProvider, protocol }: Asked['config']) =>
  `identity_providers/${identityProvider}/protocols/${protocol}`

/** Bearer tokens that nobody may be let in by: no token at all, one that says it is not signed, one signed by a key of our own. */
export async function bearer(asked: Asked, now: number): Promise<readonly Check[]> {
  const path = `/OS-FEDERATION/${federation(asked.config)}/auth`
  for (const [what, token] of strangersTokens(asked, now)) {
    const answer = await asked.ask(path, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
    const wrong = notRefused(answer, what)
    if (wrong !== undefined) return [bad('bearer', wrong)]
  }
  return [good('bearer', 'the web server refuses what the gateway did not sign')]
}

function notRefused(answer: Answer | string, what: string): string | undefined {
  if (typeof answer === 'string') return answer
  if (answer.status === 201)
    return `ANYBODY CAN BECOME ANYBODY: it takes ${what}; the web server verifies nothing. Delete the user ${UNSIGNED}`
  if (answer.error !== undefined) return UNGUARDED
  if (answer.status === 401) return undefined
  if ([302, 303].includes(answer.status))
    return 'the web server sends a program with a token to the sign-in page; write AuthType auth-openidc, or oauth20'
  return `the web server answers ${answer.status} to ${what}, and not 401; its error log says why`
}

function strangersTokens(
  { issuer, audience }: Asked,
  now: number,
): readonly (readonly [what: string, token: string])[] {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const who = { sub: UNSIGNED, preferred_username: UNSIGNED }
  const claims = part({ iss: issuer, aud: audience, ...who, iat: now, exp: now + 60 })
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signed = `${part({ alg: 'ES256', typ: 'at+jwt' })}.${claims}`
  const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return [
    ['what is no token', 'lotse-check'],
    ['a token with alg none', `${part({ alg: 'none' })}.${claims}.`],
    ["a token signed by a stranger's key", `${signed}.${signature.toString('base64url')}`],
  ]
}

/** Both ways by which a dashboard sends people: by protocol alone, as older ones do, and by identity provider. */
export async function websso(asked: Asked): Promise<readonly Check[]> {
  const { config } = asked
  const origin = encodeURIComponent(config.dashboards[0] ?? LISTENER)
  const ways = [
    ['websso', `/auth/OS-FEDERATION/${federation(config)}/websso?origin=${origin}`],
    ['websso by protocol', `/auth/OS-FEDERATION/websso/${config.protocol}?origin=${origin}`],
  ] as const
  return await Promise.all(
    ways.map(async ([check, path]) => {
      const to = await sentTo(asked, path)
      if (!(to instanceof URL)) return bad(check, to)
      const wrong = asksWrongly(asked, to)
      return wrong === undefined ? good(check, `asks the gateway as ${asked.audience}`) : bad(check, wrong)
    }),
  )
}

/** Where a browser ends up; a sentence where that is nowhere. */
async function sentTo(asked: Asked, path: string): Promise<URL | string> {
  const own = new URL(asked.api)
  // mod_auth_openidc answers 401 to who does not look like a browser.
  const browser = { headers: { accept: 'text/html' } }
  let answer = await asked.ask(path, browser)
  for (let hops = 0; hops < HOPS; hops += 1) {
    if (typeof answer === 'string') return answer
    if (answer.error !== undefined) return UNGUARDED
    const location = answer.headers.get('location')
    if (location === null || !URL.canParse(location, own))
      return `the web server answers ${answer.status} and sends nobody to the gateway`
    const to = new URL(location, own)
    if (to.origin !== own.origin) return to
    answer = await asked.ask(relative(asked, to), browser)
  }
  return 'the web server sends people in a circle'
}

/** A path as `ask` takes it: below the API, or up from there. */
function relative({ api }: Asked, to: URL): string {
  const depth = new URL(api).pathname.split('/').filter(Boolean).length
  return `${'/..'.repeat(depth)}${to.pathname}${to.search}`
}

/** Whether the gateway would answer this request; it says itself what it refuses, but only to a person. */
function asksWrongly({ world, issuer, audience }: Asked, to: URL): string | undefined {
  if (`${to.origin}${to.pathname}` !== `${issuer}/auth`)
    return `it sends people to ${shown(to.origin + to.pathname)} and not to the gateway; correct OIDCProviderMetadataURL`
  const asks = (name: string) => to.searchParams.get(name) ?? ''
  const client = world.clients.find(({ id }) => id === asks('client_id'))
  if (asks('client_id') !== audience)
    return `it calls itself ${shown(asks('client_id'))}; OIDCClientID has to be ${audience}, as the target's audience is`
  if (client === undefined) return `the configuration has no client ${audience}; lotse print says what to write`
  const scopes = asks('scope').split(' ')
  const missing = ['openid', 'profile'].filter((scope) => !scopes.includes(scope))
  if (missing.length > 0) return `it does not ask for ${missing.join(', ')}; write OIDCScope "openid email profile"`
  if (!client.redirectUris.includes(asks('redirect_uri')))
    return `it takes answers at ${shown(asks('redirect_uri'))}, which redirectUris of the client ${audience} does not have`
  return wrongKind(client, asks)
}

function wrongKind({ id, grants, pkce }: ClientConfig, asks: (name: string) => string): string | undefined {
  const kind = asks('response_type')
  const grant = kind === 'id_token' ? 'implicit' : 'code'
  if (!grants.includes(grant)) return `it asks for ${shown(kind)}, and the client ${id} may not; add ${grant} to grants`
  if (kind === 'id_token' && asks('response_mode') !== 'form_post')
    return 'it asks for an ID token in the address; write OIDCResponseMode form_post'
  if (kind === 'code' && pkce === 'required' && asks('code_challenge_method') !== 'S256')
    return `it asks without PKCE, and the client ${id} must have it; write OIDCPKCEMethod S256`
  return undefined
}

/**
 * Which dashboards may take tokens. Keystone looks at the dashboard before it looks for the identity provider, so that one that
 * does not exist shows it without a person: 401 for a stranger, 404 for a dashboard that it trusts.
 */
export async function dashboards(asked: Asked): Promise<readonly Check[]> {
  const trusts = async (origin: string) => {
    const path = `/auth/OS-FEDERATION/identity_providers/lotse-check/protocols/${asked.config.protocol}/websso`
    const answer = await asked.ask(`${path}?origin=${encodeURIComponent(origin)}`)
    return typeof answer === 'string' ? undefined : answer.error?.status
  }
  if ((await trusts(STRANGER)) !== 401)
    return [note('dashboards', 'which ones are trusted cannot be asked without a person here')]
  const add = (origin: string) => `is not trusted; add trusted_dashboard = ${origin} to [federation]`
  const configured = asked.config.dashboards.map(async (origin) =>
    (await trusts(origin)) === 404 ? good('dashboard', origin) : bad('dashboard', `${origin} ${add(origin)}`),
  )
  const listener =
    (await trusts(LISTENER)) === 404
      ? good('v3websso', LISTENER)
      : note('v3websso', `${LISTENER} ${add(LISTENER)}, or openstack cannot sign in by browser`)
  return [...(await Promise.all(configured)), listener]
}
