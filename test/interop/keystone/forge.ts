import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { request } from 'node:https'
import { join } from 'node:path'
import { accountId } from '../../../src/core/subject.ts'
import { openRoot } from '../../../src/keys/root-secret.ts'
import { openRings } from '../../../src/keys/store-rings.ts'
import { claimsIn } from '../../support/gateway.ts'
import { tokensOf } from '../../support/sign-in.ts'
import { entrances } from './websso.ts'
import { DASHBOARD, type World } from './world.ts'

type Claims = Readonly<Record<string, unknown>>
type Sign = (typ: string, claims: Claims) => string

/** Signs by the gateway's own keys whatever a test makes up: by those of this Keystone's ring, and by the issuer's. */
export interface Forge {
  readonly own: Sign
  readonly issuer: Sign
  /** The `kid` of this Keystone's current key, as Apache fetches it. */
  readonly kid: string
  /** The public key beside it, as JSON. */
  readonly publicKey: string
}

export async function openForge({ gateway }: Pick<World, 'gateway'>): Promise<Forge> {
  const names = { own: 'keystone-cloud', issuer: 'issuer' }
  const rings = await openRings({
    store: gateway.store,
    root: await openRoot(join(gateway.folder, 'keys'), { create: 'refused' }),
    now: () => Math.floor(Date.now() / 1000),
    specs: Object.values(names).map((name) => ({ name, algs: ['ES256'] as const })),
    rsaBits: 2048,
    rotateEvery: 7_776_000,
    lead: 86_400,
    retireFor: 3600,
    mode: 'command',
  })
  const [key] = JSON.parse(rings.jwks(names.own) ?? '{}').keys
  return {
    own: (typ, claims) => rings.sign(names.own, 'ES256', typ, claims),
    issuer: (typ, claims) => rings.sign(names.issuer, 'ES256', typ, claims),
    kid: key.kid,
    publicKey: JSON.stringify(key),
  }
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Name → token: everything that has to open nothing at this Keystone, each by the key that would really have signed it. */
export async function forgeries(world: World, { own, issuer, kid, publicKey }: Forge, person: string) {
  const { gateway } = world
  const now = Math.floor(Date.now() / 1000)
  const real = await tokensOf(gateway, 'openstack', person)
  const other = await tokensOf(gateway, 'kubectl', person)
  const good = claimsIn(real.access_token)
  const { exp: _, ...endless } = good
  const logout = {
    iss: gateway.issuer,
    sub: good['sub'],
    aud: 'keystone',
    iat: now,
    exp: now + 120,
    jti: 'l-1',
    sid: 's-1',
    events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
  }
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const stranger = (claims: Claims) => {
    const text = `${encode({ alg: 'ES256', typ: 'at+jwt', kid })}.${encode(claims)}`
    return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
  }
  const symmetric = `${encode({ alg: 'HS256', typ: 'at+jwt', kid })}.${encode(good)}`
  const [head, , signature] = other.access_token.split('.')
  return {
    'an access token for another target': other.access_token,
    'the ID token of the command line': real.id_token,
    'the ID token of another client': other.id_token,
    'an ID token of the dashboard': issuer('JWT', { ...good, aud: 'keystone', nonce: 'n', sid: 's-1' }),
    'a logout token for the dashboard': issuer('logout+jwt', logout),
    'a logout token that names her, with all her claims': issuer('logout+jwt', { ...good, ...logout }),
    'a logout token for another client': issuer('logout+jwt', { ...logout, aud: 'kubectl' }),
    'an access token for this audience by the keys of the issuer': issuer('at+jwt', good),
    'one without an end by the keys of the issuer': issuer('at+jwt', endless),
    'one that ended 2 s ago': own('at+jwt', { ...good, iat: now - 600, exp: now - 2 }),
    'one of another issuer with the same key id': stranger({ ...good, iss: 'https://evil.example' }),
    'one of a stranger that says it is of this issuer': stranger(good),
    'one without an end by a stranger': stranger(endless),
    'alg none': `${encode({ alg: 'none', kid })}.${encode(good)}.`,
    'HS256 with the public key as the secret': `${symmetric}.${createHmac('sha256', publicKey).update(symmetric).digest('base64url')}`,
    'the signature of another target under the claims of this one': `${head}.${encode(good)}.${signature}`,
    'half a token': real.access_token.slice(0, -20),
    'no token': 'garbage',
  }
}

/** How headers are spelt that would like to be what Apache says. */
const spellings: readonly ((claim: string) => string)[] = [
  (claim) => `OIDC-${claim}`,
  (claim) => `OIDC-${claim.replaceAll('_', '-')}`,
  (claim) => `OIDC_${claim}`,
  (claim) => `Oidc-${claim.toUpperCase()}`,
  (claim) => `oidc-${claim}`,
  (claim) => `HTTP_OIDC_${claim.toUpperCase()}`,
  (claim) => `HTTP-OIDC-${claim}`,
  (claim) => `OIDC-CLAIM-${claim.replaceAll('_', '-')}`,
  (claim) => `OIDC_CLAIM_${claim}`,
  (claim) => `X-OIDC-${claim}`,
]

/** Requests that say by headers that somebody is `person`, and what was answered; `bearer` is somebody else's where given. */
export async function claimByHeaders(world: World, person: string, bearer?: string) {
  const sub = accountId({ connector: 'corp', id: person })
  const claims = {
    iss: world.gateway.issuer,
    sub,
    aud: 'keystone',
    preferred_username: `corp:${person}`,
    openstack_user_domain: 'corp',
    email: `${person}@corp.example`,
    groups: 'JSON:{"name":"web","domain":{"name":"corp"}}',
    openstack_projects: '[{"name":"web","domain":{"name":"corp"},"roles":[{"name":"admin"}]}]',
  }
  const method = { identity_provider: 'lotse', protocol: 'openid' }
  const identity = { identity: { methods: ['openid'], openid: method } }
  const requests = [
    { path: '/v3/auth/tokens', method: 'POST', body: JSON.stringify({ auth: identity }) },
    { path: '/v3/OS-FEDERATION/identity_providers/lotse/protocols/openid/auth', method: 'POST', body: '' },
    ...Object.values(entrances).map((path) => ({ path: `${path}?origin=${DASHBOARD}`, method: 'GET', body: '' })),
  ]
  const answers: { readonly what: string; readonly status: number; readonly text: string; readonly token: string }[] =
    []
  for (const { path, method, body } of requests)
    for (const spell of spellings) {
      const forged = Object.fromEntries(Object.entries(claims).map(([name, value]) => [spell(name), value]))
      const headers = { ...forged, REMOTE_USER: sub, 'X-Remote-User': sub, 'Remote-User': sub }
      const more = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }
      const answer = await send(world.keystone.url + path, method, { ...headers, ...more }, body)
      answers.push({ what: `${method} ${path} ${spell('sub')}`, ...answer })
    }
  return answers
}

/** One request with its header names as they are. */
function send(url: string, method: string, headers: Readonly<Record<string, string>>, body: string) {
  const length = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string; token: string }>()
  const call = request(url, { method, headers: { ...headers, ...length }, agent: false }, (answer) => {
    let text = ''
    answer.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    answer.on('error', reject)
    const token = String(answer.headers['x-subject-token'] ?? '')
    answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text, token }))
  })
  call.on('error', reject)
  call.end(body)
  return promise
}
