import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import Provider, { errors } from 'oidc-provider'
import { oidcAdapter } from '../../src/http/oidc-adapter.ts'
import { deriveSuccessors, successorOf } from '../../src/http/overrides.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import type { Store } from '../../src/store/store.ts'
import { rounds } from '../support/rounds.ts'

/** The library itself over HTTP on the adapter; time is the store's, so that a window can end without waiting. */
describe('oidc-provider on the adapter', () => {
  const wall = () => Math.floor(Date.now() / 1000)
  let skew = 0
  let store: Store
  let provider: Provider
  let server: Server
  let serial = 0

  before(async () => {
    // stands still, however slow the machine is, until a test moves it
    const start = wall()
    const now = () => start + skew
    const successor = successorOf(Buffer.from('key'))
    store = await openEmbedded({ path: ':memory:', now })
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
    provider = new Provider('http://127.0.0.1', {
      adapter: oidcAdapter(store, { now, successor, invalidGrant: (message) => new errors.InvalidGrant(message) }),
      jwks: { keys: [{ ...key, alg: 'ES256', use: 'sig' } as never] }, // an exported private key has what the type asks for
      cookies: { keys: ['k'] },
      clients: [
        {
          client_id: 'c',
          token_endpoint_auth_method: 'none',
          redirect_uris: ['https://app.example/cb'],
          grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
          id_token_signed_response_alg: 'ES256',
        },
      ],
      features: { devInteractions: { enabled: false }, deviceFlow: { enabled: true } },
      ttl: { Grant: 600, AccessToken: 60, RefreshToken: 600, IdToken: 60, DeviceCode: 60, AuthorizationCode: 60 },
      findAccount: async (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
      rotateRefreshToken: true,
      issueRefreshToken: async () => true,
      expiresWithSession: async () => false,
    })
    deriveSuccessors(provider, successor)
    server = createServer(provider.callback()).listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  after(async () => {
    server.closeAllConnections()
    server.close()
    await store.close()
  })

  const token = async (params: Readonly<Record<string, string>>) => {
    const { port } = server.address() as AddressInfo
    const body = new URLSearchParams({ client_id: 'c', ...params })
    const response = await fetch(`http://127.0.0.1:${port}/token`, { method: 'POST', body })
    return { status: response.status, body: (await response.json()) as Readonly<Record<string, string>> }
  }
  const refresh = (value: string | undefined) => token({ grant_type: 'refresh_token', refresh_token: value ?? '' })
  const twenty = <T>(call: () => Promise<T>) => Promise.all(Array.from({ length: 20 }, call))

  const grantFor = async (accountId: string): Promise<string> => {
    const grant = new provider.Grant({ accountId, clientId: 'c' })
    grant.addOIDCScope('openid offline_access')
    return grant.save()
  }
  const tokenFields = async () => {
    const accountId = `person-${serial++}`
    const client = await provider.Client.find('c')
    return {
      accountId,
      client: client!,
      grantId: await grantFor(accountId),
      scope: 'openid offline_access',
      authTime: wall(),
    }
  }
  const verifier = 'v'.repeat(43)
  const codeChallenge = createHash('sha256').update(verifier).digest('base64url')
  const redirectUri = 'https://app.example/cb'
  const newCode = async () =>
    new provider.AuthorizationCode({
      ...(await tokenFields()),
      codeChallenge,
      codeChallengeMethod: 'S256',
      redirectUri,
      gty: 'authorization_code',
    } as never).save() // the published type forgets that codes carry a challenge
  const redeem = (code: string) =>
    token({ grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: redirectUri })

  it('redeems a code once of twenty times at once, and the loser hears invalid_grant', async () => {
    for (let round = 0; round < rounds(5, 50); round++) {
      const code = await newCode()
      const answers = await twenty(() => redeem(code))
      assert.equal(answers.filter((answer) => answer.status === 200).length, 1)
      const winner = answers.find((answer) => answer.status === 200)
      assert.equal((await refresh(winner?.body['refresh_token'])).status, 200)
      for (const answer of answers) {
        if (answer.status !== 200) assert.deepEqual([answer.status, answer.body['error']], [400, 'invalid_grant'])
      }
    }
  })

  it('redeems a device code once of twenty times at once', async () => {
    const fields = await tokenFields()
    const device_code = await new provider.DeviceCode({ ...fields, userCode: 'BCDFGHJK', params: {} } as never).save()
    const answers = await twenty(() =>
      token({ grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code }),
    )
    assert.equal(answers.filter((answer) => answer.status === 200).length, 1)
    assert.equal(answers.filter((answer) => answer.body['error'] === 'invalid_grant').length, 19)
  })

  it('gives twenty refreshes at once one successor, which works, and finds out a later use', async () => {
    for (let round = 0; round < rounds(5, 50); round++) {
      const first = (await redeem(await newCode())).body['refresh_token']
      const answers = await twenty(() => refresh(first))
      assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([200]))
      const successors = new Set(answers.map((answer) => answer.body['refresh_token']))
      assert.equal(successors.size, 1)
      const [second] = successors
      const third = await refresh(second)
      assert.equal(third.status, 200)
      assert.notEqual(third.body['refresh_token'], second)
      // whoever still has the first one shows that it was copied: the family dies
      assert.equal((await refresh(first)).body['error'], 'invalid_grant')
      assert.equal((await refresh(third.body['refresh_token'])).body['error'], 'invalid_grant')
    }
  })

  it('revokes the family of a token that is used again after ten seconds', async () => {
    const first = (await redeem(await newCode())).body['refresh_token']
    const second = (await refresh(first)).body['refresh_token']
    skew += 10
    assert.equal((await refresh(first)).body['error'], 'invalid_grant')
    assert.equal((await refresh(second)).body['error'], 'invalid_grant')
  })

  it('revokes what a code gave when the code is used again after two seconds', async () => {
    const code = await newCode()
    const given = await redeem(code)
    skew += 2
    assert.equal((await redeem(code)).body['error'], 'invalid_grant')
    assert.equal((await refresh(given.body['refresh_token'])).body['error'], 'invalid_grant')
  })
})
