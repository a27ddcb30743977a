import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { kinds } from '../../src/store/kinds.ts'
import {
  type Begun,
  begin,
  bring,
  finishHonestly,
  type Ground,
  redeem,
  refusedWith,
  startGround,
  visitor,
} from '../support/ground.ts'
import { authorization, toldAt } from '../support/sign-in.ts'

/* Attacks on the walk between browser, gateway and upstream. Mallory has an account of her own and can send links. */

let ground: Ground
before(async () => {
  ground = await startGround()
})
after(() => ground.close())

const honestAnswer = ({ asked }: Begun) => ground.corp.answer(asked)
const cookieOf = ({ who }: Begun, name: string) => who.cookies().find((cookie) => cookie.name.endsWith(name))?.value
const loginsSoFar = () => ground.gateway.events.filter(({ event }) => event === 'login.success').length

async function stillFinishes(begun: Begun, rogue = ground.corp): Promise<void> {
  const told = await finishHonestly(begun, rogue)
  const { status } = await redeem(ground, told.get('code') ?? '', begun.verifier)
  assert.equal(status, 200)
}

test('an answer that arrives in another browser is refused there, and the browser that began can still finish', async () => {
  const ada = await begin(ground)
  const answer = honestAnswer(ada)
  const before = loginsSoFar()
  for (const thief of [visitor(ground.gateway), (await begin(ground)).who]) {
    const page = await thief.get(answer)
    assert.equal(refusedWith(page, 400, /begun in another browser/), undefined)
  }
  assert.equal(ground.corp.redeemed.length, 0, 'the code was spent for a stranger')
  assert.equal(loginsSoFar(), before)
  assert.ok(toldAt(await ada.who.get(answer)).get('code'))
})

test('login CSRF: a victim who is sent the address of the attacker’s answer is not signed in as the attacker', async () => {
  const mallory = await begin(ground)
  const victim = await begin(ground)
  const page = await victim.who.get(honestAnswer(mallory))
  assert.equal(refusedWith(page, 400, /begun in another browser/), undefined)
  assert.equal(cookieOf(victim, 'lotse-session'), undefined)
  await stillFinishes(victim)
})

test('login CSRF by a form that posts the attacker’s answer from another site is refused, too', async () => {
  const mallory = await begin(ground, { connector: 'post' })
  const victim = await begin(ground, { connector: 'post' })
  const page = await bring(victim.who, honestAnswer(mallory), { method: 'POST' })
  assert.equal(refusedWith(page, 400, /begun in another browser/), undefined)
  assert.equal(cookieOf(victim, 'lotse-session'), undefined)
  const told = toldAt(await bring(victim.who, honestAnswer(victim), { method: 'POST' }))
  assert.ok(told.get('code'))
})

test('a swapped, missing, doubled or invented state is refused and spends nothing', async () => {
  const [one, two] = [await begin(ground), await begin(ground)]
  const asked = ground.corp.redeemed.length
  const answers = [
    ['begun in another browser', (url: URL) => url.searchParams.set('state', two.asked.searchParams.get('state')!)],
    ['sign-in is over', (url: URL) => url.searchParams.delete('state')],
    ['sign-in is over', (url: URL) => url.searchParams.set('state', 'A'.repeat(43))],
    ['sign-in is over', (url: URL) => url.searchParams.set('state', '__proto__')],
    ['sign-in is over', (url: URL) => url.searchParams.set('state', '\ud800'.repeat(600))],
    ['sign-in is over', (url: URL) => (url.search = '')],
  ] as const
  for (const [words, change] of answers) {
    const url = honestAnswer(one)
    change(url)
    assert.equal(refusedWith(await one.who.get(url), 400, new RegExp(words)), undefined, url.href)
  }
  assert.equal(ground.corp.redeemed.length, asked)
  await stillFinishes(one)
})

test('a state doubled in the address lets nobody in whose own state is not the only one', async () => {
  const one = await begin(ground)
  const url = honestAnswer(one)
  url.searchParams.append('state', 'another')
  const told = toldAt(await one.who.get(url))
  assert.equal(told.get('error'), 'access_denied')
  assert.equal(told.get('code'), null)
})

test('two sign-ins of one browser whose answers are swapped between the tabs end each as what it began as', async () => {
  const who = visitor(ground.gateway)
  const first = await begin(ground, { who })
  const second = await begin(ground, { who, client: 'openstack' })
  const told = toldAt(await who.get(honestAnswer(first)))
  assert.equal((await redeem(ground, told.get('code')!, first.verifier)).status, 200)
  const other = toldAt(await who.get(honestAnswer(second)))
  const wrong = await redeem(ground, other.get('code')!, second.verifier)
  assert.equal(wrong.body['error'], 'invalid_grant', 'a code of openstack, redeemed by kubectl')
})

test('an upstream ID token for another nonce ends in access_denied', async () => {
  const [one, two] = [await begin(ground), await begin(ground)]
  const honest = ground.corp.scheme.claims
  ground.corp.scheme.claims = (claims) => ({ ...honest(claims), nonce: two.asked.searchParams.get('nonce') })
  const told = await finishHonestly(one, ground.corp)
  ground.corp.scheme.claims = honest
  assert.equal(told.get('error'), 'access_denied')
  await stillFinishes(two)
})

test('an answer with the iss of another upstream, or none though one was promised, ends in access_denied', async () => {
  for (const iss of [ground.rival.issuer, 'https://login.example', `${ground.corp.issuer}/`, '']) {
    const one = await begin(ground)
    const told = toldAt(await one.who.get(ground.corp.answer(one.asked, { iss })))
    assert.equal(told.get('error'), 'access_denied', iss)
  }
  const one = await begin(ground)
  const bare = ground.corp.answer(one.asked)
  bare.searchParams.delete('iss')
  assert.equal(toldAt(await one.who.get(bare)).get('error'), 'access_denied')
})

test('mix-up: the answer of one upstream at the callback of the other is refused, and the code reaches neither', async () => {
  const one = await begin(ground)
  const counts = () => [ground.corp.redeemed.length, ground.rival.redeemed.length]
  const before = counts()
  const answer = honestAnswer(one)
  answer.pathname = '/callback/rival'
  assert.equal(refusedWith(await one.who.get(answer), 400, /./), undefined)
  answer.pathname = '/callback/post'
  assert.equal(refusedWith(await one.who.get(answer), 400, /./), undefined)
  assert.deepEqual(counts(), before)
  await stillFinishes(one)
})

test('mix-up: a browser sent to the rival, answered by the honest upstream’s code, gives the rival nothing', async () => {
  const [victim, other] = [await begin(ground), await begin(ground, { connector: 'rival' })]
  const answer = ground.corp.answer(victim.asked)
  const sent = new URL(answer)
  sent.pathname = '/callback/rival'
  sent.searchParams.set('state', other.asked.searchParams.get('state')!)
  const told = toldAt(await other.who.get(sent))
  assert.equal(told.get('error'), 'access_denied')
  assert.ok(!ground.rival.redeemed.some((body) => body.get('code') === answer.searchParams.get('code')))
})

test('the path of another’s interaction, with or without its cookie, ends nothing and shows nothing', async () => {
  const [ada, mallory] = [await begin(ground), await begin(ground)]
  for (const path of [`/login/${ada.uid}`, `/login/${ada.uid}/finish`, `/login/${ada.uid}/leave`]) {
    const page = await mallory.who.get(new URL(path, ground.gateway.issuer))
    assert.equal(refusedWith(page, 400, /sign-in is over/), undefined, path)
    // The cookie of her own interaction, sent by hand to a path where no browser would send it.
    const name = mallory.who.cookies().find((one) => one.path.includes(mallory.uid))!
    const sig = mallory.who.cookies().find((one) => one.name === `${name.name}.sig`)
    const cookie = `${name.name}=${name.value}; ${name.name}.sig=${sig?.value}`
    const forced = await visitor(ground.gateway).send(new URL(path, ground.gateway.issuer), { headers: { cookie } })
    assert.equal(refusedWith(forced, 400, /sign-in is over/), undefined, path)
  }
  await stillFinishes(ada)
})

test('an interaction cookie with another’s uid in it is refused: its signature does not fit', async () => {
  const [ada, mallory] = [await begin(ground), await begin(ground)]
  const own = mallory.who.cookies().filter((one) => one.path.includes(mallory.uid))
  assert.ok(own.length >= 2, 'the interaction cookie and its signature')
  const cookie = own.map((one) => `${one.name}=${one.value.replaceAll(mallory.uid, ada.uid)}`).join('; ')
  const path = new URL(`/login/${ada.uid}`, ground.gateway.issuer)
  const page = await visitor(ground.gateway).send(path, { headers: { cookie } })
  assert.equal(refusedWith(page, 400, /sign-in is over/), undefined)
})

test('a session fixed before the login is not the session after it', async () => {
  const mallory = await begin(ground)
  await stillFinishes(mallory)
  const who = visitor(ground.gateway)
  const page = await who.get(authorization(ground.gateway, 'kubectl', { connector: 'corp' }).url)
  const planted = who.cookies().filter(({ name }) => name.includes('session'))
  const asked = new URL(page.headers.get('location')!)
  await who.get(ground.corp.answer(asked))
  const later = who.cookies().filter(({ name }) => name.includes('session'))
  assert.ok(later.length > 0)
  for (const old of planted) assert.ok(!later.some(({ value }) => value === old.value), `${old.name} did not change`)
  // What the attacker planted opens nothing.
  const cookie = planted.map(({ name, value }) => `${name}=${value}`).join('; ')
  const url = authorization(ground.gateway, 'kubectl', { prompt: 'none' }).url
  const silent = await visitor(ground.gateway).send(url, { headers: { cookie } })
  assert.equal(new URL(silent.headers.get('location')!).searchParams.get('error'), 'login_required')
})

test('a session cookie that was invented or whose signature was cut is no session', async () => {
  const one = await begin(ground)
  await stillFinishes(one)
  const session = cookieOf(one, 'lotse-session')!
  const sig = cookieOf(one, 'lotse-session.sig')!
  const silent = async (cookie: string) => {
    const { url } = authorization(ground.gateway, 'kubectl', { prompt: 'none' })
    const page = await visitor(ground.gateway).send(url, { headers: { cookie } })
    return new URL(page.headers.get('location')!).searchParams
  }
  assert.ok((await silent(`lotse-session=${session}; lotse-session.sig=${sig}`)).get('code'), 'the control')
  for (const bad of [
    `lotse-session=${session}`,
    `lotse-session=${session}; lotse-session.sig=`,
    `lotse-session=${session}; lotse-session.sig=${sig.slice(0, -2)}`,
    `lotse-session=${'A'.repeat(session.length)}; lotse-session.sig=${sig}`,
    `lotse-session=__proto__; lotse-session.sig=${sig}`,
  ]) {
    assert.equal((await silent(bad)).get('error'), 'login_required', bad)
  }
})

test('cookies planted in a browser do not let the attacker who knows them bring the answer of a sign-in that begins there later', async () => {
  const mallory = await begin(ground)
  const planted = mallory.who.cookies().map(({ name, value }) => `${name}=${value}`)
  assert.ok(planted.some((pair) => pair.startsWith('lotse-browser-')))
  const who = visitor(ground.gateway)
  const { url, verifier } = authorization(ground.gateway, 'kubectl', { connector: 'corp' })
  const first = await who.send(url, { headers: { cookie: planted.join('; ') } })
  const victim = { who, asked: new URL(first.headers.get('location')!), uid: '', verifier }
  const page = await mallory.who.get(honestAnswer(victim))
  assert.equal(refusedWith(page, 400, /begun in another browser/), undefined)
  await stillFinishes(victim)
})

test('the cookie of one sign-in of a browser brings no answer of another one of the same browser', async () => {
  const one = await begin(ground)
  const mine = one.who.cookies().find(({ name }) => name.startsWith('lotse-browser-'))
  const two = await begin(ground, { who: one.who })
  const cookie = `${mine?.name}=${mine?.value}`
  const page = await visitor(ground.gateway).send(honestAnswer(two), { headers: { cookie } })
  assert.equal(refusedWith(page, 400, /begun in another browser/), undefined)
  await stillFinishes(two)
  await stillFinishes(one)
})

test('a cookie with the name of a sign-in’s own, and anything else in it, brings no answer', async () => {
  const one = await begin(ground)
  const { name = '', value = '' } = one.who.cookies().find((each) => each.name.includes('lotse-browser-')) ?? {}
  const other = await begin(ground)
  const foreign = cookieOf(other, other.who.cookies().find((each) => each.name.includes('lotse-browser-'))?.name ?? '')
  for (const made of ['', 'x', foreign, value.slice(1), `${value}x`, `"${value}"`, `; ${name}=${value}x`]) {
    const headers = { cookie: `a=b; ${name}=${made}` }
    const page = await visitor(ground.gateway).send(honestAnswer(one), { headers })
    assert.equal(refusedWith(page, 400, /begun in another browser/), undefined, made)
  }
  await stillFinishes(one)
})

test('a sign-in leaves none of its own cookies behind in the browser', async () => {
  const one = await begin(ground)
  await stillFinishes(one)
  assert.deepEqual(
    one.who.cookies().filter(({ name }) => /browser|resume/.test(name)),
    [],
  )
})

test('however often a browser is sent to sign in, few cookies remain in it, and the latest sign-ins still finish', async () => {
  const who = visitor(ground.gateway)
  const begun: Begun[] = []
  for (let n = 0; n < 40; n += 1) begun.push(await begin(ground, { who }))
  const under = who.cookies().filter(({ name }) => name.includes('lotse-browser-'))
  assert.equal(under.length, 16)
  const page = await who.get(honestAnswer(begun[23]!))
  assert.equal(refusedWith(page, 400, /begun in another browser/), undefined)
  for (const one of [begun[24]!, begun[39]!]) await stillFinishes(one)
})

test('cookies that are too many already become fewer with each sign-in, by few headers of each answer', async () => {
  const planted = Array.from({ length: 60 }, (_, n) => `lotse-browser-${String(n).padStart(8, '0')}=x`)
  const cookie = ['other=1', ...planted, 'lotse-browser-\u00e4=x'].join('; ')
  const { url } = authorization(ground.gateway, 'kubectl', { connector: 'corp' })
  const answer = await fetch(url, { redirect: 'manual', headers: { cookie } })
  const gone = answer.headers.getSetCookie().filter((line) => /^lotse-browser-\d{8}=;/.test(line))
  assert.deepEqual(
    gone.map((line) => line.slice(14, 22)),
    ['00000000', '00000001'],
  )
})

test('a parked answer works once: its ticket, used again, is refused', async () => {
  const one = await begin(ground, { connector: 'post' })
  const answer = honestAnswer(one)
  const bare = new URL(answer.pathname, answer)
  const parked = await one.who.send(bare, {
    method: 'POST',
    body: answer.searchParams,
    from: new URL('http://localhost:1'),
  })
  assert.equal(parked.status, 303)
  const ticket = new URL(parked.headers.get('location')!, ground.gateway.issuer)
  assert.equal(ticket.origin, ground.gateway.issuer)
  assert.ok(toldAt(await one.who.get(ticket)).get('code'))
  assert.equal(refusedWith(await one.who.get(ticket), 400, /sign-in is over/), undefined)
})

test('a POST to a callback for which nobody waits is refused and leaves nothing behind', async () => {
  const before = (await ground.gateway.store.list(kinds.Parked, 1000)).length
  for (const state of ['', 'A'.repeat(43), '__proto__', 'constructor']) {
    const body = new URLSearchParams({ state, code: 'x', iss: ground.corp.issuer })
    const page = await visitor(ground.gateway).send(new URL('/callback/post', ground.gateway.issuer), {
      method: 'POST',
      body,
    })
    assert.equal(refusedWith(page, 400, /sign-in is over/), undefined, state)
  }
  assert.equal((await ground.gateway.store.list(kinds.Parked, 1000)).length, before)
})

test('a flood of posted answers for one sign-in is bounded and does not stop it', async () => {
  const before = (await ground.gateway.store.list(kinds.Parked, 1000)).length
  const one = await begin(ground, { connector: 'post' })
  const answer = honestAnswer(one)
  const junk = new URLSearchParams({ state: answer.searchParams.get('state')!, code: 'j'.repeat(2000) })
  const url = new URL('/callback/post', ground.gateway.issuer)
  for (let n = 0; n < 100; n += 1) await visitor(ground.gateway).send(url, { method: 'POST', body: junk })
  const kept = await ground.gateway.store.list(kinds.Parked, 1000)
  assert.equal(kept.length - before, 1, 'one answer is kept for one sign-in')
  assert.ok(toldAt(await bring(one.who, answer, { method: 'POST' })).get('code'))
})
