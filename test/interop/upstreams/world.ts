import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { type Browser, browser, type Page } from '../../support/browser.ts'
import { claimsIn, freePort, startGateway, type TestGateway } from '../../support/gateway.ts'
import { authorization, basic, CALLBACK, redeem, toldAt } from '../../support/sign-in.ts'
import type { Upstream } from './upstream.ts'

/** Seconds. */
export const RECHECK = 2
/** Seconds; short, to see the end of it. */
export const GRACE = 3
export const BYE = 'http://127.0.0.1:1/bye'
const env = {
  UPSTREAM_SECRET: 'a-secret-of-the-upstream-client-0123',
  PORTAL_SECRET: 'portal-secret-0123456789-0123456789',
}

/** The gateway between one real upstream and one client of its own that wants to hear of logouts. */
export interface World {
  readonly upstream: Upstream
  readonly gateway: TestGateway
  /** The logout tokens that the client got, and when (milliseconds of the wall clock). */
  readonly heard: readonly { readonly claims: Readonly<Record<string, unknown>>; readonly at: number }[]
  close(): Promise<void>
}

/**
 * Two connectors lead to the same upstream: `asked` is told of nothing, but asks again after two seconds; `told` would ask after an
 * hour, but the upstream knows where to say that a session is over.
 */
const config = ({ issuer, scope }: Upstream, client: string) => `
connectors:
${[
  ['asked', `${RECHECK}s`],
  ['told', '1h'],
]
  .map(
    ([id, after]) =>
      `  - { id: ${id}, type: oidc, label: Staff, issuer: '${issuer}', clientId: lotse-${id}, clientSecret: { env: UPSTREAM_SECRET }, scope: ${scope}, domain: ${id}, recheckAfter: ${after}, recheckGrace: ${GRACE}s }`,
  )
  .join('\n')}
targets:
  - { id: prod, type: kubernetes, server: https://10.0.0.1:6443, audience: k8s-prod }
clients:
  - { id: portal, target: prod, native: true, auth: client_secret_basic, secret: { env: PORTAL_SECRET }, redirectUris: ['http://127.0.0.1/cb'], postLogoutRedirectUris: ['${BYE}'], grants: [code, refresh], alwaysRefresh: true, backchannelLogout: { url: '${client}/back', private: true } }
rules:
  - name: groups of prod
    from: [asked, told]
    each: { claim: groups, pattern: 'team-<team>' }
    give: [{ target: prod, group: 'x-<team>' }]
`

/** Starts the gateway and registers it at the upstream. */
export async function startWorld(upstream: Upstream): Promise<World> {
  const heard: { claims: Record<string, unknown>; at: number }[] = []
  const client = await startClient((token) => heard.push({ claims: claimsIn(token), at: Date.now() }))
  const port = await freePort()
  const issuer = `http://127.0.0.1:${port}`
  const common = { secret: env.UPSTREAM_SECRET, returned: `${issuer}/logout/returned` }
  await upstream.register({ ...common, clientId: 'lotse-asked', callback: `${issuer}/callback/asked` })
  const back = `${issuer}/logout/back/told`
  await upstream.register({ ...common, clientId: 'lotse-told', callback: `${issuer}/callback/told`, back })
  const gateway = await startGateway({ config: config(upstream, client.url), env, port })
  // What `lotse serve` does every second.
  const { app } = gateway
  const chores = setInterval(() => void Promise.all([app.tick(), app.deliver(), app.end()]), 1000)
  return {
    upstream,
    gateway,
    heard,
    async close() {
      clearInterval(chores)
      await gateway.close()
      await client.close()
    },
  }
}

async function startClient(hear: (token: string) => void) {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    hear(new URLSearchParams(body).get('logout_token') ?? '')
    response.writeHead(200).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Somebody who is signed in at the client. */
export interface SignedIn {
  readonly who: Browser
  readonly idToken: string
  readonly groups: readonly string[]
  /** Renews the tokens by the newest refresh token: the groups now, or the error. */
  refresh(): Promise<readonly string[] | string>
}

const headers = basic('portal', env.PORTAL_SECRET)

/** Walks from the client's request to the page at which the upstream asks who is there, or to the client. */
export async function knock(world: World, connector: 'asked' | 'told', who: Browser = person()) {
  const request = authorization(world.gateway, 'portal', { connector, scope: 'openid' })
  return { who, request, page: await who.get(request.url) }
}

const person = () => browser({ stopAt: ({ href }) => href.startsWith(CALLBACK) || href.startsWith(BYE) })

/** Signs somebody in who is new at the upstream and has these groups there. */
export async function enter(world: World, connector: 'asked' | 'told', name: string): Promise<SignedIn> {
  const { who, request, page } = await knock(world, connector)
  const told = toldAt(await world.upstream.signIn(who, page, name))
  const { status, body } = await redeem(
    world.gateway,
    { code: told.get('code'), verifier: request.verifier },
    { headers },
  )
  if (status !== 200) {
    const why = world.gateway.logs.filter(({ level }) => level !== 'info').at(-1)
    throw new Error(`no tokens: ${JSON.stringify(body)} ${told} ${JSON.stringify(why)}`)
  }
  let newest = body['refresh_token'] ?? ''
  return {
    who,
    idToken: body['id_token'] ?? '',
    groups: groupsIn(body['access_token']),
    async refresh() {
      const form = { grant_type: 'refresh_token', refresh_token: newest }
      const answer = await world.gateway.post('/token', form, headers)
      newest = answer.body['refresh_token'] ?? newest
      return answer.status === 200 ? groupsIn(answer.body['access_token']) : (answer.body['error'] ?? 'no error')
    },
  }
}

const groupsIn = (token = '') => claimsIn(token)['groups'] as readonly string[]

/**
 * Looks every 100 ms until something holds.
 * @returns seconds from `since` (milliseconds of the wall clock)
 * @throws with the last thing seen where it does not come to hold within `limit` seconds
 */
export async function secondsUntil<T>(
  since: number,
  limit: number,
  look: () => Promise<T> | T,
  holds: (seen: T) => boolean,
): Promise<number> {
  for (;;) {
    const seen = await look()
    const seconds = (Date.now() - since) / 1000
    if (holds(seen)) return seconds
    if (seconds > limit) throw new Error(`not after ${limit} s; last seen: ${JSON.stringify(seen)}`)
    await delay(100)
  }
}

/** Asks to sign out at the gateway and says yes; where the browser comes to rest. */
export async function signOut({ gateway }: World, { who, idToken }: SignedIn): Promise<Page> {
  const url = new URL('/logout', gateway.issuer)
  url.search = new URLSearchParams({ id_token_hint: idToken, post_logout_redirect_uri: BYE, state: 's-9' }).toString()
  const asked = await who.get(url)
  const away = await who.submit(asked, asked.form(), { logout: 'yes' })
  // The page says where it goes on by itself, as `Refresh: 0; url=…`.
  const next = /^0; url=(.*)$/.exec(away.headers.get('refresh') ?? '')?.[1]
  return next === undefined ? away : await who.follow(away, next)
}
