import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, afterEach, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { kinds } from '../../src/store/kinds.ts'
import { type Kind, type Store, StoreUnavailable } from '../../src/store/store.ts'
import type { Browser } from '../support/browser.ts'
import type { TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import {
  authorization,
  basic,
  loginPath,
  person,
  pickPerson,
  redeem,
  refresh,
  signIn,
  tokensOf,
} from '../support/sign-in.ts'
import { standard, standardEnv } from '../support/standard.ts'
import { remote } from '../support/store.ts'
import { milliseconds } from '../support/turns.ts'

/* A store that does not answer, in each way and at each route: 503 within a second, and well again by itself (law 4). */

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code'
/** Milliseconds by which a store is late that does what it is asked to and tells too late. */
const LATE = 1200

type Mode = 'well' | 'closed' | 'hung' | 'late'
let mode: Mode = 'well'

const closed = () => Promise.reject(new StoreUnavailable('closed'))
const ways: Readonly<Record<Mode, (work: () => unknown) => unknown>> = {
  well: (work) => work(),
  closed,
  hung: () => new Promise(() => {}),
  late: async (work) => {
    const answer = work()
    await delay(LATE)
    return answer
  },
}

/** Whose writes alone fail. */
let broken: Kind | undefined

const failing = (store: Store): Store =>
  Object.fromEntries(
    Object.entries(store).map(([name, verb]) => [
      name,
      (...args: unknown[]) =>
        ways[name === 'put' && args[0] === broken ? 'closed' : mode](() =>
          (verb as (...all: unknown[]) => unknown)(...args),
        ),
    ]),
  ) as unknown as Store // the same verbs, each in the way of the moment

const clients = `
  - { id: own, target: cloud, auth: client_secret_basic, secret: { env: HORIZON_SECRET }, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], accessToken: opaque, alwaysRefresh: true }
`
const asOwn = basic('own', standardEnv.HORIZON_SECRET)

let idp: Idp
let gateway: TestGateway
let config: string
before(async () => {
  ;({ idp, gateway, config } = await standard({ store: failing, extra: () => ({ clients }) }))
})
afterEach(() => {
  mode = 'well'
  broken = undefined
})
after(async () => {
  await gateway.close()
  await idp.close()
})

interface Told {
  readonly status: number
  readonly error?: string | undefined
}
type Ask = () => Promise<Told>

const page =
  (who: Browser, path: string | URL): Ask =>
  () =>
    who.send(new URL(path, gateway.issuer))

function form(path: string, fields: Record<string, string>, headers: Record<string, string> = {}): Ask {
  return async () => {
    const { status, body } = await gateway.post(path, fields, headers)
    return { status, error: body['error'] }
  }
}

/** A sign-in on its way: at its first step here, and back from its upstream with an answer. */
async function travellers() {
  const who = person()
  const { visited } = await who.get(authorization(gateway, 'kubectl', { connector: 'corp' }).url)
  const state = visited
    .find((url) => url.searchParams.has('state') && url.origin === idp.issuer)
    ?.searchParams.get('state')
  const callback = `/callback/corp?${new URLSearchParams({ code: 'x', state: state ?? '' })}`
  return { login: page(who, loginPath(who)), callback: page(who, callback) }
}

/** Something to ask of every route that needs the store. */
async function questions(): Promise<{ asks: Readonly<Record<string, Ask>>; refreshToken: string }> {
  const { refresh_token: refreshToken } = await tokensOf(gateway, 'kubectl', 'ada')
  const known = person()
  const request = authorization(gateway, 'kubectl')
  const code = (await signIn(known, request, 'ada')).get('code') ?? ''
  const own = authorization(gateway, 'own', { scope: 'openid' })
  const ownCode = (await signIn(person(), own, 'ada')).get('code')
  const { body: opaque } = await redeem(gateway, { code: ownCode, verifier: own.verifier }, { headers: asOwn })
  const token = opaque['access_token'] ?? ''
  const { body: device } = await gateway.post('/device/auth', { client_id: 'openstack', scope: 'openid' })
  const enters = person()
  const entry = await enters.get(new URL('/device', gateway.issuer))
  const pushed = Object.fromEntries(authorization(gateway, 'kubectl').url.searchParams)
  const poll = { grant_type: DEVICE, client_id: 'openstack', device_code: device['device_code'] ?? '' }
  const asks: Record<string, Ask> = {
    ...(await travellers()),
    'a first authorization': page(person(), authorization(gateway, 'kubectl').url),
    'single sign-on': page(known, authorization(gateway, 'kubectl').url),
    'a code': async () => {
      const { status, body } = await redeem(gateway, { code, verifier: request.verifier, client: 'kubectl' })
      return { status, error: body['error'] }
    },
    'a refresh': form('/token', { grant_type: 'refresh_token', client_id: 'kubectl', refresh_token: refreshToken }),
    'a device': form('/device/auth', { client_id: 'kubectl' }),
    'a poll': form('/token', poll),
    'the device page': page(person(), '/device'),
    'a user code': () => enters.submit(entry, entry.form(), { user_code: device['user_code'] }),
    'a pushed request': form('/request', pushed),
    userinfo: async () => fetch(`${gateway.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } }),
    introspection: form('/token/introspection', { token }, asOwn),
    revocation: form('/token/revocation', { token: opaque['refresh_token'] ?? '' }, asOwn),
    logout: page(known, '/logout'),
    readyz: () => fetch(`${gateway.issuer}/readyz`),
    'readyz of operators': () =>
      gateway.app.ready().then(
        () => ({ status: 200 }),
        () => ({ status: 503 }),
      ),
  }
  return { asks, refreshToken }
}

/** What each answered, and whether it came within a second. */
async function told(asks: Readonly<Record<string, Ask>>): Promise<ReadonlyMap<string, Told>> {
  const all = Object.entries(asks).map(async ([name, ask]) => {
    let answer: Told = { status: 0 }
    const took = await milliseconds(async () => {
      answer = await ask()
    })
    assert.ok(took < 1000, `${name} took ${took.toFixed()} ms`)
    return [name, answer] as const
  })
  return new Map(await Promise.all(all))
}

/** 503 everywhere; in OAuth's words for programs, and in the only ones that a device client lives through. */
function allDown(answers: ReadonlyMap<string, Told>): void {
  for (const [name, { status, error }] of answers) {
    assert.equal(status, name === 'a poll' ? 400 : 503, name)
    if (name === 'a poll') assert.equal(error, 'authorization_pending')
    else if (error !== undefined) assert.equal(error, 'temporarily_unavailable', name)
  }
}

/** The pause after a failure is a second; nobody has to do anything about it. */
async function recovers(): Promise<void> {
  const until = performance.now() + 5000
  while ((await fetch(`${gateway.issuer}/readyz`)).status !== 200) {
    assert.ok(performance.now() < until, 'it does not recover')
    await delay(50)
  }
}

/** Another process holds the write lock meanwhile. */
async function whileLocked(use: () => Promise<void>): Promise<void> {
  const holder = new DatabaseSync(join(gateway.folder, 'lotse.db'))
  holder.exec('begin immediate')
  try {
    await use()
  } finally {
    holder.close()
  }
  await recovers()
}

async function goesOn(refreshToken: string): Promise<void> {
  await recovers()
  assert.equal((await refresh(gateway, 'kubectl', refreshToken)).status, 200, 'the refresh that failed cost nothing')
  assert.ok((await signIn(person(), authorization(gateway, 'kubectl'), 'ada')).has('code'))
}

for (const way of ['closed', 'hung'] as const) {
  test(`a ${way} store is 503 within a second at every route, and costs nobody anything`, async () => {
    const { asks, refreshToken } = await questions()
    mode = way
    allDown(await told(asks))
    allDown(await told(asks))
    mode = 'well'
    await goesOn(refreshToken)
  })
}

test('a page that failed for want of the store asks for itself again, and one that answers a form does not', async () => {
  const { url } = authorization(gateway, 'kubectl')
  const entry = await person().get(new URL('/device', gateway.issuer))
  mode = 'closed'
  const headers = { accept: 'text/html' }
  const page = await fetch(url, { headers })
  assert.equal(page.status, 503)
  assert.equal(page.headers.get('retry-after'), '2')
  assert.match(page.headers.get('content-security-policy') ?? '', /connect-src 'self'/)
  assert.match(await page.text(), /fetch\('\/readyz'/)
  const form = await fetch(new URL(entry.form().action, gateway.issuer), { method: 'POST', headers })
  assert.ok(!/readyz/.test(await form.text()))
  mode = 'well'
  await recovers()
})

const document = async (path: string) => {
  const answer = await fetch(gateway.issuer + path)
  return `${answer.status} ${await answer.text()}`
}

for (const way of ['closed', 'hung', 'late'] as const)
  test(`keys and metadata are answered to the letter while the store is ${way}, also for the first time after a reload`, async () => {
    const documents = async () => {
      let all: readonly string[] = []
      const took = await milliseconds(async () => {
        all = await Promise.all(['/jwks', '/jwks/keystone-cloud', '/.well-known/openid-configuration'].map(document))
      })
      assert.ok(took < LATE / 2, `${took} ms`)
      return all
    }
    const before = await documents()
    await gateway.reload(config)
    mode = way
    assert.deepEqual(await documents(), before)
    assert.deepEqual(await documents(), before)
    assert.ok(before.every((text) => text.startsWith('200 {')))
  })

const locks = remote ? 'Redis has no lock that another process could hold' : false

test('a store that another process has locked is 503 within a second, or answers what needs no write', {
  skip: locks,
}, async () => {
  const { asks, refreshToken } = await questions()
  // One alone at first: the waits of one request must not stand in a row.
  for (const name of ['single sign-on', 'the device page'])
    await whileLocked(async () => assert.equal((await told({ [name]: asks[name]! })).get(name)?.status, 503, name))
  await whileLocked(async () => {
    for (const [name, { status, error }] of await told(asks)) {
      if (name.startsWith('readyz') || name === 'a device') assert.equal(status, 503, name)
      assert.ok(status === 503 || status < 400 || error === 'authorization_pending', `${name}: ${status} ${error}`)
    }
  })
  await goesOn(refreshToken)
})

test('what a store did and told too late gives a retry the one successor, and nothing twice', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  mode = 'late'
  const fields = { grant_type: 'refresh_token', client_id: 'kubectl', refresh_token }
  const lost = (await told({ lost: form('/token', fields) })).get('lost')
  mode = 'well'
  assert.deepEqual([lost?.status, lost?.error], [503, 'temporarily_unavailable'])
  await recovers()
  const [first, second] = [
    await refresh(gateway, 'kubectl', refresh_token),
    await refresh(gateway, 'kubectl', refresh_token),
  ]
  assert.equal(first.status, 200)
  assert.equal(second.body['refresh_token'], first.body['refresh_token'])
})

test('where the grant of a sign-in cannot be written, its answer leads nowhere, and no proof stays on which anything would rest', async () => {
  const proofs = async () => (await gateway.store.list(kinds.Proof, 1000)).length
  const before = await proofs()
  const who = person()
  const there = await who.get(authorization(gateway, 'kubectl', { connector: 'corp' }).url)
  broken = kinds.Grant
  const { status, headers } = await pickPerson(who, there, 'ada')
  assert.deepEqual([status, headers.get('location')], [503, null])
  assert.equal(await proofs(), before)
})
