import { type Browser, browser, type Page } from '../../support/browser.ts'
import { claimsIn, freePort, startGateway, type TestGateway } from '../../support/gateway.ts'
import { authorization, basic, CALLBACK, redeem, toldAt } from '../../support/sign-in.ts'
import type { SamlUpstream } from './upstream.ts'

export const BYE = 'http://127.0.0.1:1/bye'
export const env = { SECRET: 'portal-secret-0123456789-0123456789' }

/** The gateway before one real identity provider; one connector asks by redirect, the other by POST. */
export interface World {
  readonly gateway: TestGateway
  readonly upstream: SamlUpstream
  close(): Promise<void>
}

const connector = (id: string, metadata: string, binding: string, encrypted: string) =>
  `  - { id: ${id}, type: saml, label: University by ${id}, domain: ${id}, metadata: '${metadata}', nameIdFormat: persistent, requestBinding: ${binding}, encrypted: ${encrypted} }`

/** @param encrypted whether the identity provider encrypts, and has to */
export async function startWorld(upstream: SamlUpstream, encrypted: 'required' | 'optional'): Promise<World> {
  const gateway = await startGateway({
    port: await freePort(),
    env,
    config: `
brand: { name: Cloud Nord }
saml:
  name: { de: Cloud Nord, en: Cloud North }
  logo: { url: 'https://cloud.example/logo.png', width: 200, height: 80 }
  contacts: [{ type: technical, name: Ops, email: ops@cloud.example }, { type: security, name: CERT, email: cert@cloud.example }]
  organization: { name: Cloud Nord, url: 'https://cloud.example' }
  attributes: [eduPersonEntitlement, mail]
  categories: [https://refeds.org/sirtfi, https://refeds.org/category/code-of-conduct/v2]
connectors:
${connector('redirect', upstream.metadata, 'redirect', encrypted)}
${connector('post', upstream.metadata, 'post', encrypted)}
targets:
  - { id: argo, type: oidc, label: Argo CD, audience: https://argo.example }
clients:
  - { id: portal, target: argo, auth: client_secret_basic, secret: { env: SECRET }, native: true, redirectUris: ['http://127.0.0.1/cb'], postLogoutRedirectUris: ['${BYE}'], grants: [code, refresh], alwaysRefresh: true }
rules:
  - { name: cloud, from: [redirect, post], if: [{ claim: eduPersonEntitlement, is: 'urn:mace:example:cloud' }], give: [{ target: argo, group: students }] }
`,
  })
  await upstream.trust(`${gateway.issuer}/saml/metadata`, { encrypted: encrypted === 'required' })
  return { gateway, upstream, close: () => gateway.close() }
}

export interface SignedIn {
  readonly who: Browser
  readonly idToken: string
  readonly claims: Readonly<Record<string, unknown>>
  refresh(): Promise<number>
}

export const person = (): Browser =>
  browser({ stopAt: ({ href }) => href.startsWith(CALLBACK) || href.startsWith(BYE) })

/** From the client's request to the first page of the identity provider, over the form that POST needs. */
export async function knock({ gateway }: World, via: 'redirect' | 'post', who = person()) {
  const request = authorization(gateway, 'portal', { connector: via, scope: 'openid' })
  const page = await who.get(request.url)
  const there = page.location.href.startsWith(gateway.issuer) ? await who.submit(page, page.form()) : page
  return { who, request, page: there }
}

/** Signs somebody in, to tokens. */
export async function enter(world: World, via: 'redirect' | 'post', name: string): Promise<SignedIn> {
  const { who, request, page } = await knock(world, via)
  const told = toldAt(await world.upstream.signIn(who, page, name))
  const headers = basic('portal', env.SECRET)
  const code = { code: told.get('code'), verifier: request.verifier }
  const { status, body } = await redeem(world.gateway, code, { headers })
  if (status !== 200) {
    const why = world.gateway.logs.filter(({ level }) => level !== 'info').at(-1)
    throw new Error(`no tokens: ${JSON.stringify(body)} ${told} ${JSON.stringify(why)}`)
  }
  let newest = body['refresh_token'] ?? ''
  return {
    who,
    idToken: body['id_token'] ?? '',
    claims: claimsIn(body['access_token'] ?? ''),
    async refresh() {
      const form = { grant_type: 'refresh_token', refresh_token: newest }
      const answer = await world.gateway.post('/token', form, headers)
      newest = answer.body['refresh_token'] ?? newest
      return answer.status
    },
  }
}

/** Asks to sign out at the gateway and says yes; where the browser comes to rest. */
export async function signOut({ gateway }: World, { who, idToken }: SignedIn): Promise<Page> {
  const url = new URL('/logout', gateway.issuer)
  url.search = new URLSearchParams({ id_token_hint: idToken, post_logout_redirect_uri: BYE, state: 's-9' }).toString()
  const asked = await who.get(url)
  const away = await who.submit(asked, asked.form(), { logout: 'yes' })
  const next = /^0; url=(.*)$/.exec(away.headers.get('refresh') ?? '')?.[1]
  const there = next === undefined ? await who.submit(away, away.form()) : await who.follow(away, next)
  return throughForms(who, there)
}

/** Presses the button of pages that would go on by themselves. */
export async function throughForms(who: Browser, page: Page): Promise<Page> {
  let at = page
  for (let steps = 0; steps < 5; steps += 1) {
    const form = at.forms.find(({ fields }) => 'SAMLRequest' in fields || 'SAMLResponse' in fields)
    if (!form) return at
    at = await who.submit(at, form)
  }
  return at
}
