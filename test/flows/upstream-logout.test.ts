import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { SignJWT } from 'jose'
import { groupOf } from '../../src/lifecycle/proofs.ts'
import { kinds } from '../../src/store/kinds.ts'
import { type Browser, browser } from '../support/browser.ts'
import { claimsIn, fakeClock, forgetEnds, freePort, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, basic, CALLBACK, redeem, refresh, toldAt } from '../support/sign-in.ts'
import { standard, standardConfig, standardEnv } from '../support/standard.ts'

const BYE = 'http://127.0.0.1:1/bye'
const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** Sessions that our own client was told of. */
const told: unknown[] = []
let receiver: Server
let idp: Idp
let gateway: TestGateway
let clock: ReturnType<typeof fakeClock>
before(async () => {
  receiver = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    told.push(claimsIn(new URLSearchParams(body).get('logout_token') ?? '')['sid'])
    response.writeHead(200).end()
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  const back = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const portal = `  - { id: portal, target: prod, auth: client_secret_basic, secret: { env: HORIZON_SECRET }, redirectUris: ['${CALLBACK}'], postLogoutRedirectUris: ['${BYE}'], grants: [code, refresh], alwaysRefresh: true, backchannelLogout: { url: '${back}', private: true } }`
  const upstreamPort = await freePort()
  const config = standardConfig(`http://127.0.0.1:${upstreamPort}`, '', { clients: portal })
  ;({ idp, gateway } = await standard({
    port,
    config: config.replace(", upstreamLogout: 'off'", ''),
    idp: {
      port: upstreamPort,
      clients: [
        {
          id: 'lotse',
          secret: standardEnv.CORP_SECRET,
          redirectUris: [`${origin}/callback/corp`],
          postLogoutRedirectUris: [`${origin}/logout/returned`],
          // the upstream itself calls nobody here: the messages are the test's
          more: { backchannel_logout_uri: 'https://nobody.invalid/', backchannel_logout_session_required: true },
        },
      ],
      configuration: {
        jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'up', use: 'sig', alg: 'ES256' }] as never },
        features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
        fetch: async () => new Response(null, { status: 200 }),
      },
    },
  }))
})
beforeEach(async () => {
  await forgetEnds(gateway)
  told.length = 0
  clock = fakeClock()
})
afterEach(() => clock.stop())
after(async () => {
  receiver.closeAllConnections()
  await new Promise((resolve) => receiver.close(resolve))
  await gateway.close()
  await idp.close()
})

interface Held {
  readonly who: Browser
  readonly sid: unknown
  readonly refresh: string
  readonly id: string
  /** The upstream's own name of its session. */
  readonly upstream: string
}

async function enter(sub = 'ada'): Promise<Held> {
  const before = new Set((await gateway.store.members('connector:corp')).map(({ id }) => id))
  const who = browser({ stopAt: (url) => url.href.startsWith(CALLBACK) || url.href.startsWith(BYE) })
  const request = authorization(gateway, 'portal', { scope: 'openid' })
  const page = await who.get(request.url)
  const answer = toldAt(await who.submit(page, page.form(sub)))
  const headers = basic('portal', standardEnv.HORIZON_SECRET)
  const { body } = await redeem(gateway, { code: answer.get('code'), verifier: request.verifier }, { headers })
  const id = body['id_token'] ?? ''
  const proof = (await gateway.store.members('connector:corp')).find((one) => !before.has(one.id))
  const { upstreamSession } = JSON.parse((await gateway.store.get(kinds.Proof, proof?.id ?? ''))?.value ?? '{}')
  return { who, sid: claimsIn(id)['sid'], refresh: body['refresh_token'] ?? '', id, upstream: upstreamSession }
}

const says = (claims: Readonly<Record<string, unknown>>) =>
  new SignJWT({ events: { [EVENT]: {} }, jti: randomUUID(), ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: 'up', typ: 'logout+jwt' })
    .setIssuer(idp.issuer)
    .setAudience('lotse')
    .setIssuedAt(Math.floor(Date.now() / 1000))
    .setExpirationTime(Math.floor(Date.now() / 1000) + 120)
    .sign(privateKey)

const hear = (logout_token: string) => gateway.post('/logout/back/corp', { logout_token })

async function goesOn({ refresh: token, who }: Held): Promise<readonly [string, boolean]> {
  const headers = basic('portal', standardEnv.HORIZON_SECRET)
  const answer = await gateway.post('/token', { grant_type: 'refresh_token', refresh_token: token }, headers)
  const silent = toldAt(await who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url))
  return [answer.status === 200 ? 'tokens' : (answer.body['error'] ?? ''), silent.has('code')]
}

test('a logout token with a session ends that session here: browser, refresh tokens and clients, and no other', async () => {
  const mine = await enter()
  const other = await enter()
  assert.notEqual(mine.upstream, other.upstream)
  const answer = await hear(await says({ sid: mine.upstream, sub: 'ada' }))
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('cache-control'), 'no-store')
  assert.deepEqual(await goesOn(mine), ['invalid_grant', false])
  assert.deepEqual(await goesOn(other), ['tokens', true])
  await gateway.app.deliver()
  assert.deepEqual(told, [mine.sid])
  const event = gateway.events.findLast((one) => one.event === 'session.ended')
  assert.ok(event?.event === 'session.ended' && event.cause === 'upstream' && event.connector === 'corp')
})

test('a logout token with a person ends all of her sessions, and nobody else’s', async () => {
  const [one, two, hers] = [await enter('ada'), await enter('ada'), await enter('bob')]
  assert.equal((await hear(await says({ sub: 'ada' }))).status, 200)
  assert.deepEqual(await goesOn(one), ['invalid_grant', false])
  assert.deepEqual(await goesOn(two), ['invalid_grant', false])
  assert.deepEqual(await goesOn(hers), ['tokens', true])
  const again = await enter('ada')
  assert.deepEqual(await goesOn(again), ['tokens', true], 'who signs in anew is welcome')
})

for (const [whom, selector] of [
  ['a person', (sub: string) => ({ kind: 'subject', sub }) as const],
  ['a whole upstream', () => ({ kind: 'connector', id: 'corp' }) as const],
] as const) {
  test(`a sign-in that is on its way does not survive the end of ${whom}`, async () => {
    const sub = String(claimsIn((await enter('ada')).id)['sub'])
    const who = browser({ stopAt: (url) => url.href.startsWith(CALLBACK) })
    const page = await who.get(authorization(gateway, 'portal').url)
    clock.advance(1)
    await gateway.ends.end(selector(sub), 'operator', { reference: 'test' })
    const late = await who.submit(page, page.form('ada'))
    assert.equal(late.status, 400)
    assert.deepEqual(await gateway.store.members(`subject:${sub}`), [])
    const again = toldAt(await who.get(authorization(gateway, 'portal').url))
    assert.ok(again.has('code'), 'who begins anew is welcome')
  })
}

test('a logout token counts once: sent again it ends nothing and is refused', async () => {
  await enter('ada')
  const token = await says({ sub: 'ada' })
  assert.equal((await hear(token)).status, 200)
  const again = await enter('ada')
  const replayed = await hear(token)
  assert.deepEqual([replayed.status, replayed.body['error']], [400, 'invalid_request'])
  assert.deepEqual(await goesOn(again), ['tokens', true])
})

test('of twenty copies of a logout token at once one is heard', async () => {
  await enter('ada')
  const token = await says({ sub: 'ada' })
  const answers = await Promise.all(Array.from({ length: 20 }, () => hear(token)))
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
})

test('what is not signed by the upstream, or is no logout token, ends nothing and is told nothing', async () => {
  const held = await enter('ada')
  const { privateKey: foreign } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const forged = await new SignJWT({ events: { [EVENT]: {} }, jti: 'x', sub: 'ada' })
    .setProtectedHeader({ alg: 'ES256', kid: 'up' })
    .setIssuer(idp.issuer)
    .setAudience('lotse')
    .setIssuedAt(Math.floor(Date.now() / 1000))
    .sign(foreign)
  for (const token of [
    forged,
    await says({ sub: 'ada', nonce: 'n' }),
    await says({ sub: 'ada', events: {} }),
    'x',
    '',
  ]) {
    const { status, body } = await hear(token)
    assert.equal(status, 400)
    assert.equal(body['error'], 'invalid_request')
    assert.ok(body['error_id'])
  }
  assert.deepEqual(await goesOn(held), ['tokens', true])
  assert.equal((await gateway.post('/logout/back/nobody', { logout_token: forged })).status, 404)
})

test('a frame of the upstream with issuer and session ends that session', async () => {
  const [mine, other] = [await enter('ada'), await enter('bob')]
  const url = new URL('/logout/front/corp', gateway.issuer)
  url.search = new URLSearchParams({ iss: 'https://elsewhere.example', sid: mine.upstream }).toString()
  assert.ok((await fetch(url)).status >= 400)
  url.search = new URLSearchParams({ iss: idp.issuer, sid: mine.upstream }).toString()
  const answer = await fetch(url)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('x-frame-options'), null)
  assert.match(answer.headers.get('cache-control') ?? '', /no-store/)
  assert.deepEqual(await goesOn(mine), ['invalid_grant', false])
  assert.deepEqual(await goesOn(other), ['tokens', true])
})

test('a frame that names a session that nobody has leaves nothing behind in the store', async () => {
  const url = new URL('/logout/front/corp', gateway.issuer)
  url.search = new URLSearchParams({ iss: idp.issuer, sid: 'guessed' }).toString()
  assert.equal((await fetch(url)).status, 200)
  assert.deepEqual(await gateway.store.list(kinds.Ending, 10), [])
  const group = { groups: [groupOf.upstream('corp', 'guessed')] }
  assert.equal(await gateway.store.put(kinds.Attempts, 'probe', 'x', 10, group), true, 'the name is not buried')
})

test('a sign-out here goes on to the upstream, and comes back to the client with its state', async () => {
  const { who, id } = await enter('ada')
  const url = new URL('/logout', gateway.issuer)
  url.search = new URLSearchParams({ id_token_hint: id, post_logout_redirect_uri: BYE, state: 's-9' }).toString()
  const page = await who.get(url)
  const away = await who.submit(page, page.form(), { logout: 'yes' })
  assert.equal(away.status, 200)
  const [, next = ''] = /url=(.+)$/.exec(away.headers.get('refresh') ?? '') ?? []
  assert.ok(next.startsWith(`${idp.issuer}/session/end?`), next)
  assert.match(away.text, /Signing out of Corp AG/)
  assert.match(away.text, new RegExp(`href="${idp.issuer}/session/end`), 'a link for those whose browser waits')
  const there = await who.get(next)
  const back = await who.submit(there, there.form(), { logout: 'yes' })
  assert.equal(back.headers.get('location'), `${BYE}?state=s-9`)
  const again = await who.get(authorization(gateway, 'portal').url)
  assert.equal(again.form('ada').action.origin, idp.issuer, 'the upstream asks who it is')
})

test('who comes back from an upstream with a guessed state is told of the sign-out and sent nowhere', async () => {
  const { who } = await enter('ada')
  const returned = await who.get(`${gateway.issuer}/logout/returned?state=guessed`)
  assert.equal(returned.status, 200)
  assert.match(returned.text, /signed out/i)
  assert.equal(returned.headers.get('location'), null)
})

test('a refresh token of a client without a back channel dies with the upstream’s session, too', async () => {
  const held = await enter('ada')
  const request = authorization(gateway, 'kubectl')
  const answer = toldAt(await held.who.get(request.url))
  const { body } = await redeem(gateway, { code: answer.get('code'), verifier: request.verifier, client: 'kubectl' })
  await hear(await says({ sid: held.upstream }))
  assert.equal((await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')).status, 400)
})
