import { freePort, type GatewayOptions, startGateway, type TestGateway } from './gateway.ts'
import { type Idp, type IdpOptions, type Person, startIdp } from './oidc-idp.ts'

const SECRET = 'a-secret-of-the-upstream-client-0123456789'

/** People of the upstream: ada is a developer of web, bob leads db and works on prod, carol has nothing, dave is suspended. */
export const people: readonly Person[] = [
  {
    sub: 'ada',
    claims: {
      preferred_username: 'ada',
      email: 'ada@corp.example',
      email_verified: true,
      name: 'Ada L.',
      groups: ['/teams/web/dev'],
      account_status: 'active',
    },
  },
  {
    sub: 'bob',
    claims: {
      preferred_username: 'bob',
      email: 'bob@corp.example',
      email_verified: true,
      groups: ['/teams/db/lead'],
      account_status: 'active',
    },
  },
  { sub: 'carol', claims: { preferred_username: 'carol', groups: ['/all'], account_status: 'active' } },
  { sub: 'dave', claims: { preferred_username: 'dave', groups: ['/teams/web/dev'], account_status: 'suspended' } },
]

/** Lines of YAML that stand beside the usual connectors, targets and clients. */
export interface Extra {
  readonly connectors?: string
  readonly targets?: string
  readonly clients?: string
}

/** A configuration that uses most of what there is: two targets with discovery, a Keystone, and a client of each kind. */
export const standardConfig = (upstream: string, more = '', extra: Extra = {}) => `
brand: { name: Cloud Nord }
connectors:
  - { id: corp, type: oidc, label: Corp AG, issuer: ${upstream}, clientId: lotse, clientSecret: { env: CORP_SECRET }, scope: openid profile email groups, domain: corp, emailDomains: [corp.example], upstreamLogout: 'off' }
${extra.connectors ?? ''}
targets:
  - { id: cloud, type: keystone, label: Keystone of Cloud Nord, url: https://keystone.example/v3, audience: keystone }
  - { id: prod, type: kubernetes, label: Cluster prod, server: https://10.0.0.1:6443, audience: k8s-prod, alg: ES256 }
  - { id: argo, type: oidc, label: Argo CD, audience: https://argo.example }
${extra.targets ?? ''}
clients:
  - { id: kubectl, label: kubectl, native: true, target: prod, targets: [argo], redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh, device], offlineAccess: true }
  - { id: openstack, label: openstack CLI, native: true, target: cloud, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh, device], offlineAccess: true, neverSlowDown: true }
  - { id: horizon, label: Dashboard, target: cloud, accessToken: opaque, auth: client_secret_basic, secret: { env: HORIZON_SECRET }, pkce: optional, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, implicit], postLogoutRedirectUris: ['http://127.0.0.1:1/bye'] }
  - { id: robot, target: cloud, auth: client_secret_post, secret: { env: ROBOT_SECRET }, grants: [client_credentials], serviceAccount: { connector: corp, id: robot-1, claims: { groups: [/teams/ci/dev], account_status: [active] } } }
  - { id: argocd, target: argo, auth: client_secret_basic, secret: { env: HORIZON_SECRET }, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], alwaysRefresh: true }
${extra.clients ?? ''}
rules:
  - name: teams
    from: [corp]
    each: { claim: groups, pattern: '/teams/<team>/<rank>' }
    if: [{ claim: account_status, is: active }]
    give:
      - { target: cloud, group: 'os-<team>' }
      - { target: prod, group: 'x-<team>' }
      - { target: argo, group: 'argo-<team>' }
${more}`

export const standardEnv = {
  CORP_SECRET: SECRET,
  HORIZON_SECRET: 'horizon-secret-0123456789-0123456789',
  ROBOT_SECRET: 'robot-secret-0123456789-0123456789012',
}

/** The usual upstream and the usual gateway. */
export async function standard(
  more: Partial<GatewayOptions> & {
    readonly rules?: string
    /** Lines beside the usual ones; the upstream takes answers for the connectors of `answers`, too. */
    readonly extra?: (upstream: string) => Extra
    readonly answers?: readonly string[]
    readonly idp?: Partial<IdpOptions>
  } = {},
): Promise<{ idp: Idp; gateway: TestGateway; config: string }> {
  // Each must know the other's address before it starts.
  const port = await freePort()
  const redirectUris = ['corp', ...(more.answers ?? [])].map((id) => `http://127.0.0.1:${port}/callback/${id}`)
  const idp = await startIdp({ people, clients: [{ id: 'lotse', secret: SECRET, redirectUris }], ...more.idp })
  const config = more.config ?? standardConfig(idp.issuer, more.rules, more.extra?.(idp.issuer))
  const gateway = await startGateway({ env: standardEnv, port, ...more, config }).catch(async (error: unknown) => {
    await idp.close() // a listening upstream would keep the test process alive
    throw error
  })
  return { idp, gateway, config }
}
