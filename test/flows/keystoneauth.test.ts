import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { keystoneMapping } from '../../src/targets/keystone/print/mapping.ts'
import { environmentOf } from '../../src/targets/keystone/simulate/apache.ts'
import { evaluate } from '../../src/targets/keystone/simulate/evaluate.ts'
import type { MappingLike } from '../../src/targets/keystone/simulate/rules.ts'
import { type Answer, claimsIn, fakeClock, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, basic, CALLBACK, person, pickPerson, signIn } from '../support/sign-in.ts'
import { standard, standardEnv } from '../support/standard.ts'
import { keystoneConfig } from '../targets/keystone-reader.ts'

// The requests of keystoneauth1/identity/v3/oidc.py, by version, as they go over the wire.
const GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
const SCOPE = 'openid profile'
const SECRET = standardEnv.ROBOT_SECRET

const clients = `
  - { id: cli, label: openstack CLI, target: cloud, auth: client_secret_basic, secret: { env: ROBOT_SECRET }, grants: [code, device], pkce: optional, native: true, redirectUris: ['http://127.0.0.1/cb'], neverSlowDown: true }
  - { id: ci, target: cloud, auth: client_secret_basic, secret: { env: ROBOT_SECRET }, grants: [client_credentials], serviceAccount: { connector: corp, id: robot-1, claims: { groups: [/teams/ci/dev], account_status: [active] } } }
`

let idp: Idp
let gateway: TestGateway
let clock: ReturnType<typeof fakeClock>
before(async () => {
  ;({ idp, gateway } = await standard({ extra: () => ({ clients }) }))
})
beforeEach(() => {
  clock = fakeClock()
})
afterEach(() => clock.stop())
after(async () => {
  await gateway.close()
  await idp.close()
})

/** A request as Python's requests sends it: without fields there is neither a body nor a type of one. */
interface Sent {
  readonly fields?: Readonly<Record<string, string>>
  readonly auth?: readonly [id: string, secret: string]
}

async function send(path: string, { fields, auth }: Sent): Promise<{ status: number; body: Answer }> {
  const answer = await fetch(gateway.issuer + path, {
    method: 'POST',
    headers: auth === undefined ? {} : basic(...auth),
    ...(fields === undefined ? {} : { body: new URLSearchParams(fields) }),
  })
  return { status: answer.status, body: (await answer.json()) as Answer }
}

const discovery = async () =>
  (await (await fetch(`${gateway.issuer}/.well-known/openid-configuration`)).json()) as Record<string, unknown>

/** The person at the link that the plugin shows. */
async function approve(device: Answer): Promise<void> {
  const who = person()
  const entry = await who.get(device['verification_uri_complete'] ?? '')
  const page = await who.submit(entry, entry.form())
  const done = await pickPerson(who, await who.submit(page, page.form(), { confirm: 'yes' }), 'ada')
  assert.equal(done.status, 200)
}

/** What the mapping that `lotse print` writes makes of an access token. */
function groupsOf(token: string): unknown {
  const mapping = keystoneMapping(keystoneConfig({ audience: 'keystone' }), new URL(gateway.issuer)) as MappingLike
  const environment = environmentOf(claimsIn(token), 'mod_auth_openidc') ?? {}
  const outcome = evaluate(mapping, environment, { release: '30' })
  assert.ok(outcome.kind === 'mapped', JSON.stringify(outcome))
  return outcome.mapped.group_names
}

const web = [{ name: 'os-web', domain: { name: 'corp' } }]

/** What one version sends: to the device endpoint, and beside code and grant to the token endpoint. */
interface Plugin {
  readonly version: string
  readonly device: Sent
  readonly poll: Sent
}

const once = (version: string, auth: readonly [string, string]): Plugin => ({
  version,
  device: { auth, fields: {} },
  poll: { auth },
})

const plugins: readonly Plugin[] = [
  { ...once('5.2.0, confidential, with no body at all', ['cli', SECRET]), device: { auth: ['cli', SECRET] } },
  {
    ...once('5.2.0, public, with an empty secret and no body', ['openstack', '']),
    device: { auth: ['openstack', ''] },
  },
  once('5.3.0 to 5.7.0, confidential, without a scope', ['cli', SECRET]),
  once('5.3.0 to 5.7.0, public, with the secret None', ['openstack', 'None']),
  once('5.8.0 to 5.11.0, confidential, without a scope', ['cli', SECRET]),
  {
    version: '5.8.0 to 5.11.0, public, without a scope',
    device: { fields: { client_id: 'openstack' } },
    poll: { fields: { client_id: 'openstack' } },
  },
  {
    version: '5.12.0 to 5.18.1, public',
    device: { fields: { client_id: 'openstack', scope: SCOPE } },
    poll: { fields: { client_id: 'openstack' } },
  },
  {
    version: '5.12.0 to 5.18.1, confidential, by Basic and client_id in both bodies',
    device: { auth: ['cli', SECRET], fields: { client_id: 'cli', scope: SCOPE } },
    poll: { auth: ['cli', SECRET], fields: { client_id: 'cli' } },
  },
]

describe('v3oidcdeviceauthz of keystoneauth', () => {
  const ask = async ({ device }: Plugin, more?: Record<string, string>) => {
    const fields = device.fields === undefined && more === undefined ? undefined : { ...device.fields, ...more }
    const { auth } = device
    const answer = await send('/device/auth', { ...(fields && { fields }), ...(auth && { auth }) })
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    return answer.body
  }
  const poll = ({ poll: { auth, fields } }: Plugin, device: Answer, more: Record<string, string> = {}) =>
    send('/token', {
      fields: { device_code: device['device_code'] ?? '', ...more, ...fields, grant_type: GRANT },
      ...(auth && { auth }),
    })

  for (const plugin of plugins)
    it(`gets a token with everything that the mapping reads: ${plugin.version}`, async () => {
      const device = await ask(plugin)
      // Up to 5.12 the plugin dies without it.
      assert.equal(typeof (device as Record<string, unknown>)['interval'], 'number')
      assert.ok(device['verification_uri_complete'] && device['verification_uri'] && device['expires_in'])
      for (let early = 0; early < 4; early += 1) {
        const { status, body } = await poll(plugin, device)
        assert.deepEqual([status, body['error']], [400, 'authorization_pending'], 'anything else ends the plugin')
      }
      await approve(device)
      clock.advance(5)
      const { status, body } = await poll(plugin, device)
      assert.equal(status, 200, JSON.stringify(body))
      assert.deepEqual(groupsOf(body['access_token'] ?? ''), web)
    })

  for (const plugin of plugins.filter(({ version }) => !version.startsWith('5.2.0')))
    it(`proves itself with PKCE by S256, and gets nothing with another verifier: ${plugin.version}`, async () => {
      const verifier = randomBytes(42).toString('base64url')
      const code_challenge = createHash('sha256').update(verifier).digest('base64url')
      const device = await ask(plugin, { code_challenge_method: 'S256', code_challenge })
      await approve(device)
      const other = await poll(plugin, device, { code_verifier: randomBytes(42).toString('base64url') })
      assert.deepEqual([other.status, other.body['error']], [400, 'invalid_grant'])
      const again = await ask(plugin, { code_challenge_method: 'S256', code_challenge })
      await approve(again)
      const { status, body } = await poll(plugin, again, { code_verifier: verifier })
      assert.equal(status, 200, JSON.stringify(body))
    })

  it('is told that the method plain proves nothing', async () => {
    const fields = {
      client_id: 'openstack',
      scope: SCOPE,
      code_challenge_method: 'plain',
      code_challenge: 'x'.repeat(56),
    }
    const { status, body } = await send('/device/auth', { fields })
    assert.deepEqual([status, body['error']], [400, 'invalid_request'])
    assert.match(body['error_description'] ?? '', /must be S256/)
  })

  it('of a confidential client gets nothing with an empty secret, None or a wrong one', async () => {
    for (const secret of ['', 'None', 'wrong']) {
      const { status, body } = await send('/device/auth', { auth: ['cli', secret], fields: { client_id: 'cli' } })
      assert.ok(status === 400 || status === 401, secret)
      assert.equal(body['device_code'], undefined)
    }
  })

  it('of one client gets nothing with another client’s credentials in the header', async () => {
    const { status, body } = await send('/device/auth', { auth: ['cli', SECRET], fields: { client_id: 'openstack' } })
    assert.ok(status >= 400, JSON.stringify(body))
    const none = await send('/device/auth', { auth: ['openstack', 'None'], fields: { client_id: 'cli' } })
    assert.ok(none.status >= 400, JSON.stringify(none.body))
  })
})

describe('the other plugins of keystoneauth', () => {
  it('find every grant that they look for in the discovery document', async () => {
    const found = await discovery()
    const grants = ['authorization_code', 'client_credentials', GRANT]
    const listed = new Set(found['grant_types_supported'] as string[])
    assert.deepEqual(
      grants.filter((grant) => !listed.has(grant)),
      [],
    )
    assert.equal(found['token_endpoint'], `${gateway.issuer}/token`)
    assert.equal(found['device_authorization_endpoint'], `${gateway.issuer}/device/auth`)
  })

  for (const scope of ['openid profile', 'openid email profile'])
    it(`v3oidcauthcode redeems a pasted code by its secret, without a verifier, with scope ${scope}`, async () => {
      const request = authorization(gateway, 'cli', { code_challenge: '', code_challenge_method: '', scope, nonce: '' })
      const told = await signIn(person(), request, 'ada')
      const fields = { redirect_uri: CALLBACK, code: told.get('code') ?? '', grant_type: 'authorization_code' }
      const { status, body } = await send('/token', { auth: ['cli', SECRET], fields })
      assert.equal(status, 200, JSON.stringify(body))
      assert.deepEqual(groupsOf(body['access_token'] ?? ''), web)
      assert.equal(claimsIn(body['id_token'] ?? '')['groups'], claimsIn(body['access_token'] ?? '')['groups'])
    })

  it('v3oidcclientcredentials gets the token of its service account', async () => {
    const fields = { scope: SCOPE, grant_type: 'client_credentials' }
    const { status, body } = await send('/token', { auth: ['ci', SECRET], fields })
    assert.equal(status, 200, JSON.stringify(body))
    assert.deepEqual(groupsOf(body['access_token'] ?? ''), [{ name: 'os-ci', domain: { name: 'corp' } }])
    assert.ok(Number(claimsIn(body['access_token'] ?? '')['exp']) > 0)
  })
})
