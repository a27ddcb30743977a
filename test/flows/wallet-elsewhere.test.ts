import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from '../support/browser.ts'
import { fakeClock } from '../support/gateway.ts'
import { readCode } from '../support/qr.ts'
import { person, toldAt } from '../support/sign-in.ts'
import { encrypt, fetchRequest, open, present, type Read, readClaims, readLink, send } from '../support/wallet.ts'
import { answerFor, startWalletWorld, type WalletWorld, waiting } from './wallet-world.ts'

let world: WalletWorld
before(async () => {
  world = await startWalletWorld()
})
after(() => world.close())

const asked = async ({ who, page }: { who: ReturnType<typeof person>; page: Page }) =>
  JSON.parse((await who.send(page.location, { headers: { accept: 'application/json' } })).text) as Record<
    string,
    string
  >

test('a wallet on another device answers the code that the page shows, is sent nowhere, and the page goes on', async () => {
  const at = await waiting(world.gateway, 'qr')
  const code = readCode(at.page.text)
  assert.notEqual(code, at.link)
  const { read, vpToken } = await answerFor(world, code)
  assert.deepEqual(await asked(at), { state: 'waiting' })
  assert.deepEqual((await send(read, vpToken)).body, {})
  const { state, next = '' } = await asked(at)
  assert.equal(state, 'answered')
  assert.equal(toldAt(await at.who.get(new URL(next, world.gateway.issuer))).has('code'), true)
})

test('without script the page goes on when it is loaded anew', async () => {
  const at = await waiting(world.gateway, 'qr')
  const { read, vpToken } = await answerFor(world, readCode(at.page.text))
  await send(read, vpToken)
  assert.equal(toldAt(await at.who.get(at.page.location)).has('code'), true)
})

test('nobody but the browser that asked learns that an answer came, or fetches it', async () => {
  const at = await waiting(world.gateway, 'qr')
  const { read, vpToken } = await answerFor(world, readCode(at.page.text))
  await send(read, vpToken)
  const { next = '' } = await asked(at)
  const other = person()
  const answer = await other.send(at.page.location, { headers: { accept: 'application/json' } })
  assert.deepEqual([answer.status, JSON.parse(answer.text)['error']], [400, 'wrong_browser'])
  assert.equal((await other.get(new URL(next, world.gateway.issuer))).status, 400)
  assert.equal(toldAt(await at.who.get(new URL(next, world.gateway.issuer))).has('code'), true)
})

test('the page of a code warns of codes that others sent, in both languages', async () => {
  for (const [language, words] of [
    ['en', 'Did somebody send you this code'],
    ['de', 'Hat Ihnen jemand den Code geschickt'],
  ] as const) {
    const { page } = await waiting(world.gateway, 'qr', person({ 'accept-language': language }))
    assert.ok(page.text.includes(words))
    assert.match(page.text, /role="img" aria-label="[^"]+"/)
  }
})

test('a connector that allows no other device makes no request for one', async () => {
  const { gateway } = world
  const before = (await gateway.store.list({ name: 'WalletTurn', durable: false }, 1000)).length
  const { page } = await waiting(gateway, 'gaiax')
  assert.ok(!page.text.includes('class="qr"') && !page.text.includes('id="browser"'))
  assert.equal((await gateway.store.list({ name: 'WalletTurn', durable: false }, 1000)).length, before + 1)
})

/** The browser's own API is asked at a page that waits, and answers with a presentation for somebody. */
async function byBrowser(audience: (read: Read) => string) {
  const at = await waiting(world.gateway, 'qr')
  const id = /id="browser" value="([\w-]+)"/.exec(at.page.text)?.[1] ?? assert.fail(at.page.text)
  const answer = await fetch(`${world.gateway.issuer}/wallet/request/${id}`, { method: 'POST' })
  const read = readClaims(JSON.parse(Buffer.from((await answer.text()).split('.')[1] ?? '', 'base64url').toString()))
  const payload = { vp_token: { employee: [present(world.held, world.ada, read, { audience: audience(read) })] } }
  const response = await encrypt(payload, read.encryption?.jwk ?? {})
  return { read, told: toldAt(await at.who.submit(at.page, at.page.form('answer'), { response })) }
}

test('the request for the browser’s own API names the origin that may ask, and what it brings is posted like an answer', async () => {
  const { issuer } = world.gateway
  const { read, told } = await byBrowser(() => `origin:${issuer}`)
  assert.equal(read.mode, 'dc_api.jwt')
  assert.deepEqual(read.claims['expected_origins'], [issuer])
  assert.deepEqual([read.claims['response_uri'], read.claims['state']], [undefined, undefined])
  assert.equal(told.has('code'), true)
})

test('by the browser’s own API a presentation is for our origin, in either spelling, and neither for a client id nor for another origin', async () => {
  const { issuer } = world.gateway
  assert.equal((await byBrowser(() => `origin:${issuer}/`)).told.has('code'), true)
  for (const audience of [
    (read: Read) => read.clientId,
    () => 'origin:https://evil.example',
    () => `origin:${issuer}//`,
    () => issuer,
  ])
    assert.equal((await byBrowser(audience)).told.get('error'), 'access_denied')
})

test('what the browser’s own API brought is refused from another browser', async () => {
  const at = await waiting(world.gateway, 'qr')
  const form = at.page.form('answer')
  assert.equal((await person().submit(at.page, form, { response: 'x' })).status, 400)
})

test('a request ends after its time: it is neither fetched nor answered, and the page says so and offers to begin again', async () => {
  const clock = fakeClock()
  try {
    const [at, other] = [await waiting(world.gateway, 'qr'), await waiting(world.gateway, 'qr')]
    const { read, vpToken } = await answerFor(world, other.link)
    clock.advance(299)
    assert.deepEqual(await asked(at), { state: 'waiting' })
    clock.advance(2)
    assert.equal((await fetchRequest(at.link)).status, 400)
    assert.equal((await send(read, vpToken)).status, 400)
    assert.deepEqual(await asked(at), { state: 'over' })
    const over = await at.who.get(at.page.location)
    assert.equal(over.status, 200)
    assert.ok(over.text.includes('Nobody waits for a wallet here any more'))
    const again = over.links.find(({ text }) => text === 'Start again') ?? assert.fail(over.text)
    const anew = await at.who.follow(over, again)
    assert.match(anew.location.pathname, /^\/wallet\/wait\//)
    assert.notEqual(anew.location.href, at.page.location.href)
  } finally {
    clock.stop()
  }
})

test('an answer in time that its browser fetches too late signs nobody in', async () => {
  const clock = fakeClock()
  try {
    const at = await waiting(world.gateway)
    const { read, vpToken } = await answerFor(world, at.link)
    clock.advance(290)
    const sent = await send(read, vpToken)
    clock.advance(20)
    const told = toldAt(await at.who.get(sent.body['redirect_uri'] ?? ''))
    assert.equal(told.get('error'), 'access_denied')
  } finally {
    clock.stop()
  }
})

test('a page whose sign-in went on in another window says so, and a person may leave a page that waits', async () => {
  const at = await waiting(world.gateway)
  const { read, vpToken } = await answerFor(world, at.link)
  const sent = await send(read, vpToken)
  toldAt(await at.who.get(sent.body['redirect_uri'] ?? ''))
  assert.deepEqual(await asked(at), { state: 'over' })
  const german = await at.who.get(`${at.page.location.href}?lang=de`)
  assert.ok(german.text.includes('Hier wartet niemand mehr auf eine Wallet'))
  const other = await waiting(world.gateway)
  const leave = other.page.links.find(({ text }) => text === 'Back to the program') ?? assert.fail()
  const told = toldAt(await other.who.follow(other.page, leave))
  assert.deepEqual(
    [told.get('error'), told.get('error_description')],
    ['access_denied', 'the person left before the sign-in was over'],
  )
})

test('a link holds a reference alone, so that a code stays small and says nothing of what is asked', async () => {
  const { link } = await waiting(world.gateway, 'qr')
  assert.deepEqual([...readLink(link).keys()], ['client_id', 'request_uri', 'request_uri_method'])
  await open(link)
})
