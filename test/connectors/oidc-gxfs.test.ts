import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, afterEach, before, test } from 'node:test'
import { z } from 'zod'
import { urlsFor } from '../../src/connectors/connector.ts'
import { connectorTypes } from '../../src/connectors/index.ts'
import type { OidcConfig } from '../../src/connectors/oidc/options.ts'
import { believed } from '../../src/connectors/oidc/preset.ts'
import { openUpstream } from '../../src/connectors/oidc/upstream.ts'
import { LoginError } from '../../src/core/errors.ts'
import { re2 } from '../../src/regex.ts'
import { corpus } from '../support/corpora.ts'
import { type Rogue, startRogue } from '../support/rogue-idp.ts'
import { connect, forgetful, keyless, oidcConfig, sealing } from './support.ts'

let rogue: Rogue
before(async () => {
  rogue = await startRogue()
})
afterEach(() => rogue.reset())
after(() => rogue.close())

const preset = { preset: 'gxfs-aas', subjectClaim: 'did', userinfo: 'merge' } as const
const ada = { sub: 'ada', did: 'did:key:zAda' }

async function signIn(over: Partial<OidcConfig> = {}) {
  const { connector } = connect({ issuer: rogue.issuer, ...preset, ...over })
  const { url, memo } = (await connector.begin('a-state', {})) as { url: URL; memo: Record<string, string> }
  return { connector, proof: await connector.complete({ url: rogue.answer(url), memo }) }
}

const refused = (attempt: Promise<unknown> | (() => unknown), code: string, words: RegExp) =>
  assert.rejects(
    async () => (typeof attempt === 'function' ? attempt() : attempt),
    (error: unknown) =>
      error instanceof LoginError && error.code === code && words.test(error.message) && !/zAda/.test(error.message),
  )

const schema = z.strictObject(connectorTypes.oidc.options)
const written = {
  id: 'aas',
  label: 'GXFS',
  issuer: 'https://aas.example',
  clientId: 'lotse',
  clientSecret: { env: 'S' },
  preset: 'gxfs-aas',
}
const pathsOf = (over: object) =>
  connectorTypes.oidc.problems(schema.parse({ ...written, ...over })).map(({ path }) => path.join('.'))

test('the preset wants a claim that identifies people, and sub is none', () => {
  assert.deepEqual(pathsOf({}), ['subjectClaim'])
  assert.deepEqual(pathsOf({ subjectClaim: 'sub' }), ['subjectClaim'])
  assert.deepEqual(pathsOf({ subjectClaim: 'did' }), [])
  assert.deepEqual(pathsOf({ preset: undefined }), [])
})

test("the service's client for SIOP is refused where the configuration is read", () => {
  assert.deepEqual(pathsOf({ subjectClaim: 'did', clientId: 'aas-app-siop' }), ['clientId'])
  assert.deepEqual(pathsOf({ subjectClaim: 'did', clientId: 'aas-app-oidc' }), [])
})

test('a person is known by the configured claim, and her e-mail address is not read', async () => {
  rogue.scheme.userinfo = () => ({ ...ada, name: 'Ada', email: 'ada@corp.test', email_verified: true })
  const { subject } = (await signIn()).proof
  assert.equal(subject.id, 'did:key:zAda')
  assert.deepEqual(subject.claims['name'], ['Ada'])
  assert.equal(subject.claims['email'], undefined)
  assert.equal(subject.claims['email_verified'], undefined)
})

test('a sign-in without the configured claim is refused, though it has a sub', async () => {
  rogue.scheme.userinfo = () => ({ sub: 'ada', name: 'Ada' })
  await refused(signIn(), 'claims_unusable', /the claim did is missing/)
})

test('a wallet that vouches for itself is refused by the issuer that its userinfo names', async () => {
  rogue.scheme.userinfo = () => ({ ...ada, iss: 'https://self-issued.me/v2' })
  await refused(signIn(), 'upstream_rejected', /SIOP/)
  rogue.scheme.userinfo = () => ({ ...ada, iss: rogue.issuer })
  assert.equal((await signIn()).proof.subject.id, 'did:key:zAda')
})

test('through a Keycloak, only who came by its ssi-oidc is let in', async () => {
  const keycloak = { preset: 'gxfs-aas', issuer: 'https://sso.example/auth/realms/gaia-x' } as const
  assert.deepEqual(believed(keycloak, { did: 'x', identity_provider: 'ssi-oidc', email: 'a@b' }, undefined), {
    did: 'x',
    identity_provider: 'ssi-oidc',
  })
  for (const cameBy of ['ssi-siop', 'google', ['ssi-oidc'], ''])
    await refused(
      () => believed(keycloak, { did: 'x', identity_provider: cameBy }, undefined),
      'upstream_rejected',
      /another/,
    )
  await refused(() => believed(keycloak, { did: 'x' }, undefined), 'upstream_rejected', /identity_provider/)
})

test('a recheck holds a person to the same', async () => {
  rogue.scheme.refresh = 'keep'
  rogue.scheme.userinfo = () => ({ ...ada, email: 'ada@corp.test' })
  const { connector, proof } = await signIn()
  const again = await connector.recheck?.(proof)
  assert.ok(again && typeof again === 'object' && 'subject' in again)
  assert.equal(again.subject.claims['email'], undefined)
  rogue.scheme.userinfo = () => ({ ...ada, iss: 'https://self-issued.me/v2' })
  await refused(Promise.resolve(connector.recheck?.(proof)), 'upstream_rejected', /SIOP/)
})

interface Tokens {
  readonly discovery: Readonly<Record<string, unknown>> & { readonly issuer: string }
  readonly jwks: { readonly keys: readonly Readonly<Record<string, unknown>>[] }
  readonly id_tokens: readonly { readonly jwt: string }[]
  readonly access_tokens: readonly { readonly jwt: string }[]
  readonly tokens_same_kid_other_key: readonly { readonly jwt: string }[]
}

/** The service as it was on that day; its keys may be exchanged, and each look at them is counted. */
async function recorded(path: string) {
  const tokens = JSON.parse(await readFile(path, 'utf8')) as Tokens & Record<string, readonly { jwt: string }[]>
  const service = { jwks: tokens.jwks as unknown, looks: 0 }
  let time = 1_653_900_000
  const config = oidcConfig({ issuer: tokens.discovery.issuer, ...preset })
  const upstream = openUpstream(config, {
    now: () => time,
    fetch: async (url) => {
      if (String(url) !== tokens.discovery['jwks_uri']) return Response.json(tokens.discovery)
      service.looks += 1
      return Response.json(service.jwks)
    },
    download: () => assert.fail('nothing is downloaded'),
    kept: forgetful,
    ...urlsFor(new URL('https://gateway.test'), config.id),
    ...sealing,
    sp: keyless,
    regex: re2,
    log: () => {},
  })
  const advance = (seconds: number) => {
    time += seconds
  }
  return { tokens, service, upstream, advance }
}

/** The public key of the other service, found from two of its signatures: under the same `kid` as the recorded one. */
const otherKey =
  'jChBCvrGagNKx-4XTwxjIlAHEgV453D7STyBDFIC0wAmESmzT-51kOtJ8tfg24HFteDthGX0MYXtp6lZmXKpSkX07F2_8sGkl8x8yVLnF5tv7P90PEzZeWt9u5cE_dr9jmZFk7-yd6ijkmQ3Pz5jTG_LwIY9msmwCjWw4zuRcmaIac4StaXEmRyNbTgr2DiVMBsY2Ss81EzGU9KDc_7ZHdO6-aq74DxZTpSqvucrPXP2A--M6o-Q6SHJCGeDjGAfVLUm3kua0IWFu59KwgBj7gaBp7x1cB5hke2jNC4CFeQAH4mB0VOn-1g2eFh_1icGq1zM8I6qNP3AqMCEUleOx75Dq4p8E2vuQC3p09zrAhUgypilTAS_2552IzNbyk7W_donIMwfwOK-iu36RK7TolSZ5Ti3450uE6Nhxh04HkPqf3MU23oRUWNKWvd6ORo6y7kRIKYd3hpsdpxsBPRoJJ6yJD941gKiV8AoVzfgpLDa5pbZJ5Yr7M38FcsMW4O_'

const file = corpus('gaiax', 'gxfs-aas', 'aas_tokens_jwks_discovery_2022-05-30.json')

test('39 recorded tokens of a service verify, and 4 of another with the same kid do not', {
  skip: file.skip,
}, async () => {
  const { tokens, service, upstream, advance } = await recorded(file.path)
  const good = Object.entries(tokens).flatMap(([name, list]) =>
    /^(id|access)_tokens$/.test(name) ? list.map(({ jwt }) => jwt) : [],
  )
  assert.equal(good.length, 39)
  for (const jwt of good) await upstream.signed(jwt)
  assert.equal(service.looks, 1)
  const others = tokens.tokens_same_kid_other_key.map(({ jwt }) => jwt)
  assert.equal(others.length, 4)
  for (const jwt of others) {
    advance(11)
    await assert.rejects(upstream.signed(jwt), { code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' })
  }
  assert.equal(service.looks, 5)
})

test('the 4 verify once the service publishes their key under the kid that is known already', {
  skip: file.skip,
}, async () => {
  const { tokens, service, upstream, advance } = await recorded(file.path)
  const [first = '', ...others] = tokens.tokens_same_kid_other_key.map(({ jwt }) => jwt)
  await upstream.signed(tokens.id_tokens[0]?.jwt ?? '')
  service.jwks = { keys: [{ ...tokens.jwks.keys[0], n: otherKey }] }
  await upstream.signed(first)
  for (const jwt of others) await upstream.signed(jwt)
  assert.equal(service.looks, 2)
  // Anybody may send what does not fit: the keys are looked at no more often for it.
  for (let n = 0; n < 20; n += 1)
    await assert.rejects(upstream.signed(tokens.id_tokens[0]?.jwt ?? ''), { name: 'JWSSignatureVerificationFailed' })
  assert.equal(service.looks, 2)
  advance(11)
  service.jwks = tokens.jwks
  await upstream.signed(tokens.id_tokens[0]?.jwt ?? '')
  assert.equal(service.looks, 3)
})
