import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Page } from '../support/browser.ts'
import { type Federation, institutes, startFederation } from '../support/federation.ts'
import { fakeClock, freePort, startGateway, type TestGateway } from '../support/gateway.ts'
import type { SamlIdp } from '../support/saml-server.ts'
import { authorization, loginPath, person, toldAt } from '../support/sign-in.ts'

let federation: Federation
let idp: SamlIdp
let gateway: TestGateway

const config = (discovery = 'page') => `
brand: { name: Cloud Nord }
connectors:
  - { id: dfn, type: saml, label: DFN-AAI, domain: dfn, metadata: ${federation.metadata}, discovery: ${discovery} }
  - { id: corp, type: oidc, label: Corp AG, domain: corp, emailDomains: [corp.example], issuer: 'http://127.0.0.1:1', clientId: a, auth: none }
targets:
  - { id: argo, type: oidc, label: Argo CD, audience: https://argo.example }
clients:
  - { id: kubectl, label: kubectl, native: true, target: argo, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh] }
rules:
  - name: all
    from: [dfn]
    give: [{ target: argo, group: students }]
`

before(async () => {
  federation = await startFederation()
  idp = federation.idp
  gateway = await startGateway({ port: await freePort(), config: config(), env: federation.env })
})
after(async () => {
  await gateway.close()
  await federation.close()
})

const start = (more: Record<string, string> = {}, who: Browser = person()) => {
  const { url } = authorization(gateway, 'kubectl', { connector: 'dfn', scope: 'openid', ...more })
  return who.get(url)
}
const names = (page: Page) => [...page.text.matchAll(/class="name">([^<]*)</g)].map(([, name]) => name)
const counted = (page: Page) => /id="found">([^<]*)</.exec(page.text)?.[1]
const link = (page: Page, text: string) =>
  page.links.find((each) => each.text.includes(text)) ?? assert.fail(`no ${text}`)
const look = (who: Browser, page: Page, q: string) => who.submit(page, page.form(), { q })

test('a person finds her organisation by a part of its name and signs in there', async () => {
  const who = person()
  const page = await start({}, who)
  assert.match(page.text, /<h1>Find your organisation<\/h1>/)
  assert.match(page.text, /kubectl wants to know who you are\. Choose the organisation in DFN-AAI/)
  assert.deepEqual(names(page), ['University of Giessen', 'University of Oxford'])
  const found = await look(who, page, 'gieß')
  assert.deepEqual([names(found), counted(found)], [['University of Giessen'], 'One organisation'])
  const there = await who.follow(found, link(found, 'Giessen'))
  assert.equal(there.location.origin, idp.origin)
  assert.equal(toldAt(await who.submit(there, there.form('ada-1'))).has('code'), true)
})

test('it is found by domain, scope and e-mail address, in German too, and what is not there is said so', async () => {
  const who = person({ 'accept-language': 'de' })
  const page = await start({}, who)
  assert.match(page.text, /<h1>Finden Sie Ihre Einrichtung<\/h1>/)
  for (const words of ['uni-giessen.example', 'ada@uni-giessen.example', 'universitaet giessen', 'GIESSEN'])
    assert.deepEqual(names(await look(who, page, words)), ['Universität Gießen'], words)
  const nothing = await look(who, page, 'hidden')
  assert.deepEqual(names(nothing), [])
  assert.match(counted(nothing) ?? '', /^Keine Einrichtung passt zu „hidden“/)
  assert.equal(nothing.status, 200)
})

test('the last choice comes first the next time, until the person forgets it', async () => {
  const who = person()
  const page = await start({}, who)
  await who.follow(page, link(page, 'Giessen'))
  const again = await start({}, who)
  assert.equal(names(again)[0], 'University of Giessen')
  assert.match(again.text, /<span class="pill">last used<\/span>/)
  const cookie = who.cookies().find(({ name }) => name === 'lotse-idp-dfn')
  assert.deepEqual([cookie?.path, cookie?.sameSite, cookie?.httpOnly], ['/login', 'lax', true])
  const forgotten = await who.follow(again, link(again, 'Forget this choice'))
  assert.doesNotMatch(forgotten.text, /last used/)
  assert.equal(forgotten.location.search.includes('forget'), false)
  assert.equal(
    who.cookies().some(({ name }) => name === 'lotse-idp-dfn'),
    false,
  )
})

test('a hint of the client or the domain of an address skips the page, an unknown one does not', async () => {
  const ways = [
    { idp_hint: idp.entityId },
    { idp_hint: 'uni-giessen.example' },
    { login_hint: 'ada@uni-giessen.example' },
  ]
  for (const way of ways) assert.equal((await start(way)).location.origin, idp.origin, JSON.stringify(way))
  const others = [{ idp_hint: 'https://nobody.example' }, { login_hint: 'ada@nobody.example' }, { login_hint: 'ada' }]
  for (const other of others) assert.match((await start(other)).text, /<h1>Find your organisation/)
  const long = await start({ idp_hint: 'x'.repeat(1025) })
  assert.equal(toldAt(long).get('error'), 'invalid_request')
})

test('an identity provider that is not in the metadata is not gone to, and not shown', async () => {
  const who = person()
  const page = await start({}, who)
  for (const name of ['https://evil.example/<script>', 'x'.repeat(3000), '']) {
    const answer = await who.get(
      `${page.location.origin}${loginPath(who)}?${new URLSearchParams({ connector: 'dfn', idp: name })}`,
    )
    assert.match(answer.text, /role="alert">The organisation you were sent here for is not known here/)
    assert.equal(answer.text.includes('evil.example'), false)
  }
  const hidden = new URL(`${loginPath(who)}?connector=dfn&idp=https://hidden.example`, page.location)
  assert.match((await who.send(hidden)).headers.get('location') ?? '', /^https:\/\/idp\.example\/sso\?/)
})

test('whatever is searched for is text, and the page needs no script and asks nobody else', async () => {
  const who = person()
  const page = await look(who, await start({}, who), `"><script>alert(1)</script>`)
  assert.equal(page.text.includes('<script>alert'), false)
  const policy = page.headers.get('content-security-policy') ?? ''
  assert.match(policy, /default-src 'none'.*script-src 'sha256-[^']+'; connect-src 'self'/)
  assert.equal(names(await look(who, page, '')).length, 2)
})

test('there is a way back to the other connectors', async () => {
  const who = person()
  const chooser = await start({ connector: '' }, who)
  assert.deepEqual(names(chooser), ['DFN-AAI', 'Corp AG'])
  const page = await who.follow(chooser, link(chooser, 'DFN-AAI'))
  assert.deepEqual(names(page), ['University of Giessen', 'University of Oxford'])
  const again = await who.follow(page, link(page, 'Sign in another way'))
  assert.deepEqual(names(again), ['DFN-AAI', 'Corp AG'])
  assert.equal((await start({}, who)).text.includes('Sign in another way'), false)
})

test('a discovery service is asked instead, and its answer goes on with the sign-in of this browser alone', async () => {
  const service = 'https://ds.example/discover'
  await gateway.reload(config(`{ url: '${service}' }`))
  try {
    const { url } = authorization(gateway, 'kubectl', { connector: 'dfn', scope: 'openid' })
    const who = person()
    const at = await who.send(url)
    const page = at.headers.get('location') ?? ''
    const sent = await who.send(new URL(page, gateway.issuer))
    const to = new URL(sent.headers.get('location') ?? '')
    assert.equal(`${to.origin}${to.pathname}`, service)
    assert.equal(to.searchParams.get('entityID'), `${gateway.issuer}/saml/metadata`)
    const back = new URL(to.searchParams.get('return') ?? '')
    assert.equal(`${back.origin}${back.pathname}`, `${gateway.issuer}/discovery/dfn`)
    const own = await (await fetch(`${gateway.issuer}/saml/metadata`)).text()
    assert.ok(own.includes(`:DiscoveryResponse `) && own.includes(`Location="${gateway.issuer}/discovery/dfn"`))

    const none = await who.get(back)
    assert.match(none.text, /<h1>Find your organisation/)
    back.searchParams.set('entityID', idp.entityId)
    const stranger = await person().get(back)
    assert.equal(stranger.status, 400)
    assert.equal((await who.get(back)).location.origin, idp.origin)
    back.searchParams.set('uid', '../../evil')
    assert.equal((await who.get(back)).status, 400)
    back.pathname = '/discovery/nobody'
    assert.equal((await who.get(back)).status, 404)
  } finally {
    await gateway.reload(config())
  }
})

test('a changed federation reaches sign-ins without a restart, and its standing is told', async () => {
  const clock = fakeClock()
  try {
    federation.publish(institutes(60))
    clock.advance(60)
    const limit = performance.now() + 10_000
    while (gateway.app.standing()['dfn']?.idps !== 63) {
      await gateway.app.tick()
      assert.ok(performance.now() < limit)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    await gateway.app.tick()
    const who = person()
    const page = await start({}, who)
    assert.deepEqual([names(page), counted(page)], [[], ''])
    const all = await look(who, page, 'institute')
    assert.deepEqual([names(all).length, counted(all)], [50, 'The first 50 of 60. Type more to narrow it down.'])
    assert.match((await gateway.app.metrics.text()).body, /lotse_metadata_identity_providers\{connector="dfn"\} 63/)
  } finally {
    clock.stop()
  }
})
