import assert from 'node:assert/strict'
import { createHmac, createPublicKey, generateKeyPairSync, type JsonWebKey, randomUUID, sign } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { claimsIn } from '../../support/gateway.ts'
import { tokensOf } from '../../support/sign-in.ts'
import type { Cluster } from './cluster.ts'
import { atEach, type Kind, kinds } from './world.ts'

type Claims = Readonly<Record<string, unknown>>

const ALG = { stock: 'RS256', structured: 'ES256', ids: 'ES256' } as const
const now = () => Math.floor(Date.now() / 1000)

atEach(kinds, (world) => {
  /** An access token as the gateway makes it, by its own key, with other claims: what no rule and no request could bring about. */
  async function forged(kind: Kind, change: Claims): Promise<string> {
    const claims: Claims = { ...claimsIn(await world().accessToken(kind, 'ada')), jti: randomUUID(), ...change }
    return world().rings.sign(
      'issuer',
      ALG[kind],
      'at+jwt',
      Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined)),
    )
  }

  for (const kind of ['stock', 'structured'] as const) {
    test(`${kind}: what is made for the next tests is taken where nothing is changed`, async () => {
      assert.equal(
        (
          await world()
            .cluster(kind)
            .whoami(await forged(kind, {}))
        ).status,
        201,
      )
    })

    test(`${kind}: a token for another cluster, and one of a client for no cluster`, async () => {
      const other = kind === 'stock' ? 'structured' : 'stock'
      await refused(
        world().cluster(kind),
        await world().accessToken(other, 'ada'),
        kind === 'stock' ? /unsupported signing algorithm|signed with unsupported algorithm|audience/ : /audience/,
      )
      await refused(world().cluster(kind), await forged(kind, { aud: 'portal' }), /audience/)
    })

    const n = now
    const table: readonly (readonly [what: string, change: () => Claims, reason: RegExp])[] = [
      ['expired', () => ({ iat: n() - 700, exp: n() - 100 }), /expired/],
      ['not valid yet', () => ({ nbf: n() + 90 }), /before the nbf|nbf/],
      ['without an end', () => ({ exp: undefined }), /exp/],
      // Of an issuer that it does not know it says nothing: another authenticator could know it.
      ['of another issuer', () => ({ iss: 'https://login.example' }), /invalid bearer token/],
      ['of the issuer with a slash more', () => ({ iss: `${world().gateway.issuer}/` }), /invalid bearer token/],
      ['without a user name', () => ({ preferred_username: undefined }), /preferred_username|no user/],
    ]
    for (const [what, change, reason] of table)
      test(`${kind}: a token ${what}`, async () => {
        await refused(world().cluster(kind), await forged(kind, change()), reason)
      })

    test(`${kind}: a key that the gateway never had, under its kid or another, no signature, and a public key as a secret`, async () => {
      const good = await forged(kind, {})
      const [head = '', body = ''] = good.split('.')
      for (const kid of [headOf(head)['kid'], 'unknown'])
        await refused(world().cluster(kind), strange(kid, ALG[kind], body), /failed to verify signature|verify/)
      await refused(
        world().cluster(kind),
        unsigned('none', body, () => ''),
        /none|unsupported|unexpected/i,
      )
      const answer = (await (await fetch(`${world().gateway.issuer}/jwks`)).json()) as { keys: readonly JsonWebKey[] }
      for (const key of answer.keys) {
        const secret = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
        const hmac = (input: string) => createHmac('sha256', secret).update(input).digest('base64url')
        await refused(world().cluster(kind), unsigned('HS256', body, hmac), /HS256|unsupported|unexpected/i)
      }
    })
  }

  for (const [what, change, reason] of [
    [
      'that lives longer than the target allows',
      () => ({ exp: now() + 301, iat: now() }),
      /lives longer than 300 seconds/,
    ],
    ['of a client that is none of its own', () => ({ client_id: 'portal', azp: 'portal' }), /none of this cluster/],
    ['whose azp is another client', () => ({ azp: 'portal' }), /azp names another client/],
    [
      'that is a logout token',
      () => ({ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }),
      /logout token/,
    ],
    [
      'that is an ID token, and names no client',
      () => ({ client_id: undefined, azp: undefined }),
      /of none of its clients/,
    ],
    [
      'that is an ID token for a further cluster',
      () => ({ client_id: undefined, azp: 'kubectl', aud: ['k8s-structured', 'kubectl', 'k8s-stock'] }),
      /for more than this cluster/,
    ],
    [
      'that is an ID token of a client for no cluster',
      () => ({ client_id: undefined, azp: 'portal', aud: ['k8s-structured', 'portal'] }),
      /of none of its clients/,
    ],
  ] as const)
    test(`structured: a token ${what}`, async () => {
      await refused(world().cluster('structured'), await forged('structured', change()), reason)
    })

  for (const [kind, name] of [
    ['stock', 'oidc:corp:ada'],
    ['structured', 'corp-corp:ada'],
    ['ids', 'corp:ada'],
  ] as const)
    test(`${kind}: an ID token that a scope made for it is taken there, and at no other cluster`, async () => {
      const scope = `openid audience:server:client_id:k8s-${kind}`
      const { id_token } = await tokensOf(world().gateway, 'kubectl', 'ada', { scope })
      assert.equal((await world().cluster(kind).whoami(id_token)).username, name)
      for (const other of kinds)
        if (other !== kind) assert.equal((await world().cluster(other).whoami(id_token)).status, 401)
    })

  test('ids: an access token, where ID tokens are demanded', async () => {
    await refused(
      world().cluster('ids'),
      await world().accessToken('ids', 'ada'),
      /an ID token of the gateway is wanted/,
    )
    const { id_token } = await tokensOf(world().gateway, 'k8s-ids', 'ada')
    assert.equal((await world().cluster('ids').whoami(id_token)).username, 'corp:ada')
    await refused(world().cluster('ids'), (await tokensOf(world().gateway, 'kubectl', 'ada')).id_token, /audience/)
  })

  test('a group of Kubernetes itself: a rule refuses it where no prefix would disarm it', async () => {
    const { id_token } = await tokensOf(world().gateway, 'k8s-ids', 'ada')
    const claims = { ...claimsIn(id_token), groups: ['system:masters'] }
    const token = world().rings.sign('issuer', 'ES256', 'JWT', claims)
    await refused(world().cluster('ids'), token, /a group belongs to Kubernetes itself/)
    const named = world().rings.sign('issuer', 'ES256', 'JWT', {
      ...claims,
      groups: [],
      preferred_username: 'system:admin',
    })
    await refused(world().cluster('ids'), named, /the user name belongs to Kubernetes itself/)
    for (const kind of ['stock', 'structured'] as const) {
      const seen = await world()
        .cluster(kind)
        .whoami(await forged(kind, { groups: ['system:masters'] }))
      const prefix = kind === 'stock' ? 'oidc:' : "it's:"
      assert.deepEqual(seen.groups, [`${prefix}system:masters`, 'system:authenticated'])
    }
  })
})

const headOf = (head: string) => JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, string>

/** A JWS without a key pair. */
function unsigned(alg: string, body: string, signature: (input: string) => string): string {
  const input = `${Buffer.from(JSON.stringify({ alg, typ: 'at+jwt' })).toString('base64url')}.${body}`
  return `${input}.${signature(input)}`
}

/** A JWS by a key made just now. */
function strange(kid: string | undefined, alg: 'RS256' | 'ES256', body: string): string {
  const { privateKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const input = `${Buffer.from(JSON.stringify({ alg, kid, typ: 'at+jwt' })).toString('base64url')}.${body}`
  return `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

/** 401, and the reason in the log. */
async function refused(cluster: Cluster, token: string, reason: RegExp): Promise<void> {
  const from = (await cluster.log()).length
  assert.equal((await cluster.whoami(token)).status, 401)
  const until = Date.now() + 3000
  let said = ''
  while (!reason.test(said) && Date.now() < until) {
    await delay(50)
    said = (await cluster.log(from))
      .split('\n')
      .filter((line) => /authentication|oidc|token/i.test(line))
      .join('\n')
  }
  assert.match(said, reason)
}
