import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto'
import { after, before, test } from 'node:test'
import { kinds } from '../../src/store/kinds.ts'
import type { Store } from '../../src/store/store.ts'
import type { Browser, Page } from '../support/browser.ts'
import { type Answer, fakeClock, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { rounds } from '../support/rounds.ts'
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

/* The same thing used twenty times at once over HTTP. What is used once is taken once (law 3), and who loses hears what harms nothing. */

const ROUNDS = rounds(3, 50)
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code'
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwk = { ...pair.publicKey.export({ format: 'jwk' }), kid: 'a', alg: 'ES256', use: 'sig' }
const clients = `
  - { id: proven, target: cloud, auth: private_key_jwt, jwks: { keys: [${JSON.stringify(jwk)}] }, grants: [client_credentials], serviceAccount: { connector: corp, id: proven-1, claims: { groups: [/teams/ci/dev], account_status: [active] } } }
`

let idp: Idp
let gateway: TestGateway
/** What waits before a proof is stored; nothing does where it is undefined. */
let held: (() => void)[] | undefined
const slow = (store: Store): Store => ({
  ...store,
  async put(...entry) {
    if (entry[0] === kinds.Proof && held) await new Promise<void>((go) => held?.push(go))
    return store.put(...entry)
  },
})
before(async () => {
  ;({ idp, gateway } = await standard({ extra: () => ({ clients }), store: slow }))
})
after(async () => {
  await gateway.close()
  await idp.close()
})

const twenty = <T>(ask: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: 20 }, ask))

type Answered = { readonly status: number; readonly body: Answer }
const said = ({ status, body }: Answered) => `${status} ${body['error'] ?? 'tokens'}`

/** Exactly one won, and all others heard the same refusal. */
function oneWon(answers: readonly Answered[], refusal: string): Answered {
  const winners = answers.filter(({ status }) => status === 200)
  assert.equal(winners.length, 1, `${answers.map(said)}`)
  for (const answer of answers) if (answer !== winners[0]) assert.equal(said(answer), refusal)
  return winners[0]!
}

const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')

function jwt(header: object, payload: object, key: KeyObject): string {
  const input = `${encoded({ alg: 'ES256', ...header })}.${encoded(payload)}`
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

const now = () => Math.floor(Date.now() / 1000)

function assertion(): string {
  const claims = { iss: 'proven', sub: 'proven', aud: gateway.issuer, jti: randomUUID(), iat: now(), exp: now() + 60 }
  return jwt({ kid: 'a' }, claims, pair.privateKey)
}

function dpop(): string {
  const claims = { jti: randomUUID(), iat: now(), htm: 'POST', htu: `${gateway.issuer}/token` }
  return jwt({ typ: 'dpop+jwt', jwk: pair.publicKey.export({ format: 'jwk' }) }, claims, pair.privateKey)
}

test('one code gives tokens once, and those are good; used again after two seconds it takes them back', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const request = authorization(gateway, 'kubectl')
    const code = (await signIn(person(), request, 'ada')).get('code')
    const clock = fakeClock()
    try {
      const use = () => redeem(gateway, { code, verifier: request.verifier, client: 'kubectl' })
      const { body } = oneWon(await twenty(use), '400 invalid_grant')
      const renewed = await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')
      assert.equal(said(renewed), '200 tokens')
      clock.advance(2)
      assert.equal(said(await use()), '400 invalid_grant')
      assert.equal(said(await refresh(gateway, 'kubectl', renewed.body['refresh_token'] ?? '')), '400 invalid_grant')
    } finally {
      clock.stop()
    }
  }
})

test('one device code gives tokens once, and those are good', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const { body: device } = await gateway.post('/device/auth', {
      client_id: 'openstack',
      scope: 'openid offline_access',
    })
    const who = person()
    const entry = await who.get(device['verification_uri_complete'] ?? '')
    const confirm = await who.submit(entry, entry.form())
    await pickPerson(who, await who.submit(confirm, confirm.form(), { confirm: 'yes' }), 'ada')
    const fields = { grant_type: DEVICE, device_code: device['device_code'] ?? '', client_id: 'openstack' }
    const { body } = oneWon(await twenty(() => gateway.post('/token', fields)), '400 invalid_grant')
    assert.equal(said(await refresh(gateway, 'openstack', body['refresh_token'] ?? '')), '200 tokens')
  }
})

/** Goes on by itself up to the answer that the upstream sends this browser with, and no further. */
async function answerOf(who: Browser, page: Page): Promise<URL> {
  let next = await who.send(page.form('ada').action, {
    method: 'POST',
    body: new URLSearchParams(page.form('ada').fields),
  })
  for (let hops = 0; hops < 5; hops += 1) {
    const to = new URL(next.headers.get('location') ?? '', next.location)
    if (to.origin === gateway.issuer) return to
    next = await who.send(to)
  }
  throw new Error(`the upstream does not answer: ${next.location.href}`)
}

test('of two answers at once for one authorization, begun twice in one browser, one gives a code', async () => {
  const who = person()
  const first = await who.get(authorization(gateway, 'kubectl').url)
  const second = await who.get(new URL(loginPath(who), gateway.issuer))
  held = []
  const before = gateway.events.length
  const pages = [first, second].map((page) => pickPerson(who, page, 'ada'))
  while (held.length < 1) await new Promise((resolve) => setTimeout(resolve, 5))
  // Where both may go on, both come to wait; else the other one has its answer.
  const both = async () => {
    while (held && held.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await Promise.race([both(), ...pages])
  const waiting = held
  held = undefined
  for (const go of waiting) go()
  const codes = (await Promise.all(pages)).filter((page) => page.headers.get('location')?.includes('code='))
  assert.equal(codes.length, 1)
  assert.equal(gateway.events.slice(before).filter(({ event }) => event === 'login.success').length, 1)
})

test('one state is answered once, and that sign-in goes through', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const who = person()
    const request = authorization(gateway, 'kubectl', { connector: 'corp' })
    const answer = await answerOf(who, await who.get(request.url))
    const pages = await twenty(() => who.send(answer))
    const winners = pages.filter(({ status }) => status === 303)
    assert.equal(winners.length, 1, `${pages.map(({ status }) => status)}`)
    for (const page of pages) if (page !== winners[0]) assert.equal(page.status, 400)
    const code = toldAt(winners[0]!).get('code')
    assert.equal((await redeem(gateway, { code, verifier: request.verifier, client: 'kubectl' })).status, 200)
  }
})

test('one client assertion proves its client once, and a replay is invalid_client, at once or later', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const client_assertion = assertion()
    const fields = { grant_type: 'client_credentials', client_assertion, client_assertion_type: ASSERTION }
    oneWon(await twenty(() => gateway.post('/token', fields)), '401 invalid_client')
    assert.equal(said(await gateway.post('/token', fields)), '401 invalid_client')
  }
})

test('one DPoP proof serves one request, and its replay costs nobody the refresh token', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
    const fields = { grant_type: 'refresh_token', client_id: 'kubectl', refresh_token }
    const headers = { DPoP: dpop() }
    oneWon(await twenty(() => gateway.post('/token', fields, headers)), '400 invalid_dpop_proof')
    assert.equal(said(await gateway.post('/token', fields, headers)), '400 invalid_dpop_proof')
    assert.equal(said(await gateway.post('/token', fields, { DPoP: dpop() })), '200 tokens')
  }
})

test('one refresh token has one successor, which works; used after ten seconds it ends its family', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const { refresh_token: first } = await tokensOf(gateway, 'kubectl', 'ada')
    const clock = fakeClock()
    try {
      const answers = await twenty(() => refresh(gateway, 'kubectl', first))
      assert.deepEqual([...new Set(answers.map(said))], ['200 tokens'])
      const successors = new Set(answers.map(({ body }) => body['refresh_token'] ?? ''))
      assert.equal(successors.size, 1)
      const [second = ''] = successors
      assert.notEqual(second, first)
      clock.advance(11)
      const third = await refresh(gateway, 'kubectl', second)
      assert.equal(said(third), '200 tokens')
      const { length } = gateway.events
      assert.equal(said(await refresh(gateway, 'kubectl', first)), '400 invalid_grant')
      assert.equal(gateway.events[length]?.event, 'family.revoked')
      assert.equal(said(await refresh(gateway, 'kubectl', third.body['refresh_token'] ?? '')), '400 invalid_grant')
    } finally {
      clock.stop()
    }
  }
})
