import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { type ClientConfig, clientSchema } from '../../src/config/clients.ts'
import { type KeystoneConfig, keystoneOptions } from '../../src/targets/keystone/options.ts'
import { keystoneMapping } from '../../src/targets/keystone/print/mapping.ts'
import { probeKeystone } from '../../src/targets/keystone/probe/probe.ts'
import { type Door, type Inside, knock, newDoor } from '../support/keystone-door.ts'

const ISSUER = 'https://login.example'
const HORIZON = 'https://horizon.example/auth/websso/'

function configured(options: Record<string, unknown>): KeystoneConfig {
  const url = 'https://keystone.example/v3'
  return {
    id: 'cloud',
    ...z.strictObject(keystoneOptions).parse({ url, audience: 'keystone', dashboards: [HORIZON], ...options }),
  }
}

const apache = (more: Record<string, unknown> = {}): ClientConfig =>
  clientSchema.parse({
    id: 'keystone',
    target: 'cloud',
    redirectUris: ['https://keystone.example/redirect_uri'],
    ...more,
  })

interface Setup {
  readonly door?: Partial<Door>
  readonly options?: Record<string, unknown>
  readonly client?: Record<string, unknown>
  readonly fetch?: typeof fetch
}

/** What the probe finds at a door that is in order but for what a test changes. */
async function probe({ door: changed = {}, options = {}, client, fetch }: Setup = {}) {
  const door = Object.assign(newDoor(ISSUER, 'keystone'), changed)
  const ports = {
    now: () => 1_800_000_000,
    log: () => {},
    fetch: fetch ?? ((input, init) => knock(door, new Request(input, init))),
  }
  const checks = await probeKeystone(configured(options), { issuer: new URL(ISSUER), clients: [apache(client)] }, ports)
  assert.deepEqual(door.held, [], 'no token of a stranger outlives the check')
  const of = (wanted: (check: (typeof checks)[number]) => boolean) =>
    checks.filter(wanted).map(({ check, found }) => `${check}: ${found}`)
  return {
    bad: of(({ ok }) => !ok),
    notes: of(({ note }) => note === true),
    good: of(({ ok, note }) => ok && !note),
    asked: door.asked,
    text: JSON.stringify(checks),
  }
}

test('a Keystone that is in order has nothing bad, and what a stranger cannot see is said', async () => {
  const { bad, notes, good } = await probe()
  assert.deepEqual(bad, [])
  assert.equal(good.length, 9)
  assert.match(good.join('\n'), /version: Keystone 30 \(2026\.2\) or newer/)
  assert.match(notes.join('\n'), /^mapping: .*compare with lotse print cloud$/)
})

for (const [believes, said] of [
  ['OIDC-', /OIDC-iss/],
  ['OIDC_', /OIDC_iss/],
  ['OIDC_CLAIM_', /OIDC_CLAIM_iss/],
] as const) {
  test(`a stranger's headers ${believes}* that a Keystone believes are found by an issuer that nobody has: no user is made`, async () => {
    const { bad, asked, text } = await probe({ door: { believes: [believes] } })
    assert.equal(bad.length, 1)
    assert.match(bad[0] ?? '', /^forged claims: ANYBODY CAN BECOME ANYBODY/)
    assert.match(bad[0] ?? '', said)
    assert.match(bad[0] ?? '', /HTTP_OIDC_.*mod_proxy_http/)
    assert.doesNotMatch(text, /gAAAA/)
    assert.ok(!asked.includes('DELETE /v3/auth/tokens'))
  })
}

test('a Keystone that holds nobody to an issuer is found by a token; it is given back and printed nowhere', async () => {
  const { bad, asked, text } = await probe({ door: { believes: ['OIDC-'], remoteIds: 'none' } })
  assert.match(bad.join(), /forged claims: ANYBODY.*a token without any sign-in, given back at once; delete the user/)
  assert.ok(asked.includes('DELETE /v3/auth/tokens'))
  assert.doesNotMatch(text, /gAAAA/)
})

test('a web server that keeps such headers out with a page of its own is no hole', async () => {
  const door = newDoor(ISSUER, 'keystone')
  const { bad } = await probe({
    fetch: async (input, init) => {
      const request = new Request(input, init)
      const forged = [...request.headers.keys()].some((name) => name.startsWith('oidc'))
      return forged ? new Response('forbidden', { status: 403 }) : await knock(door, request)
    },
  })
  assert.deepEqual(bad, [])
})

for (const [provider, said] of [
  ['missing', /Could not find Identity Provider: lotse\. Run .*lotse print cloud.* register\.sh/],
  ['disabled', /lotse, with protocol openid: it is disabled there/],
  ['no method', /add openid to \[auth\] methods/],
  ['open', /anybody gets a token without any proof/],
] as const) {
  test(`an identity provider that is ${provider} is said to be so, and forging is not tried in vain`, async () => {
    const { bad, notes, asked, text } = await probe({ door: { provider } })
    assert.equal(bad.length, 1)
    assert.match(bad[0] ?? '', said)
    assert.match(notes.join('\n'), /forged claims: cannot be tried before/)
    assert.equal(asked.includes('DELETE /v3/auth/tokens'), provider === 'open')
    assert.doesNotMatch(text, /gAAAA/)
  })
}

for (const [bearer, said] of [
  ['keystone', /Keystone answers by itself: the web server does not guard this path/],
  ['session', /write AuthType auth-openidc/],
  ['anything', /ANYBODY CAN BECOME ANYBODY: it takes a token with alg none; .* Delete the user lotse-check-unsigned$/],
] as const) {
  test(`a path of bearer tokens that is guarded by ${bearer} is bad`, async () => {
    const { bad } = await probe({ door: { bearer } })
    assert.equal(bad.length, 1)
    assert.match(bad[0] ?? '', said)
  })
}

const asking = (name: string, value: string) => (to: URL) => {
  to.searchParams.set(name, value)
  return to
}
const websso: readonly (readonly [what: string, change: Door['websso'], said: RegExp])[] = [
  ['unguarded', undefined, /does not guard this path/],
  ['to another provider', (to) => new URL(`https://other.example${to.pathname}${to.search}`), /and not to the gateway/],
  ['as another client', asking('client_id', 'horizon'), /OIDCClientID has to be keystone/],
  ['without profile', asking('scope', 'openid'), /does not ask for profile; write OIDCScope/],
  [
    'with another answer address',
    asking('redirect_uri', 'https://old.example/cb'),
    /redirectUris of the client keystone/,
  ],
  ['without PKCE', asking('code_challenge_method', ''), /write OIDCPKCEMethod S256/],
  ['by implicit', asking('response_type', 'id_token'), /add implicit to grants/],
]
for (const [what, change, said] of websso) {
  test(`websso that asks ${what} is bad, by both paths`, async () => {
    const { bad } = await probe({ door: { websso: change } })
    assert.deepEqual(
      bad.map((each) => each.split(':')[0]),
      ['websso', 'websso by protocol'],
    )
    for (const each of bad) assert.match(each, said)
  })
}

test('the implicit way of kolla-ansible is in order for a client that may', async () => {
  const implicit = (to: URL) => asking('response_mode', 'form_post')(asking('response_type', 'id_token')(to))
  assert.deepEqual((await probe({ door: { websso: implicit }, client: { grants: ['implicit'] } })).bad, [])
  const inAddress = asking('response_type', 'id_token')
  const { bad } = await probe({ door: { websso: inAddress }, client: { grants: ['implicit'] } })
  assert.match(bad[0] ?? '', /write OIDCResponseMode form_post/)
})

test('websso that goes over an address of its own first, as with several providers, is followed, and a circle is left', async () => {
  const over = (to: URL) => {
    if (to.origin !== ISSUER) return to
    return new URL(`https://keystone.example/v3/websso/${encodeURIComponent(to.href)}`)
  }
  const { bad } = await probe({ door: { websso: over } })
  assert.match(bad.join(), /in a circle/)
})

test('a dashboard that is not trusted is bad; a command line that is not is a note', async () => {
  const { bad, notes } = await probe({ door: { trusted: [] } })
  assert.deepEqual(bad, [`dashboard: ${HORIZON} is not trusted; add trusted_dashboard = ${HORIZON} to [federation]`])
  assert.match(notes.join('\n'), /v3websso: http:\/\/localhost:9990\/auth\/websso\/ is not trusted/)
})

test('a Keystone too old for the configured mapping is bad, and one before 26.1 lets disabled people in', async () => {
  for (const version of [28, 27, 26]) {
    const { bad } = await probe({ door: { version }, options: { mappingSchema: '3.0' } })
    assert.match(bad.join(), /^mapping schema: 3\.0 is configured and it is older than 29\.0\.0/, String(version))
  }
  assert.deepEqual((await probe({ door: { version: 29 } })).bad, [])
  const { bad, notes } = await probe({ door: { version: 22 }, options: { mappingSchema: '2.0' } })
  assert.deepEqual(bad, [])
  assert.match(notes.join('\n'), /mapping schema: 2\.0 needs Keystone 25[\s\S]*disabled people: before 26\.1\.0/)
})

test('nothing more is asked of what cannot be reached or is no Keystone', async () => {
  const cause = Object.assign(new Error('x'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  const unreachable = await probe({
    fetch: () => Promise.reject(new TypeError('https://keystone.example cannot be reached', { cause })),
  })
  assert.deepEqual(unreachable.bad, [
    'identity API: https://keystone.example/v3: https://keystone.example cannot be reached (DEPTH_ZERO_SELF_SIGNED_CERT); if its certificate is of a CA of your own, name that in ca',
  ])
  const other = await probe({ fetch: async () => new Response('<html>', { status: 200 }) })
  assert.match(other.bad.join(), /is no identity API v3; correct url/)
  assert.equal(other.bad.length, 1)
})

test('a proxy that is busy once is asked again', async () => {
  const door = newDoor(ISSUER, 'keystone')
  const met = new Set<string>()
  const { bad } = await probe({
    fetch: async (input, init) => {
      const request = new Request(input, init)
      const question = JSON.stringify([request.method, request.url, [...request.headers]])
      if (met.has(question)) return await knock(door, request)
      met.add(question)
      return new Response('', { status: 502 })
    },
  })
  assert.deepEqual(bad, [])
  assert.ok(met.size > 10)
})

const reconcile = { user: { name: 'lotse', password: { env: 'P' }, scope: { system: true } } }
const printed = keystoneMapping(configured({ reconcile }), new URL(ISSUER))
const inOrder: Inside = { remoteIds: [ISSUER], mapping: { id: 'lotse', ...printed }, refuses: /^$/ }
const fromInside = (change: Partial<Inside> = {}) =>
  probe({ door: { inside: { ...inOrder, ...change } }, options: { reconcile } })

test("with the gateway's own account it sees that registration and mapping are as printed", async () => {
  const { bad, notes, good, text } = await fromInside()
  assert.deepEqual([bad, notes.filter((each) => !each.startsWith('v3websso'))], [[], []])
  assert.deepEqual(
    good.slice(-4).map((each) => each.split(':')[0]),
    ['own account', 'remote ids', 'protocol', 'mapping'],
  )
  assert.doesNotMatch(text, /gAAAA/)
})

const open = { rules: printed.rules.map(({ local, remote }) => ({ local, remote: remote.slice(0, -1) })) }
const headers = JSON.parse(JSON.stringify(printed).replaceAll('OIDC-email', 'HTTP_OIDC_EMAIL'))
const loose = JSON.parse(JSON.stringify(printed).replaceAll('["keystone"]', '["keystone"],"regex":true'))
for (const [what, change, said] of [
  [
    'a remote id of somebody else',
    { remoteIds: [ISSUER, 'https://old.example'] },
    /^remote ids: https:\/\/old\.example/,
  ],
  ['no remote id', { remoteIds: [] }, /^remote ids: there are none, so that it takes every issuer/],
  ['a mapping without audience guard', { mapping: open }, /^audience guard: 2 of 2 rules take tokens for other/],
  ['an audience guard that matches anywhere', { mapping: loose }, /^audience guard: 2 of 2 rules/],
  ['a mapping that reads headers', { mapping: headers }, /^mapping: it reads HTTP_\* names/],
  [
    'a protocol that reads a header',
    { attribute: 'HTTP_OIDC_ISS' },
    /^protocol: its remote_id_attribute is HTTP_OIDC_ISS/,
  ],
  [
    'an account that may not read users',
    { refuses: /^\/users/ },
    /^own account: Keystone cloud answers 403 to GET \/users/,
  ],
] as const)
  test(`${what} is bad`, async () => {
    const { bad } = await fromInside(change)
    assert.equal(bad.length, 1, bad.join('\n'))
    assert.match(bad[0] ?? '', said)
  })

test('an account that cannot sign in is bad, and a domain manager does not see the registration', async () => {
  assert.match((await probe({ options: { reconcile } })).bad.join(), /^own account: Keystone cloud answers 401/)
  const manager = await fromInside({ refuses: /OS-FEDERATION/ })
  assert.deepEqual(manager.bad, [])
  assert.match(manager.notes.join('\n'), /registration: this account may not read it \(.*403/)
})

test('a mapping of an operator’s own that has the guards is a note', async () => {
  const own = { ...printed, rules: printed.rules.slice(1) }
  const { bad, notes } = await fromInside({ mapping: own })
  assert.deepEqual(bad, [])
  assert.match(notes.join('\n'), /mapping: is another than the printed one/)
})
