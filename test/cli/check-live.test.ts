import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import type { Io } from '../../src/cli/command.ts'
import { main } from '../../src/cli/index.ts'
import { type Door, newDoor, openDoor } from '../support/keystone-door.ts'
import { type Rogue, startRogue } from '../support/rogue-idp.ts'
import { standard, standardConfig, standardEnv } from '../support/standard.ts'

const head =
  'issuer: https://login.example\nlisten: { port: 8080 }\nstore: { kind: embedded, path: ./x.db }\nkeys: { create: true }\n'
let folder: string
let corp: Rogue
let partner: Rogue
const door: Door = newDoor('https://login.example', 'keystone')
let keystone: Awaited<ReturnType<typeof openDoor>>
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lotse-live-'))
  ;[corp, partner, keystone] = await Promise.all([startRogue(), startRogue(), openDoor(door)])
})
beforeEach(() => {
  for (const rogue of [corp, partner]) {
    rogue.reset()
    rogue.scheme.discovery = (metadata) => ({ ...metadata, ...everything(rogue.issuer) })
  }
})
after(async () => {
  await Promise.all([corp.close(), partner.close(), keystone.close()])
  await rm(folder, { recursive: true })
})

/** What an upstream says that offers all that a gateway can use. */
const everything = (issuer: string) => ({
  end_session_endpoint: `${issuer}/logout`,
  backchannel_logout_supported: true,
  backchannel_logout_session_supported: true,
  grant_types_supported: ['authorization_code', 'refresh_token'],
  id_token_signing_alg_values_supported: ['RS256', 'ES256'],
  token_endpoint_auth_methods_supported: ['client_secret_basic'],
})

/** Runs `lotse check` on a configuration with both upstreams; lines begin with the verdict. */
async function check(words: string, options: { readonly change?: (yaml: string) => string } = {}) {
  const partnerLine = `  - { id: partner, type: oidc, label: Partner, issuer: ${partner.issuer}, clientId: lotse, clientSecret: { env: CORP_SECRET }, domain: partner, identity: { prefix: 'partner:' } }`
  const yaml = (head + standardConfig(corp.issuer, '', { connectors: partnerLine }))
    .replace('https://keystone.example', keystone.url)
    .replace(
      /id: horizon(.*?)'http:\/\/127.0.0.1\/cb'/,
      (_, between: string) => `id: keystone${between}'${keystone.url}/redirect_uri'`,
    )
  await writeFile(join(folder, 'gateway.yaml'), options.change?.(yaml) ?? yaml)
  const out: string[] = []
  const err: string[] = []
  const io = {
    out: (text: string) => out.push(text),
    err: (text: string) => err.push(text),
    env: standardEnv,
    cwd: folder,
    now: () => Math.floor(Date.now() / 1000),
  }
  const line = ['check', ...words.split(' ').filter(Boolean), '--config', join(folder, 'gateway.yaml')]
  const code = await main(line, io as unknown as Io)
  const marked = (mark: string) =>
    out.filter((each) => each.startsWith(`${mark} `)).map((each) => each.replace(/^\w+ +/, ''))
  return { code, out, err, bad: marked('bad'), note: marked('note'), ok: marked('ok') }
}

test('without --live nobody is asked', async () => {
  const asked = corp.requests.length
  assert.equal((await check('')).code, 0)
  assert.equal(corp.requests.length, asked)
})

test('upstreams with all that there is are said to be so, a line for each finding, in the order of the file', async () => {
  const { code, out, bad, note, ok } = await check('--live')
  const others = note.filter((each) => !/^(cloud|gateway) /.test(each))
  assert.deepEqual([code, bad, others], [0, [], []])
  assert.match(note.join(), /gateway {2}keys: https:\/\/login\.example\/jwks cannot be read from here/)
  assert.match(out[0] ?? '', /gateway\.yaml: ok, 2 connectors/)
  const { issuer } = corp
  assert.deepEqual(
    ok.filter((each) => each.startsWith('corp')),
    [
      `corp  discovery: ${issuer}/.well-known/openid-configuration`,
      `corp  issuer: ${issuer}`,
      `corp  authorization_endpoint: ${issuer}/authorize`,
      `corp  token_endpoint: ${issuer}/token`,
      `corp  jwks_uri: ${issuer}/jwks`,
      'corp  algorithms: ES256, RS256',
      'corp  keys: 1 published, good for ES256',
      `corp  logout there: ${issuer}/logout`,
      'corp  back-channel logout: offered, names sessions',
      'corp  refresh: offered',
      'corp  client authentication: client_secret_basic',
    ],
  )
  assert.deepEqual(
    ok.filter((each) => each.startsWith('cloud')).map((each) => each.replace(/:.*/, '')),
    [
      'identity API',
      'version',
      'identity provider',
      'forged claims',
      'bearer',
      'websso',
      'websso by protocol',
      'v3websso',
    ].map((check) => `cloud  ${check}`),
  )
  assert.equal(ok.length, 22 + 8)
  assert.deepEqual((await readdir(folder)).sort(), ['gateway.yaml'], 'neither store nor keys are opened')
})

test('one connector is asked alone, and no token, code or secret goes anywhere', async () => {
  const [mine, other] = [corp.requests.length, partner.requests.length]
  const { ok } = await check('--live partner')
  assert.ok(ok.length > 0 && ok.every((each) => each.startsWith('partner  ')))
  assert.deepEqual([corp.requests.length - mine, partner.redeemed.length], [0, 0])
  const paths = new Set(partner.requests.slice(other).map((each) => each.split(' ').at(-1)))
  assert.deepEqual(paths, new Set(['/.well-known/openid-configuration', '/jwks']))
})

test('an upstream that is not there is bad, and the others are asked all the same', async () => {
  const { code, bad, ok } = await check('--live', {
    change: (yaml) => yaml.replace(partner.issuer, 'http://127.0.0.1:1'),
  })
  assert.equal(code, 1)
  assert.equal(bad.length, 1)
  assert.match(bad[0] ?? '', /^partner {2}discovery: .*cannot be reached \(FETCH_UNREACHABLE\).*ECONNREFUSED/)
  assert.equal(ok.filter((each) => each.startsWith('corp')).length, 11)
})

test('a Keystone is asked alone; a hole in it is told loudly, and exits with 1', async () => {
  const before = corp.requests.length
  door.believes = ['OIDC-']
  const { code, bad, ok } = await check('--live cloud')
  door.believes = []
  assert.deepEqual([code, bad.length, corp.requests.length - before], [1, 1, 0])
  assert.match(bad[0] ?? '', /^cloud {2}forged claims: ANYBODY CAN BECOME ANYBODY/)
  assert.ok(ok.every((each) => each.startsWith('cloud  ')))
})

test('a Keystone that is not there is bad', async () => {
  const { bad } = await check('--live cloud', { change: (yaml) => yaml.replace(keystone.url, 'http://127.0.0.1:1') })
  assert.match(bad.join(), /^cloud {2}identity API: http:\/\/127\.0\.0\.1:1\/v3: .*cannot be reached \(ECONNREFUSED\)$/)
})

test('a target that cannot be asked is passed over, and said to be so where it is named', async () => {
  assert.ok(!(await check('--live')).note.some((each) => each.startsWith('prod')))
  assert.deepEqual((await check('--live prod')).note, ['prod  probe: cannot be asked anything'])
})

type Json = Record<string, unknown>
const faults: readonly (readonly [what: string, change: (metadata: Json) => Json, finding: RegExp])[] = [
  [
    'another issuer',
    (all) => ({ ...all, issuer: 'https://other.example' }),
    /^corp {2}issuer: it calls itself https:\/\/other\.example, and the configuration says http:\/\/127/,
  ],
  ['no issuer', ({ issuer: _, ...all }) => all, /^corp {2}issuer: it calls itself nothing/],
  ['no token endpoint', ({ token_endpoint: _, ...all }) => all, /^corp {2}token_endpoint: is missing/],
  [
    'an endpoint of another scheme',
    (all) => ({ ...all, authorization_endpoint: 'ftp://up.example/auth' }),
    /^corp {2}authorization_endpoint: ftp:\/\/up\.example\/auth is no https URL/,
  ],
  [
    'algorithms that are not taken',
    (all) => ({ ...all, id_token_signing_alg_values_supported: ['HS256'] }),
    /^corp {2}algorithms: it signs HS256, and the configuration takes ES256, /,
  ],
]
for (const [what, change, finding] of faults)
  test(`${what} is bad`, async () => {
    const before = corp.scheme.discovery
    corp.scheme.discovery = (metadata) => change(before(metadata))
    const { code, bad } = await check('--live corp')
    assert.equal(code, 1)
    assert.equal(bad.length, 1, bad.join('\n'))
    assert.match(bad[0] ?? '', finding)
  })

for (const [what, answer, finding] of [
  ['no key of a kind that is taken', '{"keys":[{"kty":"oct","k":"x"}]}', /keys: of 1 published none is good for ES256/],
  ['a key that is for encryption only', '{"keys":[{"kty":"RSA","use":"enc"}]}', /keys: of 1 published none is good/],
  ['keys that are no JSON', '<html>', /keys: http:.*\/jwks: is no JSON/],
] as const)
  test(`${what} is bad`, async () => {
    corp.scheme.intercept = (path, response) => {
      if (!path.startsWith('/jwks')) return false
      response.writeHead(200, { 'content-type': 'application/json' }).end(answer)
      return true
    }
    const { code, bad } = await check('--live corp')
    assert.deepEqual([code, bad.length], [1, 1])
    assert.match(bad[0] ?? '', finding)
  })

test('what an upstream does not offer is a note, since people can sign in all the same', async () => {
  corp.scheme.discovery = ({ end_session_endpoint: _, ...metadata }) => ({
    ...metadata,
    grant_types_supported: ['authorization_code'],
  })
  const { code, bad, note } = await check('--live corp')
  assert.deepEqual([code, bad], [0, []])
  const about = (what: string) => note.find((each) => each.startsWith(`corp  ${what}`)) ?? `no note about ${what}`
  assert.match(about('logout there'), /no end_session_endpoint/)
  assert.match(about('back-channel logout'), /not offered/)
  assert.match(about('refresh'), /people are not asked about again/)
})

test('a scope for refresh tokens that one side alone knows is a note', async () => {
  const offers = (scopes: readonly string[]) => {
    corp.scheme.discovery = (all) => ({ ...all, ...everything(corp.issuer), scopes_supported: scopes })
  }
  offers(['openid', 'offline_access'])
  assert.match(
    (await check('--live corp')).note.join(),
    /refresh: it has the scope offline_access, which .* not ask for/,
  )
  offers(['openid'])
  const change = (yaml: string) => yaml.replace('scope: openid', 'scope: openid offline_access')
  assert.match((await check('--live corp', { change })).note.join(), /refresh: the scope offline_access is asked for/)
})

test("an upstream's own words do not move the cursor", async () => {
  corp.scheme.discovery = (all) => ({ ...all, issuer: '\u001b[2J' })
  const { out } = await check('--live corp')
  assert.ok(out.join().includes('\\u001b[2J') && !out.join().includes('\u001b'))
})

test('a configuration that does not load is not asked about', async () => {
  const { code, bad, ok } = await check('--live', { change: (yaml) => yaml.replace('clientId', 'clintId') })
  assert.deepEqual([code, bad, ok], [1, [], []])
})

test('a real OpenID provider passes', async () => {
  const { idp, gateway } = await standard()
  try {
    const { code, bad } = await check('--live corp', { change: (yaml) => yaml.replace(corp.issuer, idp.issuer) })
    assert.deepEqual([code, bad], [0, []])
  } finally {
    await gateway.close()
    await idp.close()
  }
})

for (const words of ['--live nobody', '--live corp partner'])
  test(`is not understood as: check ${words}`, async () => {
    const { code, err } = await check(words)
    assert.equal(code, 2)
    assert.match(
      err.join(),
      /no connector or target "nobody"; there is gateway, corp, partner, cloud, prod, argo\.|one connector or target, or all/,
    )
  })
