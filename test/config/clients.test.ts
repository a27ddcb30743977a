import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base, problemsOf } from './files.ts'

const uri = 'redirectUris: [https://a.example/cb]'

/** What is wrong with one client; empty where it is right. */
const refusals: readonly (readonly [what: string, client: string, problem: RegExp | undefined])[] = [
  ['a public web client with PKCE', `{ id: a, ${uri} }`, undefined],
  [
    'a secret client without a secret',
    `{ id: a, auth: client_secret_basic, ${uri} }`,
    /auth: client_secret_basic needs a secret/,
  ],
  ['a public client with a secret', `{ id: a, secret: { env: S }, ${uri} }`, /secret: not used with auth: none/],
  ['private_key_jwt without keys', `{ id: a, auth: private_key_jwt, ${uri} }`, /auth: private_key_jwt needs jwks/],
  ['keys without private_key_jwt', `{ id: a, jwks: { keys: [{ kty: EC }] }, ${uri} }`, /jwks: not used with auth/],
  [
    'a private key among the public ones',
    `{ id: a, auth: private_key_jwt, jwks: { keys: [{ kty: EC, d: x }] }, ${uri} }`,
    /jwks\.keys\[0\]: holds a secret or private key/,
  ],
  ['a public web client without PKCE', `{ id: a, pkce: optional, ${uri} }`, /pkce: a public client without PKCE/],
  [
    'a native public client without PKCE',
    `{ id: a, pkce: optional, native: true, redirectUris: ['http://127.0.0.1/cb'] }`,
    undefined,
  ],
  ['a public client that introspects', `{ id: a, introspect: true, ${uri} }`, /introspect: a public client/],
  [
    'a service that only asks about tokens, and holds none',
    '{ id: a, auth: client_secret_basic, secret: { env: S }, grants: [], introspect: true }',
    undefined,
  ],
  ['no grant and nothing to ask', '{ id: a, grants: [] }', /grants: no grant, so no token/],
  ['code without a redirect URI', '{ id: a }', /redirectUris: missing/],
  ['a redirect URI without code', `{ id: a, grants: [device], ${uri} }`, /redirectUris: not used/],
  ['refresh alone', '{ id: a, grants: [refresh] }', /grants: refresh goes with code or device/],
  [
    'offline access without refresh',
    `{ id: a, offlineAccess: true, ${uri} }`,
    /offlineAccess: needs the grant refresh/,
  ],
  ['neverSlowDown without device', `{ id: a, neverSlowDown: true, ${uri} }`, /neverSlowDown: needs the grant device/],
  [
    'client credentials for a public client',
    "{ id: a, grants: [client_credentials], serviceAccount: { connector: corp, id: '1' } }",
    /grants: client_credentials needs a client that proves itself/,
  ],
  [
    'client credentials for nobody',
    '{ id: a, auth: client_secret_basic, secret: { env: S }, grants: [client_credentials] }',
    /grants: client_credentials needs serviceAccount/,
  ],
  [
    'a service account of an unknown connector',
    "{ id: a, auth: client_secret_basic, secret: { env: S }, grants: [client_credentials], serviceAccount: { connector: x, id: '1' } }",
    /serviceAccount\.connector: no such connector; write one of: corp/,
  ],
  ['an unknown further target', `{ id: a, targets: [prod, dev], ${uri} }`, /targets\[1\]: no such target/],
  ['a fragment', "{ id: a, redirectUris: ['https://a.example/cb#x'] }", /redirectUris\[0\]: has a fragment/],
  ['an empty fragment', "{ id: a, redirectUris: ['https://a.example/cb#'] }", /redirectUris\[0\]: has a fragment/],
  ['a wildcard', "{ id: a, redirectUris: ['https://*.example/cb'] }", /redirectUris\[0\]: has a wildcard/],
  ['a password', "{ id: a, redirectUris: ['https://u:p@a.example/'] }", /redirectUris\[0\]: holds a user/],
  ['plain http', "{ id: a, redirectUris: ['http://a.example/'] }", /redirectUris\[0\]: http is for loopback only/],
  [
    'http to a host that only begins like loopback',
    "{ id: a, redirectUris: ['http://127.0.0.1.evil.example/'] }",
    /loopback only/,
  ],
  ['http to loopback', "{ id: a, redirectUris: ['http://localhost:8000/'] }", undefined],
  ['a scheme of its own for a web client', "{ id: a, redirectUris: ['com.example.app:/cb'] }", /not https; a scheme/],
  [
    'a scheme of its own for a native client',
    "{ id: a, native: true, redirectUris: ['com.example.app:/cb'] }",
    undefined,
  ],
  [
    'a scheme that everybody may take',
    "{ id: a, native: true, redirectUris: ['myapp:/cb'] }",
    /not a private-use scheme/,
  ],
  ['javascript', "{ id: a, native: true, redirectUris: ['javascript:alert(1)'] }", /not a private-use scheme/],
  ['implicit over http', "{ id: a, grants: [implicit], redirectUris: ['http://localhost/'] }", /implicit needs https/],
  [
    'an address for logout tokens with a query',
    `{ id: a, ${uri}, backchannelLogout: { url: 'https://a.example/cb?logout=backchannel' } }`,
    undefined,
  ],
  [
    'an address for logout tokens with a fragment',
    `{ id: a, ${uri}, backchannelLogout: { url: 'https://a.example/cb#x' } }`,
    /backchannelLogout\.url: not a usable URL/,
  ],
  [
    'an address for logout tokens by http',
    `{ id: a, ${uri}, backchannelLogout: { url: 'http://a.example/cb' } }`,
    /backchannelLogout\.url: not a usable URL/,
  ],
  [
    'a logout that leads elsewhere',
    `{ id: a, ${uri}, postLogoutRedirectUris: [/bye] }`,
    /postLogoutRedirectUris\[0\]: not an absolute/,
  ],
]

for (const [what, client, problem] of refusals) {
  test(`${what} is ${problem ? 'refused' : 'taken'}`, async () => {
    const problems = await problemsOf(`${base}clients: [${client}]\n`, { env: { S: 'secret' } })
    if (!problem) assert.deepEqual(problems, [])
    else assert.ok(problems.length === 1 && problem.test(problems[0] ?? ''), problems.join('\n') || 'taken')
  })
}
