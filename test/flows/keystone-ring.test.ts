import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { accountId } from '../../src/core/subject.ts'
import { type Browser, browser } from '../support/browser.ts'
import { claimsIn, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, basic, CALLBACK, pickPerson } from '../support/sign-in.ts'
import { standard, standardEnv } from '../support/standard.ts'
import { chance } from '../targets/world.ts'

/*
 * Apache's modules in front of a Keystone take whatever its ring signed: neither audience nor kind is looked at. So the ring must
 * sign nothing but access tokens for this Keystone, with an end, of somebody to whom the rules give something there (law 8).
 * Held here against everything that the gateway answers with to clients that ask for whatever they can.
 */

const STEPS = process.env['SOAK'] === 'full' ? 4000 : 350
const BYE = 'http://127.0.0.1:1/bye'
const LOOPBACK = 'http://127.0.0.1/cb'

let receiver: Server
let idp: Idp
let gateway: TestGateway
const seen = new Set<string>()

/** Keeps every JWT in a text, whatever stands around it. */
function read(text: string): void {
  for (const [jwt] of decodeURIComponent(text.replaceAll('%', '%25')).matchAll(/ey[\w-]+\.ey[\w-]+\.[\w-]*/g))
    seen.add(jwt)
}

before(async () => {
  receiver = createServer(async (request, response) => {
    for await (const chunk of request) read(String(chunk))
    response.writeHead(200).end()
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/back`
  const hears = `backchannelLogout: { url: '${url}', private: true }, postLogoutRedirectUris: ['${BYE}']`
  const secret = 'auth: client_secret_basic, secret: { env: HORIZON_SECRET }'
  const extra = () => ({
    targets:
      "  - { id: second, type: keystone, url: https://second.example/v3, audience: second }\n  - { id: wide, type: oidc, audience: 'https://wide.example' }",
    clients: `
  - { id: apache, target: cloud, targets: [second, prod], accessToken: opaque, ${secret}, native: true, redirectUris: ['${LOOPBACK}'], grants: [code, refresh, implicit], introspect: true, pkce: optional, alwaysRefresh: true, ${hears} }
  - { id: everything, target: cloud, targets: [second, prod, argo, wide], ${secret}, native: true, redirectUris: ['${LOOPBACK}'], grants: [code, refresh, device, implicit], introspect: true, pkce: optional, offlineAccess: true, ${hears} }`,
  })
  ;({ idp, gateway } = await standard({ extra }))
})
after(async () => {
  receiver.closeAllConnections()
  await new Promise((resolve) => receiver.close(resolve))
  await gateway.close()
  await idp.close()
})

const { below, pick } = chance(20_261_129)
const maybe = <T extends object>(fields: T): T | Record<string, never> => (below(2) === 0 ? fields : {})
/** Mostly nothing, or a target for which the client may ask; now and then another one. */
function resource(client: string): { readonly resource?: string } {
  const its = client === 'kubectl' ? ['prod', 'argo'] : client === 'argocd' ? ['argo'] : ['cloud']
  const all = ['cloud', 'second', 'prod', 'argo', 'wide']
  const kind = below(10)
  if (kind < 5) return {}
  return { resource: `urn:lotse:target:${pick(kind === 5 || client === 'everything' ? all : its)}` }
}
const clients = ['kubectl', 'openstack', 'horizon', 'apache', 'everything', 'argocd', 'robot'] as const
const confidential: readonly string[] = ['horizon', 'apache', 'everything', 'argocd']

/** What clients were given, to be shown elsewhere. */
const held = { refresh: [] as { client: string; token: string }[], any: ['nothing'], ids: [] as string[] }

function proof(client: string): { fields: Record<string, string>; headers: Record<string, string> } {
  if (client === 'robot') return { fields: { client_id: client, client_secret: standardEnv.ROBOT_SECRET }, headers: {} }
  return confidential.includes(client)
    ? { fields: {}, headers: basic(client, standardEnv.HORIZON_SECRET) }
    : { fields: { client_id: client }, headers: {} }
}

async function post(
  path: string,
  client: string,
  fields: Record<string, string>,
  headers: Record<string, string> = {},
) {
  const own = proof(client)
  const answer = await gateway.post(path, { ...own.fields, ...fields }, { ...own.headers, ...headers })
  read(JSON.stringify(answer.body))
  const { refresh_token, id_token, access_token } = answer.body
  if (refresh_token) held.refresh.push({ client, token: refresh_token })
  if (id_token) held.ids.push(id_token)
  held.any.push(...[refresh_token, id_token, access_token].filter((token) => token !== undefined))
  return answer.body
}

const scopes = [
  ...Array(5).fill('openid profile email offline_access'),
  'openid profile email',
  'openid',
  'openid groups',
  'profile',
]

const somebody = () => browser({ stopAt: ({ href }) => href.startsWith(CALLBACK) || href.startsWith(BYE) })

async function authorize(): Promise<void> {
  const client = pick(clients)
  const [response_type, response_mode] = pick([
    ...Array<readonly [string, string]>(7).fill(['code', '']),
    ['id_token', 'form_post'],
    ['code id_token', 'form_post'],
    ['id_token token', 'form_post'],
    ['code', 'query.jwt'],
  ] as const)
  const more = { redirect_uri: CALLBACK, scope: pick(scopes), response_type, response_mode, ...resource(client) }
  const wants = maybe({ claims: JSON.stringify({ id_token: { groups: null, aud: { value: 'keystone' } } }) })
  const request = authorization(gateway, client, { ...more, ...wants, ...maybe({ nonce: 'n' }) })
  const who = somebody()
  const page = await who.get(request.url)
  const ready = page.forms.some(({ name }) => name === 'ada')
  const back = ready ? await pickPerson(who, page, pick(['ada', 'ada', 'bob', 'bob', 'carol', 'dave'])) : page
  const at = back.headers.get('location') ?? ''
  read(`${back.text} ${at}`)
  const code = at.startsWith(CALLBACK) ? new URL(at).searchParams.get('code') : back.forms[0]?.fields['code']
  if (!code) return
  const form = { grant_type: 'authorization_code', code, redirect_uri: CALLBACK, code_verifier: request.verifier }
  await post('/token', client, { ...form, ...resource(client) })
  if (below(4) > 0 && held.ids.length > 0) await leave(who)
}

async function leave(who: Browser): Promise<void> {
  const url = new URL('/logout', gateway.issuer)
  url.search = new URLSearchParams({ id_token_hint: held.ids.at(-1) ?? '', post_logout_redirect_uri: BYE }).toString()
  const asked = await who.get(url)
  read(asked.text)
  const form = asked.forms.find(({ buttons }) => buttons.some(({ name }) => name === 'logout'))
  if (form) await who.submit(asked, form, { logout: 'yes' }).catch(() => undefined)
  await gateway.app.deliver()
}

const device = async () => {
  const client = pick(['openstack', 'everything', 'kubectl'])
  const { user_code, device_code, verification_uri_complete } = await post('/device/auth', client, {
    scope: pick(scopes),
    ...resource(client),
  })
  if (!user_code || !device_code) return
  const who = somebody()
  const entry = await who.get(verification_uri_complete ?? '')
  const confirm = entry.forms.find(({ buttons }) => buttons.length > 0) ?? entry.forms[0]
  if (!confirm) return
  const page = await who.submit(entry, confirm).catch(() => entry)
  if (page.forms.some(({ name }) => name === 'ada')) await pickPerson(who, page, pick(['ada', 'bob', 'carol']))
  await post('/token', client, {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    device_code,
    ...resource(client),
  })
}

const renew = async () => {
  const one = held.refresh[below(held.refresh.length)]
  if (one)
    await post('/token', one.client, { grant_type: 'refresh_token', refresh_token: one.token, ...resource(one.client) })
}

const program = () => {
  const client = pick(['robot', 'robot', 'apache'])
  return post('/token', client, {
    grant_type: 'client_credentials',
    ...maybe({ scope: 'openid profile' }),
    ...resource(client),
  })
}

/** An answer about a token may be a signed JWT (RFC 9701): never by a Keystone's ring. */
const introspect = () => {
  const accept = { accept: pick(['application/token-introspection+jwt', 'application/jwt', 'application/json']) }
  return post('/token/introspection', pick(['apache', 'everything']), { token: pick(held.any) }, accept)
}

const userinfo = async () => {
  const headers = { authorization: `Bearer ${pick(held.any)}`, accept: pick(['application/jwt', 'application/json']) }
  read(await (await fetch(`${gateway.issuer}/me`, { headers })).text())
  read(await (await fetch(`${gateway.issuer}/userinfo`, { headers })).text())
}

const exchange = () => {
  const client = pick(clients)
  return post('/token', client, {
    grant_type: pick([
      'urn:ietf:params:oauth:grant-type:token-exchange',
      'password',
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
    ]),
    subject_token: pick(held.any),
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    assertion: pick(held.any),
    username: 'ada',
    password: 'x',
    audience: 'keystone',
    ...resource(client),
  })
}

const actions = [authorize, authorize, authorize, device, renew, renew, program, introspect, userinfo, exchange]

test(`after ${STEPS} requests of every kind, a Keystone's ring has signed access tokens for it alone, each with an end and a decision behind it`, async (t) => {
  for (let step = 0; step < STEPS; step += 1) await pick(actions)()
  const rings = ['keystone-cloud', 'keystone-second']
  const keys = await Promise.all(rings.map(async (ring) => (await fetch(`${gateway.issuer}/jwks/${ring}`)).json()))
  const kinds = new Map<string, number>()
  const issued = new Map(
    gateway.events.flatMap((event) =>
      event.event === 'token.issued' && event.jti ? [[event.jti, event] as const] : [],
    ),
  )
  for (const jwt of seen) {
    const ring = await ringOf(jwt, keys as readonly JSONWebKeySet[])
    const { typ } = decodeProtectedHeader(jwt)
    const claims = claimsIn(jwt)
    kinds.set(
      `${ring === -1 ? 'other' : 'Keystone'} ${typ}`,
      (kinds.get(`${ring === -1 ? 'other' : 'Keystone'} ${typ}`) ?? 0) + 1,
    )
    if (ring === -1) continue
    assert.equal(typ, 'at+jwt')
    assert.equal(claims['aud'], ['keystone', 'second'][ring])
    assert.equal(claims['iss'], gateway.issuer)
    const [iat, exp] = [Number(claims['iat']), Number(claims['exp'])]
    assert.ok(exp > iat && exp <= iat + 600, `${iat} ${exp}`)
    const event = issued.get(String(claims['jti']))
    assert.equal(event?.target, ['cloud', 'second'][ring])
    assert.ok(entitled.has(String(claims['sub'])), 'the rules give her nothing at a Keystone')
  }
  t.diagnostic([...kinds].map(([kind, count]) => `${count} ${kind}`).join(', '))
  for (const kind of ['Keystone at+jwt', 'other at+jwt', 'other JWT', 'other logout+jwt'])
    assert.ok((kinds.get(kind) ?? 0) > 1, `too few ${kind}: this would prove little`)
})

/** To whom the rules give a group at cloud: carol is in no team, dave is suspended. */
const entitled = new Set(['ada', 'bob', 'robot-1'].map((id) => accountId({ connector: 'corp', id })))

async function ringOf(jwt: string, keys: readonly JSONWebKeySet[]): Promise<number> {
  for (const [at, set] of keys.entries()) {
    const verified = await jwtVerify(jwt, createLocalJWKSet(set), { clockTolerance: 1e9 }).catch(() => undefined)
    if (verified) return at
  }
  return -1
}

test('the keys of its ring are not among those with which the issuer signs everything else', async () => {
  const kids = async (path: string) =>
    ((await (await fetch(gateway.issuer + path)).json()) as JSONWebKeySet).keys.map(({ kid }) => kid)
  const issuer = await kids('/jwks')
  for (const ring of ['/jwks/keystone-cloud', '/jwks/keystone-second'])
    for (const kid of await kids(ring)) assert.ok(!issuer.includes(kid))
})
