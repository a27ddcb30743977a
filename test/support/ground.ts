import { type Browser, browser, type Page, type SendOptions } from './browser.ts'
import { startGateway, type TestGateway } from './gateway.ts'
import { type Rogue, startRogue } from './rogue-idp.ts'
import { authorization, CALLBACK, loginPath, toldAt } from './sign-in.ts'

/** A gateway between two upstreams that answer whatever they are told. `ada` of each has the groups that she says she has. */
export interface Ground {
  readonly gateway: TestGateway
  /** Behind the connectors `corp` (answers in a query) and `post` (answers by a form POST from another site). */
  readonly corp: Rogue
  /** Behind the connector `rival`. */
  readonly rival: Rogue
  close(): Promise<void>
}

export const groundEnv = {
  SECRET: 'a-secret-of-the-upstream-client-0123456789',
  WEB_SECRET: 'web-secret-0123456789-0123456789-0123456789',
}

const config = (corp: string, rival: string) => `
connectors:
  - { id: corp, type: oidc, label: Corp AG, issuer: ${corp}, clientId: lotse, clientSecret: { env: SECRET }, domain: corp }
  - { id: rival, type: oidc, label: Rival, issuer: ${rival}, clientId: lotse, clientSecret: { env: SECRET }, domain: rival, identity: { prefix: 'rival:' } }
  - { id: post, type: oidc, label: Corp by post, issuer: ${corp}, clientId: lotse, clientSecret: { env: SECRET }, domain: post, responseMode: form_post, identity: { prefix: 'post:' } }
targets:
  - { id: cloud, type: keystone, label: Cloud, url: https://keystone.example/v3, audience: keystone }
  - { id: prod, type: kubernetes, label: Cluster, server: https://10.0.0.1:6443, audience: k8s-prod }
clients:
  - { id: kubectl, native: true, target: prod, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh, device], offlineAccess: true }
  - { id: openstack, native: true, target: cloud, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh, device], offlineAccess: true }
  - { id: web, native: true, target: cloud, accessToken: opaque, auth: client_secret_basic, secret: { env: WEB_SECRET }, pkce: optional, redirectUris: ['http://127.0.0.1/cb'], postLogoutRedirectUris: ['http://127.0.0.1:1/bye'], grants: [code, refresh], alwaysRefresh: true }
rules:
  - name: groups of prod
    from: [corp, rival, post]
    each: { claim: groups, pattern: '<team>' }
    give: [{ target: prod, group: 'x-<team>' }, { target: cloud, group: 'os-<team>' }]
`

/** Starts all three; the rogues are honest until told otherwise. */
export async function startGround(): Promise<Ground> {
  const [corp, rival] = await Promise.all([startRogue(), startRogue()])
  for (const rogue of [corp, rival]) withGroups(rogue, ['dev'])
  const gateway = await startGateway({ config: config(corp.issuer, rival.issuer), env: groundEnv })
  return {
    gateway,
    corp,
    rival,
    close: async () => void (await Promise.all([gateway.close(), corp.close(), rival.close()])),
  }
}

/** What the rogue's honest token says beside the protocol's claims. */
export function withGroups(rogue: Rogue, groups: readonly string[]): void {
  rogue.reset()
  rogue.scheme.claims = (claims) => ({ ...claims, preferred_username: 'ada', groups })
}

/** Anybody's browser: it stops wherever it is sent away from the gateway. */
export const visitor = (gateway: TestGateway): Browser => browser({ stopAt: (url) => url.origin !== gateway.issuer })

/** A sign-in that waits for its upstream. */
export interface Begun {
  readonly who: Browser
  /** The upstream's authorization request. */
  readonly asked: URL
  /** The id of the interaction at the gateway. */
  readonly uid: string
  readonly verifier: string
}

/** Walks a browser to the upstream's door. */
export async function begin(
  ground: Ground,
  options: { readonly who?: Browser; readonly connector?: string; readonly client?: string } = {},
): Promise<Begun> {
  const { who = visitor(ground.gateway), connector = 'corp', client = 'kubectl' } = options
  const { url, verifier } = authorization(ground.gateway, client, { connector })
  const page = await who.get(url)
  const asked = new URL(page.headers.get('location') ?? 'about:no-redirect')
  if (!asked.searchParams.has('state')) throw new Error(`not sent to an upstream: ${page.status} ${page.text}`)
  return { who, asked, uid: loginPath(who).split('/').at(-1) ?? '', verifier }
}

/** The upstream's answer as the browser brings it, by GET or, where it was asked for, by a form POST from another site. */
export function bring(who: Browser, answer: URL, options: SendOptions = {}): Promise<Page> {
  return options.method === 'POST' ? postAnswer(who, answer, options) : who.get(answer)
}

async function postAnswer(who: Browser, answer: URL, options: SendOptions): Promise<Page> {
  const bare = new URL(answer.pathname, answer)
  const first = await who.send(bare, {
    ...options,
    body: answer.searchParams,
    from: new URL('http://localhost:1/upstream'),
  })
  const location = first.headers.get('location')
  return location ? who.get(new URL(location, answer)) : first
}

/** Ends a sign-in honestly; what the client is told. */
export async function finishHonestly(begun: Begun, rogue: Rogue): Promise<URLSearchParams> {
  return toldAt(await begun.who.get(rogue.answer(begun.asked)))
}

/** Redeems a code as a public client. */
export const redeem = (ground: Ground, code: string, verifier: string, more: Record<string, string> = {}) =>
  ground.gateway.post('/token', {
    grant_type: 'authorization_code',
    code,
    redirect_uri: CALLBACK,
    client_id: 'kubectl',
    code_verifier: verifier,
    ...more,
  })

/** Whether a page is an error page of ours: no redirect to a client, an error id, and this status. */
export function refusedWith(page: Page, status: number, text: RegExp): string | undefined {
  if (page.status !== status) return `status ${page.status} at ${page.location.href}`
  if (page.headers.get('location')) return `redirects to ${page.headers.get('location')}`
  if (!/[2-9A-Z0]{4}-[2-9A-Z0]{4}/.test(page.text)) return 'no error id on the page'
  return text.test(page.text)
    ? undefined
    : `the page says: ${page.text.replace(/<style.*?<\/style>/s, '').slice(0, 1500)}`
}
