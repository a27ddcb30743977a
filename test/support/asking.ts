import assert from 'node:assert/strict'
import type { TestGateway } from './gateway.ts'
import { authorization, basic, person, redeem, signIn } from './sign-in.ts'
import { standardEnv } from './standard.ts'

export type Claims = Readonly<Record<string, unknown>>

const web =
  "auth: client_secret_basic, secret: { env: HORIZON_SECRET }, native: true, redirectUris: ['http://127.0.0.1/cb']"
/** Clients beside the usual ones: a watcher for each target, and web and bare, which hold JWTs and opaque tokens for prod. */
export const askingClients = `
  - { id: watcher, target: prod, introspect: true, ${web} }
  - { id: argo-watcher, target: argo, introspect: true, ${web} }
  - { id: cloud-watcher, target: cloud, introspect: true, ${web} }
  - { id: web, target: prod, ${web}, grants: [code, refresh], alwaysRefresh: true }
  - { id: bare, target: prod, accessToken: opaque, ${web}, grants: [code, refresh], alwaysRefresh: true }
  - { id: bare-robot, target: cloud, accessToken: opaque, auth: client_secret_post, secret: { env: ROBOT_SECRET }, grants: [client_credentials], serviceAccount: { connector: corp, id: robot-2, claims: { groups: [/teams/ci/dev], account_status: [active] } } }
`

/** The `Authorization` header of one of these clients. */
export const as = (client: string): Record<string, string> => basic(client, standardEnv.HORIZON_SECRET)

/** What clients do about tokens: ask for them, ask about them, give them back. */
export function asking(gateway: () => TestGateway) {
  /** The whole answer about a token, as one client gets it. */
  async function told(token: string | undefined, client = 'watcher', hint = ''): Promise<Claims> {
    const fields = { token: token ?? '', ...(hint ? { token_type_hint: hint } : {}) }
    const { status, body } = await gateway().post('/token/introspection', fields, as(client))
    assert.equal(status, 200, JSON.stringify(body))
    return body
  }

  /** Somebody's tokens at a confidential client. */
  async function tokensAt(client: string, sub = 'ada', who = person()) {
    const request = authorization(gateway(), client, { scope: 'openid' })
    const code = (await signIn(who, request, sub)).get('code')
    const { body } = await redeem(gateway(), { code, verifier: request.verifier }, { headers: as(client) })
    return { access: body['access_token'] ?? '', refresh: body['refresh_token'] ?? '', id: body['id_token'] ?? '' }
  }

  const credentials = (client_id: string) => ({ client_id, client_secret: standardEnv.ROBOT_SECRET })
  return {
    told,
    tokensAt,
    isActive: async (token: string | undefined, client = 'watcher') => (await told(token, client))['active'],
    revoke: (token: string, client = 'web') => gateway().post('/token/revocation', { token }, as(client)),
    robot: (client = 'robot') => gateway().post('/token', { grant_type: 'client_credentials', ...credentials(client) }),
    toldRobot: async (token: string, client = 'robot'): Promise<Claims> =>
      (await gateway().post('/token/introspection', { token, ...credentials(client) })).body,
  }
}
