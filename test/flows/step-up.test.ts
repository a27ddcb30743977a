import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { interactionPolicy } from 'oidc-provider'
import type { Browser, Page } from '../support/browser.ts'
import { claimsIn, fakeClock, type TestGateway } from '../support/gateway.ts'
import type { Idp, Person } from '../support/oidc-idp.ts'
import {
  authorization,
  loginPath,
  person,
  pickPerson,
  redeem,
  refresh,
  signIn,
  tokensOf,
  toldAt,
} from '../support/sign-in.ts'
import { standard } from '../support/standard.ts'

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code'
const SUBSTANTIAL = 'http://eidas.europa.eu/LoA/substantial'
/** What is asked for where a rule wants `substantial`: that, its other name, and whatever is stronger. */
const WANTED = `substantial ${SUBSTANTIAL} high`
/** Production wants more than a password; the rest does not. */
const rules = (level: string) => `
  - name: production
    from: [corp]
    if: [{ claim: account_status, is: active }, { acr: { atLeast: ${level} } }]
    give: [{ target: prod, group: x-production }]
`

/** Ada has a second factor and uses it where she is asked to; eve's upstream calls that by its other name; bob has none. */
const there: Person[] = []
const claims = (sub: string) => ({ preferred_username: sub, groups: ['/teams/web/dev'], account_status: 'active' })
const reach = (sub: string, acr: string): Person => ({ sub, claims: claims(sub), acr })

function intercept(request: IncomingMessage): boolean {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://upstream')
  if (pathname !== '/auth' || !searchParams.has('client_id')) return false
  const [asked = 'low', other = asked] = searchParams.get('acr_values')?.split(' ') ?? []
  there.splice(0, there.length, reach('ada', asked), reach('eve', other), reach('bob', 'low'))
  return false
}

/** The upstream asks once more where its own session is weaker than it was asked for. */
function upstreamPolicy() {
  const policy = interactionPolicy.base()
  const weaker = new interactionPolicy.Check('weaker', 'a stronger sign-in is needed', 'login_required', (ctx) => {
    const { params, result, session } = ctx.oidc
    const asked = typeof params?.['acr_values'] === 'string' ? params['acr_values'].split(' ') : []
    const { acr = '' } = session as unknown as { acr?: string }
    return asked.length > 0 && !asked.includes(acr) && result?.login === undefined
  })
  policy.get('login')?.checks.add(weaker)
  return policy
}

let idp: Idp
let gateway: TestGateway
let config: string
let clock: ReturnType<typeof fakeClock>
before(async () => {
  there.push(reach('ada', 'low'))
  const configuration = {
    acrValues: ['low', 'substantial', 'high', SUBSTANTIAL],
    interactions: {
      url: (_: unknown, { uid }: { readonly uid: string }) => `/sign-in/${uid}`,
      policy: upstreamPolicy(),
    },
  }
  const started = await standard({ idp: { people: there, intercept, configuration } })
  ;({ idp, gateway } = started)
  const usual = started.config.replace("      - { target: prod, group: 'x-<team>' }\n", '')
  config = `assurance: [low, [substantial, '${SUBSTANTIAL}'], high]\n${usual}${rules('substantial')}`
})
beforeEach(async () => {
  clock = fakeClock()
  await gateway.reload(config)
})
afterEach(() => clock.stop())
after(async () => {
  await gateway.close()
  await idp.close()
})

const lastAsked = () => idp.asked.at(-1)?.get('acr_values') ?? null
const atUpstream = (page: Page) => page.location.origin === idp.issuer
const open = (who: Browser, client: string, more: Record<string, string> = {}) =>
  who.get(authorization(gateway, client, more).url)
const silent = async (who: Browser, client: string, more: Record<string, string> = {}) => {
  const told = toldAt(await open(who, client, { prompt: 'none', ...more }))
  return told.get('error') ?? (told.has('code') ? 'code' : 'nothing')
}
const text = (page: Page) => page.text.replace(/<[^>]*>/g, ' ')

/** Somebody with a session from a password alone, in which she has what a password gives. */
async function weakly(sub = 'ada'): Promise<Browser> {
  const who = person()
  assert.ok((await signIn(who, authorization(gateway, 'openstack'), sub)).has('code'))
  return who
}

test('a weak session that wants a target with a stronger rule goes to its upstream once more, and comes back with a code', async () => {
  const who = await weakly()
  const request = authorization(gateway, 'kubectl')
  const page = await who.get(request.url)
  assert.ok(atUpstream(page), text(page))
  assert.equal(lastAsked(), WANTED)
  assert.match(idp.asked.at(-1)?.get('redirect_uri') ?? '', /\/callback\/corp$/)
  const told = toldAt(await pickPerson(who, page, 'ada'))
  const { body } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier, client: 'kubectl' })
  assert.deepEqual(claimsIn(body['access_token'] ?? '')['groups'], ['x-production'])
  assert.equal(claimsIn(body['id_token'] ?? '')['acr'], 'substantial')
  const asked = idp.asked.length
  assert.equal(await silent(who, 'kubectl'), 'code', 'the session is a strong one now')
  assert.equal(idp.asked.length, asked)
})

test('without a page there is no stronger sign-in: prompt=none of a weak session is login_required', async () => {
  const who = await weakly()
  assert.equal(await silent(who, 'kubectl'), 'login_required')
  assert.equal(await silent(who, 'openstack'), 'code', 'and the session is what it was')
})

test('a first sign-in that is too weak for the client’s target goes back to the upstream, which is asked for the strength', async () => {
  const who = person()
  const asked = idp.asked.length
  const first = await open(who, 'kubectl')
  assert.equal(lastAsked(), null)
  const second = await pickPerson(who, first, 'ada')
  assert.ok(atUpstream(second), text(second))
  assert.equal(lastAsked(), WANTED)
  assert.ok(toldAt(await pickPerson(who, second, 'ada')).has('code'))
  assert.equal(idp.asked.length, asked + 2)
})

test('a strength by its other name, or a stronger one, is enough where the configuration says that they are', async () => {
  const who = person()
  const second = await pickPerson(who, await open(who, 'kubectl'), 'eve')
  assert.ok(toldAt(await pickPerson(who, second, 'eve')).has('code'))
  const asked = idp.asked.length
  assert.equal(await silent(who, 'openstack', { acr_values: 'substantial' }), 'code')
  assert.equal(idp.asked.length, asked)
})

test('an upstream that does not reach the strength is asked for it once, and a page says what would be needed', async () => {
  const who = person()
  const asked = idp.asked.length
  const second = await pickPerson(who, await open(who, 'kubectl'), 'bob')
  const page = await pickPerson(who, second, 'bob')
  assert.equal(page.status, 403)
  assert.match(text(page), /stronger sign-in/)
  assert.match(text(page), /substantial/)
  assert.equal(idp.asked.length, asked + 2)
  const event = gateway.events.findLast((e) => e.event === 'login.refused')
  assert.equal(event?.event === 'login.refused' && event.code, 'acr_not_met')
})

test('where the connector only reports, the page says what the person has, and which strength would give more', async () => {
  await gateway.reload(config.replace('domain: corp,', 'domain: corp, acrNotMet: report,'))
  const who = person()
  const asked = idp.asked.length
  const second = await pickPerson(who, await open(who, 'kubectl'), 'bob')
  const page = await pickPerson(who, second, 'bob')
  assert.equal(page.status, 403)
  assert.match(text(page), /A stronger sign-in \(substantial\) would give you more/)
  assert.match(text(page), /os-web/, 'what she has elsewhere')
  assert.equal(idp.asked.length, asked + 2)
  const back = page.links.find(({ href }) => href.pathname.endsWith('/leave'))
  assert.ok(back)
  assert.equal(toldAt(await who.follow(page, back)).get('error'), 'access_denied')
})

test('a session whose person cannot reach more is told so once, and keeps what it has', async () => {
  const who = await weakly('bob')
  const asked = idp.asked.length
  const page = await pickPerson(who, await open(who, 'kubectl'), 'bob')
  assert.equal(page.status, 403)
  assert.match(text(page), /substantial/)
  assert.equal(idp.asked.length, asked + 1)
  assert.equal(await silent(who, 'openstack'), 'code')
})

test('a strength that a client asks for sends a weaker session to the upstream instead of giving a code', async () => {
  const who = await weakly()
  assert.equal(await silent(who, 'openstack', { acr_values: 'high' }), 'login_required')
  const page = await open(who, 'openstack', { acr_values: 'high' })
  assert.ok(atUpstream(page), text(page))
  assert.equal(lastAsked(), 'high')
  assert.ok(toldAt(await pickPerson(who, page, 'ada')).has('code'))
})

test('where a rule and the client both want a strength the upstream is asked for what satisfies both, else for what the rule wants', async () => {
  const who = await weakly()
  for (const [acr_values, asked] of [
    ['unheard-of', WANTED],
    ['high', 'high'],
  ] as const) {
    assert.ok(atUpstream(await open(who, 'kubectl', { acr_values })))
    assert.equal(lastAsked(), asked)
  }
})

test('an address that names a weaker strength does not talk the gateway out of the one that the client asked for', async () => {
  const who = person()
  const page = await open(who, 'openstack', { acr_values: 'high' })
  assert.ok(atUpstream(page))
  const began = new URL(`${loginPath(who)}?connector=corp&acr=low`, gateway.issuer)
  assert.ok(atUpstream(await who.get(began)))
  assert.equal(lastAsked(), 'high')
})

test('a session that is strong enough gives a code without asking, whichever of the strengths it has', async () => {
  const who = person()
  assert.ok((await signIn(who, authorization(gateway, 'openstack', { acr_values: 'high' }), 'ada')).has('code'))
  const asked = idp.asked.length
  for (const acr_values of ['high', 'substantial', 'unheard-of high', '']) {
    assert.ok(toldAt(await open(who, 'openstack', { acr_values })).has('code'), acr_values)
  }
  assert.ok(toldAt(await open(who, 'kubectl')).has('code'))
  assert.equal(idp.asked.length, asked)
})

test('a device is confirmed by a weak session only after the stronger sign-in', async () => {
  const who = await weakly()
  const { body: device } = await gateway.post('/device/auth', { client_id: 'kubectl', scope: 'openid offline_access' })
  const entry = await who.get(device['verification_uri_complete'] ?? '')
  const confirm = await who.submit(entry, entry.form())
  const page = await who.submit(confirm, confirm.form(), { confirm: 'yes' })
  assert.ok(atUpstream(page), text(page))
  assert.equal(lastAsked(), WANTED)
  assert.equal((await pickPerson(who, page, 'ada')).status, 200)
  const { body } = await poll(device)
  assert.deepEqual(claimsIn(body['access_token'] ?? '')['groups'], ['x-production'])
})

const poll = (device: Readonly<Record<string, string>>) =>
  gateway.post('/token', { grant_type: DEVICE, client_id: 'kubectl', device_code: device['device_code'] ?? '' })

const told = ({ status, body }: { status: number; body: Readonly<Record<string, string>> }) =>
  `${status} ${body['error']}: ${body['error_description']}`

/** A device that was confirmed by a sign-in of `substantial`. */
async function confirmed() {
  const { body: device } = await gateway.post('/device/auth', { client_id: 'kubectl', scope: 'openid offline_access' })
  const who = person()
  const entry = await who.get(device['verification_uri_complete'] ?? '')
  const confirm = await who.submit(entry, entry.form())
  const first = await who.submit(confirm, confirm.form(), { confirm: 'yes' })
  assert.equal((await pickPerson(who, await pickPerson(who, first, 'ada'), 'ada')).status, 200)
  return device
}

test('at the token endpoint the refusal of a device says which strength is needed', async () => {
  const device = await confirmed()
  await gateway.reload(config.replace('atLeast: substantial', 'atLeast: high'))
  assert.match(told(await poll(device)), /^400 access_denied: .* acr high/)
})

test('at the token endpoint the refusal of a refresh says which strength is needed, and consumes nothing', async () => {
  const { body } = await poll(await confirmed())
  await gateway.reload(config.replace('atLeast: substantial', 'atLeast: high'))
  const refused = await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')
  assert.match(told(refused), /^400 access_denied: .* acr high/)
  clock.advance(12)
  await gateway.reload(config)
  assert.equal((await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')).status, 200)
})

test('somebody to whom only a stronger sign-in would give anything hears that, too', async () => {
  const device = await confirmed()
  const { body } = await poll(await confirmed())
  const only = config.replace('atLeast: substantial', 'atLeast: high').replace('is: active', 'is: retired')
  await gateway.reload(only)
  assert.match(told(await poll(device)), / acr high/)
  assert.match(told(await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')), /^400 invalid_grant: .* acr high/)
})

test('what needs no strength is given to the weak session', async () => {
  const tokens = await tokensOf(gateway, 'openstack', 'bob')
  assert.match(JSON.stringify(claimsIn(tokens.access_token)), /os-web/)
  assert.equal(claimsIn(tokens.id_token)['acr'], 'low')
  assert.equal((await refresh(gateway, 'openstack', tokens.refresh_token)).status, 200)
})
