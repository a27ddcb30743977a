import { createHash, randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Configuration } from 'oidc-provider'
import { selfSigned } from '../../support/certificate.ts'
import { type Answer, freePort, startGateway, type TestGateway } from '../../support/gateway.ts'
import { type Idp, startIdp } from '../../support/oidc-idp.ts'
import { people } from '../../support/standard.ts'

const SECRET = 'a-secret-of-the-upstream-client-0123456789'
const env = { UPSTREAM_SECRET: SECRET, WEB_SECRET: 'web-secret-0123456789-0123456789-0123' }

/** An application beside the gateway: takes what browsers bring to `/cb`, and shows any other page that a test puts there. */
export interface App {
  /** The same server under two names, which are two sites. */
  readonly here: string
  readonly there: string
  readonly told: { readonly method: string; readonly fields: URLSearchParams }[]
  /** Path → HTML. */
  readonly pages: Map<string, string>
  close(): Promise<void>
}

/** The gateway, an upstream on its own site, one on another site that answers by form_post, and an application. */
export interface World {
  readonly gateway: TestGateway
  readonly app: App
  readonly corp: Idp
  readonly campus: Idp
  close(): Promise<void>
}

const appPage = (title: string, text: string) =>
  `<!doctype html><html lang="en"><title>${title}</title><link rel="icon" href="data:,"><main><h1>${title}</h1><p>${text}</p></main></html>`

async function startApp(): Promise<App> {
  const told: App['told'] = []
  const pages = new Map<string, string>()
  const server: Server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://app')
    let body = ''
    for await (const chunk of request) body += chunk
    const page = pages.get(url.pathname)
    if (page === undefined) {
      told.push({
        method: request.method ?? '',
        fields: request.method === 'POST' ? new URLSearchParams(body) : url.searchParams,
      })
    }
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
    response.end(page ?? appPage('The application', url.pathname))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    here: `http://127.0.0.1:${port}`,
    there: `http://localhost:${port}`,
    told,
    pages,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const config = ({ corp, campus, app, ca }: { corp: string; campus: string; app: App; ca: string }) => `
brand: { name: Cloud Nord, color: "#0b5a8a", imprint: 'https://cloud.example/imprint', privacy: 'https://cloud.example/privacy', help: 'https://cloud.example/help' }
connectors:
  - { id: corp, type: oidc, label: Corp AG, issuer: ${corp}, clientId: lotse, clientSecret: { env: UPSTREAM_SECRET }, scope: openid profile email groups, domain: corp, emailDomains: [corp.example]${ca} }
  - { id: campus, type: oidc, label: Example University, hint: University account, issuer: ${campus}, clientId: lotse, clientSecret: { env: UPSTREAM_SECRET }, responseMode: form_post, scope: openid profile email groups, domain: campus${ca} }
  - { id: quiet, type: oidc, label: Quiet GmbH, unlisted: true, issuer: ${corp}, clientId: quiet, clientSecret: { env: UPSTREAM_SECRET }, scope: openid profile email groups, domain: quiet, emailDomains: [quiet.example]${ca} }
targets:
  - { id: cloud, type: keystone, label: Keystone of Cloud Nord, url: https://keystone.example/v3, audience: keystone }
  - { id: prod, type: kubernetes, label: Cluster prod, server: https://10.0.0.1:6443, audience: k8s-prod, alg: ES256 }
clients:
  - { id: kubectl, label: kubectl, native: true, target: prod, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh, device], offlineAccess: true }
  - { id: horizon, label: Dashboard, native: true, target: cloud, accessToken: opaque, auth: client_secret_basic, secret: { env: WEB_SECRET }, pkce: optional, redirectUris: ['http://127.0.0.1/cb', 'http://localhost/cb'], grants: [code, implicit], postLogoutRedirectUris: ['${app.here}/bye'] }
rules:
  - name: teams
    from: [corp, campus, quiet]
    each: { claim: groups, pattern: '/teams/<team>/<rank>' }
    if: [{ claim: account_status, is: active }]
    give:
      - { target: cloud, group: 'os-<team>' }
      - { target: prod, group: 'x-<team>' }
`

/** An upstream that asks before it signs somebody out, on a page that needs nothing from elsewhere: the library's own loads a font. */
const configuration: Configuration = {
  features: {
    devInteractions: { enabled: false },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource(ctx, form) {
        const button = '<button form="op.logoutForm" name="logout" value="yes">Leave</button>'
        ctx.body = `<!doctype html><html lang="en"><title>Leave</title><h1>Leave here, too?</h1>${form}${button}</html>`
      },
    },
  },
}

/** @param scheme of the gateway and both upstreams; with `https` all have one self-signed certificate */
export async function startWorld(scheme: 'http' | 'https' = 'http'): Promise<World> {
  const port = await freePort()
  const tls = scheme === 'https' ? { tls: selfSigned() } : {}
  const callback = (id: string) => `${scheme}://127.0.0.1:${port}/callback/${id}`
  const client = (id: string, ...connectors: string[]) => ({
    id,
    secret: SECRET,
    redirectUris: connectors.map(callback),
    postLogoutRedirectUris: [`${scheme}://127.0.0.1:${port}/logout/returned`],
  })
  const app = await startApp()
  const idp = { people, configuration, ...tls }
  const corp = await startIdp({ ...idp, clients: [client('lotse', 'corp'), client('quiet', 'quiet')] })
  const campus = await startIdp({ ...idp, clients: [client('lotse', 'campus')], host: 'localhost' })
  const ca = tls.tls ? ', ca: { env: UPSTREAM_CA }' : ''
  const text = config({ corp: corp.issuer, campus: campus.issuer, app, ca })
  const closeAround = async () => void (await Promise.all([app.close(), corp.close(), campus.close()]))
  const made = { config: text, env: { ...env, ...(tls.tls ? { UPSTREAM_CA: tls.tls.cert } : {}) }, port, ...tls }
  const gateway = await startGateway(made).catch(async (error: unknown) => {
    await closeAround()
    throw error
  })
  return {
    gateway,
    app,
    corp,
    campus,
    async close() {
      await gateway.close()
      await closeAround()
    },
  }
}

/** An authorization request that ends at the application, with PKCE; `more` replaces and adds, an empty text removes. */
export function request({ gateway, app }: World, client: string, more: Readonly<Record<string, string>> = {}) {
  const verifier = randomBytes(32).toString('base64url')
  const fields: Record<string, string> = {
    client_id: client,
    response_type: 'code',
    redirect_uri: `${app.here}/cb`,
    scope: 'openid profile email',
    state: randomBytes(8).toString('hex'),
    nonce: 'a-nonce',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...more,
  }
  const url = new URL('/auth', gateway.issuer)
  for (const [name, value] of Object.entries(fields)) if (value !== '') url.searchParams.set(name, value)
  return { url: url.href, verifier, state: fields['state'] ?? '' }
}

/** Redeems what the application was told last. */
export async function redeem(
  { gateway, app }: World,
  client: string,
  verifier: string,
): Promise<{ readonly status: number; readonly body: Answer }> {
  const secret = client === 'kubectl' ? {} : { authorization: `Basic ${btoa(`${client}:${env.WEB_SECRET}`)}` }
  return gateway.post(
    '/token',
    {
      grant_type: 'authorization_code',
      code: app.told.at(-1)?.fields.get('code') ?? '',
      redirect_uri: `${app.here}/cb`,
      code_verifier: verifier,
      ...(client === 'kubectl' ? { client_id: client } : {}),
    },
    secret,
  )
}
