import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Page } from '../support/browser.ts'
import { corpus } from '../support/corpora.ts'
import { begin, finishHonestly, type Ground, startGround, visitor } from '../support/ground.ts'
import { authorization, CALLBACK } from '../support/sign-in.ts'

/* Wherever an address can be slipped in, no Location leads anywhere but to us, an upstream, or a registered client. */

let ground: Ground
before(async () => {
  ground = await startGround()
})
after(() => ground.close())

const few = [
  'https://evil.example/cb',
  '//evil.example/cb',
  '/\\evil.example',
  'http://127.0.0.1:1@evil.example/cb',
  'http://127.0.0.1.evil.example/cb',
  'http://127.0.0.1:1/cb/../evil',
  'http://127.0.0.1:1/cb#evil',
  'http://127.0.0.1:1/cb?x=//evil.example',
  'http://127.0.0.1:1/cb%2f..%2fevil',
  'http://127.0.0.1:1/CB',
  'http://localhost:1/cb',
  'http://[::1]:1/cb',
  'http://2130706433:1/cb',
  'http://127.1:1/cb',
  'http://127.0.0.1:1\\@evil.example/cb',
  'http://127.0.0.1:1/cb\r\nLocation: http://evil.example',
  'https://127.0.0.1:1/cb',
  'javascript:alert(1)//http://127.0.0.1/cb',
  'data:text/html,<script>alert(1)</script>',
  'urn:ietf:wg:oauth:2.0:oob',
  '\u0000http://127.0.0.1:1/cb',
  ' http://127.0.0.1:1/cb',
  'http://127.0.0.1:1/cb ',
]

const allowed = (location: URL) =>
  [ground.gateway.issuer, ground.corp.issuer, ground.rival.issuer].includes(location.origin) ||
  (location.hostname === '127.0.0.1' && location.pathname === '/cb' && location.hash === '') ||
  location.href.startsWith('http://127.0.0.1:1/bye')

/** Follows nothing; says where an answer leads if it may not. */
function leadsAstray(page: Page, url: URL): string | undefined {
  const location = page.headers.get('location')
  if (page.status >= 500) return `${page.status} for ${url.href}`
  const refresh = page.headers.get('refresh') ?? /http-equiv="?refresh/i.exec(page.text)?.[0]
  if (refresh) return `a refresh on ${url.href}`
  if (location === null) return undefined
  return allowed(new URL(location, url)) ? undefined : `${url.href} leads to ${location}`
}

/** Every place at which an address, or a part of one, can be put. */
const places: Readonly<Record<string, (payload: string) => URL>> = {
  redirect_uri: (payload) => authorization(ground.gateway, 'kubectl', { redirect_uri: payload || '-' }).url,
  'redirect_uri with prompt none': (payload) =>
    authorization(ground.gateway, 'kubectl', { redirect_uri: payload || '-', prompt: 'none' }).url,
  'redirect_uri of nobody': (payload) => authorization(ground.gateway, 'nobody', { redirect_uri: payload || '-' }).url,
  post_logout_redirect_uri: (payload) =>
    at('/logout', { client_id: 'web', post_logout_redirect_uri: payload, state: payload }),
  ticket: (payload) => at('/callback/post', { ticket: payload }),
  'state at the callback': (payload) => at('/callback/corp', { state: payload, code: payload, RelayState: payload }),
  'words that applications use': (payload) =>
    at('/auth', { next: payload, url: payload, returnTo: payload, return_to: payload, target_link_uri: payload }),
  'lang and connector of the device page': (payload) => at('/device', { lang: payload, user_code: payload }),
  'lang of the signed-out page': (payload) => at('/logout/success', { lang: payload, client_id: payload }),
  'the path': (payload) => {
    const url = new URL(ground.gateway.issuer)
    url.pathname = `/${payload}`
    return url
  },
}

function at(path: string, query: Readonly<Record<string, string>>): URL {
  const url = new URL(path, ground.gateway.issuer)
  url.search = new URLSearchParams(query).toString()
  return url
}

async function tryAll(payloads: readonly string[]): Promise<void> {
  const who = visitor(ground.gateway)
  for (const [place, make] of Object.entries(places)) {
    for (const payload of payloads) {
      const url = make(payload)
      assert.equal(leadsAstray(await who.send(url), url), undefined, `${place}: ${payload}`)
    }
  }
}

test('no address that is slipped in anywhere leads off the gateway', () => tryAll(few))

test(
  'the payloads of PayloadsAllTheThings lead nowhere',
  corpus('lists', 'payloadsallthethings', 'Open Redirect'),
  async (t) => {
    const folder = join(corpus('lists', 'payloadsallthethings', 'Open Redirect').path, 'Intruder')
    const names = ['Open-Redirect-payloads.txt', 'open_redirect_wordlist.txt', 'openredirects.txt']
    const files = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))
    const payloads = new Set(files.flatMap((file) => file.split(/\r?\n/)).filter((line) => line !== ''))
    await tryAll([...payloads])
    t.diagnostic(`${payloads.size} payloads at ${Object.keys(places).length} places`)
  },
)

test('a request whose redirect URI is not registered ends on our page, also with an error to be told', async () => {
  for (const payload of few) {
    for (const more of [{}, { scope: 'nonsense' }, { response_type: 'token' }, { request: 'x' }]) {
      const { url } = authorization(ground.gateway, 'kubectl', { ...more, redirect_uri: payload })
      const page = await visitor(ground.gateway).send(url)
      // A loopback address of another port is the one that a native client may choose (RFC 8252, section 7.3).
      assert.equal(page.status, 400, `${payload}: ${page.headers.get('location')}`)
      assert.equal(page.headers.get('location'), null)
    }
  }
})

test('a registered address that has other parameters first is still the whole registered address', async () => {
  const { url } = authorization(ground.gateway, 'kubectl')
  url.searchParams.append('redirect_uri', 'https://evil.example/cb')
  const page = await visitor(ground.gateway).send(url)
  assert.equal(leadsAstray(page, url), undefined)
  assert.equal(page.status, 400)
})

test('an error goes back to the client by the registered address only, whatever response_mode says', async () => {
  for (const mode of [
    'query',
    'fragment',
    'form_post',
    'web_message',
    'jwt',
    'query.jwt',
    '<script>',
    'https://evil.example',
  ]) {
    const { url } = authorization(ground.gateway, 'kubectl', { response_mode: mode, prompt: 'none' })
    const page = await visitor(ground.gateway).send(url)
    assert.ok(page.status < 500, mode)
    const where = page.headers.get('location') ?? page.forms[0]?.action.href ?? CALLBACK
    assert.ok(where.startsWith(CALLBACK), `${mode}: ${where}`)
    assert.doesNotMatch(page.text, /evil\.example["']/)
  }
})

test('response modes and types that would put a code or token into a fragment give none', async () => {
  const begun = await begin(ground)
  await finishHonestly(begun, ground.corp)
  for (const more of [
    { response_mode: 'fragment' },
    { response_type: 'token' },
    { response_type: 'id_token' },
    { response_type: 'id_token token' },
    { response_type: 'code id_token' },
    { response_type: 'code token' },
    { response_type: 'none' },
  ]) {
    const page = await begun.who.send(authorization(ground.gateway, 'kubectl', more).url)
    const location = page.headers.get('location') ?? ''
    const fragment = new URLSearchParams(new URL(location || 'about:none').hash.slice(1))
    assert.deepEqual([fragment.get('access_token'), fragment.get('id_token')], [null, null], location)
    if ('response_type' in more)
      assert.match(location + page.text, /unsupported_response_type|unauthorized_client|invalid_request/)
  }
})

test('an upstream cannot be made to answer anywhere but at its own callback', async () => {
  const begun = await begin(ground)
  for (const query of [
    '?connector=corp&redirect_uri=https://evil.example',
    '?connector=corp&returnTo=//evil.example',
  ]) {
    const page = await begun.who.send(new URL(`/login/${begun.uid}${query}`, ground.gateway.issuer))
    const asked = new URL(page.headers.get('location')!)
    assert.equal(asked.searchParams.get('redirect_uri'), `${ground.gateway.issuer}/callback/corp`)
  }
})
