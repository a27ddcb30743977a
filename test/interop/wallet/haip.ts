import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { browser, type Page } from '../../support/browser.ts'
import { claimsIn, fakeClock } from '../../support/gateway.ts'
import { authorization, basic, CALLBACK, redeem, toldAt } from '../../support/sign-in.ts'
import { openAuthority } from './authority.ts'
import type { Kind } from './install.ts'
import { SECRET, startWorld, type Wallet, type World } from './world.ts'

export const ada = { given_name: 'Ada', role: 'developer', birthdate: '1990-12-10' }

const person = () => browser({ stopAt: ({ href }) => href.startsWith(CALLBACK) })

/** By which client and connector somebody signs in. */
interface Way {
  readonly client?: string
  readonly connector?: string
  /** What becomes of the link before the wallet gets it. */
  readonly change?: (link: string) => string
}

/** From the client's request to the page that waits for a wallet. */
export async function knock({ gateway }: World, { client = 'horizon', connector = 'gaiax' }: Way = {}) {
  const who = person()
  const request = authorization(gateway, client, { scope: 'openid', connector })
  return { who, request, link: linkOn(await who.get(request.url)) }
}

function linkOn(page: Page): string {
  const link = /href="(openid4vp:[^"]+)"/.exec(page.text)?.[1]?.replaceAll('&amp;', '&')
  assert.ok(link, `a link to a wallet, not ${page.status} ${page.location.pathname} ${page.text.slice(0, 300)}`)
  return link
}

/** Signs somebody in at a client with a wallet, to tokens. */
export async function enter(world: World, wallet: Wallet, way: Way = {}) {
  const { client = 'horizon', change = (link: string) => link } = way
  const { who, request, link } = await knock(world, way)
  const presented = await wallet.present(change(link))
  assert.equal(presented.unanswered, undefined)
  const told = toldAt(await who.get(presented.said.body.redirect_uri ?? ''))
  const code = { code: told.get('code'), verifier: request.verifier }
  const { status, body } = await redeem(world.gateway, code, { headers: basic(client, SECRET) })
  assert.equal(status, 200, `${JSON.stringify(body)} ${told} ${lastWords(world)}`)
  return { presented, told, body, claims: claimsIn(body['access_token'] ?? '') }
}

const lastWords = ({ gateway }: World) =>
  JSON.stringify(gateway.logs.filter(({ level }) => level !== 'debug').slice(-3))

/** The sign-in ends without a code; why is in the log. */
export async function refusedAs(world: World, wallet: Wallet, why: RegExp, way: Way = {}): Promise<void> {
  const { who, link } = await knock(world, way)
  const { said } = await wallet.present(link)
  assert.equal(said.status, 200)
  const page = await who.get(said.body.redirect_uri ?? '')
  assert.doesNotMatch(page.headers.get('location') ?? '', /[?&]code=/)
  assert.match(lastWords(world), why)
}

/** What a wallet by HAIP on one device has to see, whoever wrote it; it starts its own world. */
export function haip(kind: Kind): () => World {
  let world: World
  before(async () => {
    world = await startWorld(kind)
  })
  after(() => world.close())

  test('an SD-JWT VC signs in to a Keystone, by a signed request and an encrypted answer', async () => {
    const { presented, claims } = await enter(world, await world.wallet(ada))
    assert.equal(presented.client, 'x509_hash')
    if (kind === 'openid4vp') assert.equal(presented.version, 100, 'OpenID4VP 1.0 to the library')
    assert.equal(presented.request['response_mode'], 'direct_post.jwt')
    assert.deepEqual(
      presented.encrypted.map(({ alg, enc }) => [alg, enc]),
      [['ECDH-ES', 'A256GCM']],
    )
    assert.equal(claims['aud'], 'keystone')
    assert.match(JSON.stringify(claims), /web/)
    assert.match(JSON.stringify(claims), /member/)
  })

  test('and to a Kubernetes cluster, with the group of her namespace', async () => {
    const { claims } = await enter(world, await world.wallet(ada), { client: 'kubelogin' })
    assert.deepEqual([claims['aud']].flat(), ['k8s-prod'])
    assert.match(JSON.stringify(claims['groups']), /web/)
  })

  test('only what was asked for is shown, and what was not is in no token', async () => {
    const { presented, claims } = await enter(world, await world.wallet(ada))
    const disclosed = JSON.stringify(
      Object.values(presented.vpToken)
        .flat()[0]
        ?.split('~')
        .slice(1, -1)
        .map((part) => Buffer.from(part, 'base64url').toString()),
    )
    assert.match(disclosed, /given_name/)
    assert.doesNotMatch(disclosed, /birthdate/)
    assert.doesNotMatch(JSON.stringify(claims), new RegExp(ada.birthdate))
  })

  test('a wallet that fetches the request by GET, and one that encrypts by A128GCM alone', async () => {
    const wallet = await world.wallet(ada)
    const byGet = (link: string) => link.replace('request_uri_method=post', 'request_uri_method=get')
    const { presented } = await enter(world, wallet, { change: byGet })
    assert.equal(presented.request['wallet_nonce'], undefined)
    const { link } = await knock(world)
    const { encrypted, said } = await wallet.present(link, { encs: ['A128GCM'] })
    assert.deepEqual(
      encrypted.map(({ enc }) => enc),
      ['A128GCM'],
    )
    assert.equal(said.status, 200)
  })

  test('the same wallet is the same person at another sign-in, and another wallet is another', async () => {
    const wallet = await world.wallet(ada)
    const subject = async (one: Wallet) => (await enter(world, one)).claims['sub']
    const first = await subject(wallet)
    assert.equal(await subject(wallet), first)
    assert.notEqual(await subject(await world.wallet(ada)), first)
  })

  test('a wallet without a credential that fits the query answers nothing', async () => {
    const { link } = await knock(world)
    const { unanswered } = await (await world.wallet({ ...ada, role: 'guest' })).present(link)
    assert.equal(unanswered, 'no credential fits')
  })

  test('a credential that its issuer revoked is refused', async () => {
    await refusedAs(world, await world.wallet(ada, { status: 1 }), /revoked/)
  })

  test('a wallet that heeds trusted_authorities offers nothing of an issuer under another root', async () => {
    const others = await openAuthority('Root of nobody')
    const wallet = await world.wallet(ada, { by: await others.certify('corp.example') })
    const { link } = await knock(world)
    assert.equal((await wallet.present(link)).unanswered, 'no credential fits')
    await others.close()
  })

  test('a wallet that does not know the authority behind the certificate believes no request', async () => {
    const others = await openAuthority('Root of other relying parties')
    const { link } = await knock(world)
    const attempt = (await world.wallet(ada)).present(link, { authority: others.root })
    await assert.rejects(attempt, /Oauth2JwtVerificationError|did not validate to a trust anchor/)
    await others.close()
  })

  test('an answer that comes back in another browser signs nobody in there', async () => {
    const { link } = await knock(world)
    const { said } = await (await world.wallet(ada)).present(link)
    const page = await person().get(said.body.redirect_uri ?? '')
    assert.ok(page.status >= 400, `${page.status}`)
    assert.equal(page.headers.get('location'), null)
  })

  test('a revoked credential ends the person at her next refresh', async () => {
    const { body } = await enter(world, await world.wallet(ada, { status: 4 }))
    const refresh = (token: string) =>
      world.gateway.post('/token', { grant_type: 'refresh_token', refresh_token: token }, basic('horizon', SECRET))
    const good = await refresh(body['refresh_token'] ?? '')
    assert.equal(good.status, 200, JSON.stringify(good.body))
    await world.say([0, 1, 0, 0, 1, 0, 0, 0])
    const clock = fakeClock()
    // The gateway keeps a list for 15 seconds at least, and looks at a proof again after one.
    clock.advance(16)
    const ended = await refresh(good.body['refresh_token'] ?? '')
    assert.equal(ended.status, 400)
    assert.equal(ended.body['error'], 'invalid_grant')
    clock.stop()
  })

  return () => world
}
