import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Page } from '../support/browser.ts'
import { browser } from '../support/browser.ts'
import { startGateway } from '../support/gateway.ts'
import { type Ground, groundEnv, refusedWith, startGround, visitor } from '../support/ground.ts'
import { loginPath } from '../support/sign-in.ts'

/* Guessing a user code, and what somebody may do with a page of the device flow that is not theirs. */

let ground: Ground
before(async () => {
  ground = await startGround()
})
after(() => ground.close())

const page = (who: Browser, query = '') => who.get(new URL(`/device${query}`, ground.gateway.issuer))
const start = async (client = 'kubectl') => {
  const { body } = await ground.gateway.post('/device/auth', { client_id: client, scope: 'openid' })
  return body as unknown as { user_code: string; device_code: string; interval: number }
}
const poll = async (device_code: string, client_id = 'kubectl') =>
  (
    await ground.gateway.post('/token', {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code,
      client_id,
    })
  ).body
const guess = async (who: Browser, code: string): Promise<Page> => {
  const form = await page(who)
  return who.submit(form, form.form(), { user_code: code })
}

/** Somebody's cookies of a sign-in, as another host of the same domain can plant them; `__Host-` ones it could not. */
const pathScoped = (who: Browser) =>
  who
    .cookies()
    .filter(({ path }) => path !== '/')
    .map(({ name, value }) => `${name}=${value}`)
    .join('; ')

test('who confirmed a code cannot have another person sign in for it by planting cookies, nor sign her in as himself', async () => {
  const { user_code, device_code } = await start()
  const mallory = visitor(ground.gateway)
  const confirmed = await guess(mallory, user_code)
  await mallory.submit(confirmed, confirmed.form(), { confirm: 'yes' })
  const uid = loginPath(mallory)
  const cookie = pathScoped(mallory)
  assert.match(cookie, /lotse-interaction=.*lotse-resume=/)
  const headers = { cookie }
  for (const path of [`${uid}?connector=corp`, `${uid}/finish`, `${uid}/leave`]) {
    const page = await visitor(ground.gateway).send(new URL(path, ground.gateway.issuer), { headers })
    assert.equal(refusedWith(page, 400, /sign-in is over/), undefined, path)
  }
  // He goes on himself, to the last step before his session, and plants that.
  const door = await mallory.get(new URL(`${uid}?connector=corp`, ground.gateway.issuer))
  const answer = ground.corp.answer(new URL(door.headers.get('location') ?? ''))
  let step = await mallory.send(answer)
  while (!step.headers.get('location')?.includes('/device/'))
    step = await mallory.send(new URL(step.headers.get('location') ?? '', ground.gateway.issuer))
  for (const path of [new URL(step.headers.get('location') ?? '').pathname, '/auth/any', '/device/any']) {
    const ada = visitor(ground.gateway)
    const page = await ada.send(new URL(path, ground.gateway.issuer), { headers: { cookie: pathScoped(mallory) } })
    assert.equal(refusedWith(page, 400, /sign-in is over/), undefined, path)
    assert.deepEqual(
      ada.cookies().filter(({ name }) => name.includes('session')),
      [],
    )
  }
  const done = await mallory.get(new URL(step.headers.get('location') ?? ''))
  assert.equal(done.status, 200)
  assert.ok(((await poll(device_code)) as Record<string, string>)['access_token'])
})

test('after 20 wrong user codes an address is heard no more, and a code of its own does not help it', async () => {
  // The gateway trusts nobody's X-Forwarded-For here, so all of this comes from one address.
  const who = visitor(ground.gateway)
  for (let n = 0; n < 20; n += 1) {
    const wrong = await guess(who, `BCDF-GH${'BCDFGHJKLMNPQRSTVWXZ'[n]}Z`)
    assert.equal(wrong.status, 400, `guess ${n + 1}`)
    assert.ok(wrong.forms.length > 0, 'the page lets a person try again')
  }
  const form = await page(visitor(ground.gateway))
  const refused = await who.submit(form, form.form(), { user_code: (await start()).user_code })
  assert.equal(refusedWith(refused, 429, /Too many attempts/), undefined)
  const json = await ground.gateway.post(
    '/device',
    { user_code: 'BCDF-GHJK' },
    { accept: 'application/json', 'x-forwarded-for': '10.9.9.9' },
  )
  assert.equal(json.status, 429)
  assert.match(json.body['error_id'] ?? '', /^[0-9A-Z]{4}-[0-9A-Z]{4}$/)
})

test('while one address is refused, others behind the same proxy go on', async () => {
  const config = `
trustedProxies: [127.0.0.1]
connectors: [{ id: corp, type: oidc, label: C, issuer: ${ground.corp.issuer}, clientId: lotse, clientSecret: { env: SECRET }, domain: corp }]
targets: [{ id: prod, type: kubernetes, label: P, server: https://10.0.0.1:6443, audience: k8s-prod }]
clients: [{ id: kubectl, native: true, target: prod, redirectUris: ['http://127.0.0.1/cb'], grants: [code, device] }]
rules: [{ name: all, from: [corp], give: [{ target: prod, group: x-all }] }]
`
  const gateway = await startGateway({ config, env: groundEnv })
  try {
    const from = (address: string) => browser({ headers: { 'x-forwarded-for': address } })
    const tryOne = async (address: string) => {
      const who = from(address)
      const form = await who.get(new URL('/device', gateway.issuer))
      return who.submit(form, form.form(), { user_code: 'BCDF-GHJK' })
    }
    for (let n = 0; n < 20; n += 1) await tryOne('203.0.113.5')
    assert.equal((await tryOne('203.0.113.5')).status, 429)
    // What the guesser writes in front of the proxy's hop is not believed.
    assert.equal((await tryOne('198.51.100.77, 203.0.113.5')).status, 429)
    assert.equal((await tryOne('203.0.113.6')).status, 400)
    // A subscriber of IPv6 has a /64 of addresses and may take a new one for each guess (RFC 8628, section 5.1).
    for (let n = 1; n <= 20; n += 1) await tryOne(`2001:db8:1:2:${n.toString(16)}::${n}`)
    assert.equal((await tryOne('2001:db8:1:2::ffff')).status, 429)
    assert.equal((await tryOne('2001:db8:1:3::1')).status, 400)
  } finally {
    await gateway.close()
  }
})

test('a link with a user code fills the form in and confirms nothing by itself', async () => {
  const { user_code, device_code } = await start()
  const who = visitor(ground.gateway)
  const shown = await page(who, `?user_code=${user_code}`)
  assert.equal(shown.status, 200)
  assert.ok(shown.text.includes(user_code))
  assert.equal((await poll(device_code))['error'], 'authorization_pending')
})

test('a form of the device page posted from another site, without its secret, confirms nothing', async () => {
  const { user_code, device_code } = await start()
  for (const fields of [
    { user_code, confirm: 'yes' },
    { user_code, confirm: 'yes', xsrf: 'x' },
    { user_code, confirm: 'yes', xsrf: '' },
  ]) {
    const who = visitor(ground.gateway)
    const url = new URL('/device', ground.gateway.issuer)
    await who.get(url)
    const body = new URLSearchParams(fields)
    const answer = await who.send(url, { method: 'POST', body, from: new URL('http://localhost:1') })
    assert.ok(answer.status >= 400 || !answer.headers.get('location'), `${answer.status}`)
  }
  assert.equal((await poll(device_code))['error'], 'authorization_pending')
})

test('a device code polled by another client, or cut, or another’s user code, gives nothing', async () => {
  const { user_code, device_code } = await start()
  assert.equal((await poll(device_code, 'openstack'))['error'], 'invalid_grant')
  for (const bad of [user_code, device_code.slice(0, -1), '', '__proto__', 'a'.repeat(5000)]) {
    assert.match((await poll(bad))['error'] ?? '', /^invalid_(grant|request)$/, bad.slice(0, 50))
  }
  assert.equal((await poll(device_code))['error'], 'authorization_pending')
})

test('a device sign-in that another browser tries to go on with ends there', async () => {
  for (const path of ['/device/AAAA', `/device/${'A'.repeat(43)}`]) {
    const lost = await visitor(ground.gateway).get(new URL(path, ground.gateway.issuer))
    assert.equal(refusedWith(lost, 400, /sign-in is over/), undefined)
  }
})
