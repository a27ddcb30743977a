import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import Provider, { type Configuration } from 'oidc-provider'
import type { Log } from '../core/ports.ts'
import { html } from '../http/pages/html.ts'
import { type Look, markOf, type Page, securityHeaders } from '../http/pages/index.ts'
import { layout } from '../http/pages/layout.ts'
import { memoryAdapter } from './memory.ts'
import { claimsOf, mailOf, type Organisation, type Person } from './people.ts'
import { answering, readFields, sendPage } from './server.ts'
import { demoLook } from './style.ts'

/** Where an organisation's provider stands, and whom it answers. */
export interface UpstreamOptions {
  readonly organisation: Organisation
  readonly issuer: string
  /** The gateway's callback for this organisation. */
  readonly redirectUri: string
  /** Source expressions to which a sign-in may lead in the end, for `form-action`. */
  readonly leadsTo: readonly string[]
  readonly log: Log
}

const FRAMES = "frame-ancestors 'none'; base-uri 'none'"

type Handle = (request: IncomingMessage, response: ServerResponse) => void

/**
 * An organisation's own OpenID provider, as the gateway meets it in the world. Its sign-in page asks nobody for a password:
 * one button for each person. For demonstrations on loopback only.
 */
export function openUpstream(options: UpstreamOptions): Handle {
  const { organisation, issuer, log } = options
  const provider = new Provider(issuer, configuration(options))
  provider.use(async (ctx, next) => {
    // The library adds the hash of its own scripts to a policy that it finds here; `'self'` is for the form by which it ends
    // the session of whoever was signed in before somebody else is.
    ctx.set(
      'Content-Security-Policy',
      `default-src 'none'; script-src; form-action 'self' ${options.leadsTo.join(' ')}; ${FRAMES}`,
    )
    await next()
  })
  const oidc = provider.callback()
  const look = demoLook({ name: organisation.name, color: organisation.color })
  return answering(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', issuer)
    if (!pathname.startsWith('/sign-in/')) return void (await oidc(request, response))
    if (request.method === 'POST') return finish(provider, organisation, request, response)
    const details = await provider.interactionDetails(request, response).catch(() => undefined)
    if (!details) return sendPage(response, errorPage(look, 'the sign-in is over'))
    const hint = details.params['login_hint']
    sendPage(response, signInPage(options, look, typeof hint === 'string' ? hint : ''))
  }, log)
}

function configuration({ organisation, redirectUri }: UpstreamOptions): Configuration {
  const { people, id } = organisation
  const names = [...new Set(people.flatMap((person) => Object.keys(claimsOf(organisation, person))))]
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    adapter: memoryAdapter(),
    clients: [
      {
        client_id: 'lotse',
        token_endpoint_auth_method: 'none',
        redirect_uris: [redirectUri],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: id, use: 'sig', alg: 'ES256' }] },
    claims: { openid: ['sub', 'acr', 'amr', 'auth_time', ...names] },
    conformIdTokenClaims: false, // many upstreams put everything into the ID token, and the gateway reads it there
    scopes: ['openid', 'profile', 'email', 'groups'],
    acrValues: [...new Set(people.flatMap((person) => person.acr ?? []))],
    renderError(ctx, out) {
      const page = errorPage(demoLook({ name: organisation.name, color: organisation.color }), out.error)
      ctx.set({ ...securityHeaders(page) })
      ctx.body = page.body
    },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_ctx, interaction) => `/sign-in/${interaction.uid}` },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub, ...saidOf(organisation, sub) }) }),
    // Employers and universities ask nobody for consent at their own sign-in.
    loadExistingGrant: async (ctx) => {
      const { client, session } = ctx.oidc
      const grant = new ctx.oidc.provider.Grant({
        ...(client ? { clientId: client.clientId } : {}),
        ...(session?.accountId ? { accountId: session.accountId } : {}),
      })
      grant.addOIDCScope('openid profile email groups')
      grant.addOIDCClaims(names)
      await grant.save()
      return grant
    },
    cookies: {
      keys: [randomBytes(16).toString('hex')],
      // Cookies know no ports, and all of the demo lives on one host.
      names: { session: `${id}-session`, interaction: `${id}-interaction`, resume: `${id}-resume` },
      long: { signed: true, httpOnly: true, sameSite: 'lax' },
      short: { signed: true, httpOnly: true, sameSite: 'lax' },
    },
    ttl: { AccessToken: 600, AuthorizationCode: 60, IdToken: 600, Interaction: 600, Session: 3600, Grant: 3600 },
  }
}

function saidOf(organisation: Organisation, sub: string): Readonly<Record<string, unknown>> {
  const person = organisation.people.find((one) => one.sub === sub)
  return person ? claimsOf(organisation, person) : {}
}

async function finish(
  provider: Provider,
  { people }: Organisation,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const wanted = (await readFields(request)).get('person')
  const person = people.find(({ sub }) => sub === wanted)
  const { acr, amr, sub } = person ?? {}
  const result = sub
    ? { login: { accountId: sub, ...(acr ? { acr } : {}), ...(amr ? { amr: [...amr] } : {}) } }
    : { error: 'access_denied', error_description: 'the person declined' }
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
}

function signInPage({ organisation, leadsTo }: UpstreamOptions, look: Look, hint: string): Page {
  const first = (one: Person) => Number(mailOf(organisation, one) === hint)
  const people = [...organisation.people].sort((a, b) => first(b) - first(a))
  const items = people.map(
    (person) =>
      html`<li class="${first(person) ? 'first' : 'other'}"><form method="post"><input type="hidden" name="person" value="${person.sub}">
<button><span class="mark" aria-hidden="true">${markOf(person.name)}</span><span><span class="name">${person.name}</span> <small>${person.role}</small></span></button></form></li>`,
  )
  return layout(
    { look, language: 'en' },
    {
      heading: 'Who are you?',
      card: html`<p>This is the sign-in of ${organisation.name}, an organisation of the demo. In the world it would ask for a password or a key; here a click is enough.</p>
<ul class="crowd">${items}</ul>
<form method="post" class="alone"><button class="even block">Nobody: decline</button></form>`,
      formAction: ["'self'", ...leadsTo],
    },
  )
}

function errorPage(look: Look, why: string): Page {
  return layout(
    { look, language: 'en' },
    {
      status: 400,
      heading: 'This did not work',
      card: html`<p>The provider of the demo says: ${why}. Begin again at the demo’s start page.</p>`,
    },
  )
}
