import type { Subject } from '../core/subject.ts'
import { type Html, html } from '../http/pages/html.ts'
import type { Page } from '../http/pages/index.ts'
import type { Target } from '../targets/target.ts'
import { chart, explained } from './chart.ts'
import { demoPage } from './pages.ts'
import { payloadOf } from './tokens.ts'
import type { World } from './world.ts'

/** What the web client holds for one target: a token and where the key stands that signed it, or the error in its place. */
export type Held = { readonly token: string; readonly signedBy: string | undefined } | { readonly error: string }

/** What a browser session of the web client shows. */
export interface SignedIn {
  readonly idToken: string
  readonly held: ReadonlyMap<string, Held>
  /** How often tokens were fetched anew. */
  readonly refreshed: number
}

/** Somebody is signed in: the chart, and below it every token decoded. */
export function signedInPage(world: World, session: SignedIn): Page {
  const claims = payloadOf(session.idToken)
  const subject = world.seen(String(claims['sub']))
  const name = subject?.claims['name']?.[0] ?? 'Somebody'
  return demoPage({
    heading: `${name} is signed in`,
    card: html`<p>The gateway asked the rules and issued one token for each target that they open. ${subject && organisationOf(world, subject)}</p>
${subject && chart(world, subject)}
<div class="bar"><form method="post" action="/refresh"><button>Fetch new tokens</button></form><form method="post" action="/sign-out"><button class="even">Sign out</button></form><a class="button even" href="/">All people</a></div>
<p class="small quiet">${again(session.refreshed)}</p>`,
    below: html`<section class="card"><h2>The tokens, decoded</h2>
<p>Each is for one target only: its own audience, its own words, ten minutes of life.</p>
<div class="tokens">${world.targets.map((target) => targetToken(world, subject, target, session.held.get(target.id)))}
<section><h3>ID token</h3><p class="small quiet">for the application itself</p>${decoded(session.idToken, 'id')}</section></div></section>`,
    formAction: ["'self'", world.issuer],
  })
}

function organisationOf(world: World, { connector }: Subject): Html | undefined {
  const name = world.organisations.find(({ id }) => id === connector)?.name
  return name === undefined ? undefined : html`What was said comes from ${name}.`
}

function again(times: number): string {
  const so = times === 0 ? '' : ` So far: ${times === 1 ? 'once' : `${times} times`}.`
  return `New tokens come from the refresh token, which works once; the rules are asked again each time.${so}`
}

function targetToken(world: World, subject: Subject | undefined, target: Target, held: Held | undefined): Html {
  const head = html`<h3>${target.label}</h3><p class="small quiet">audience <span class="mono">${target.audience}</span></p>`
  if (held === undefined || 'error' in held)
    return html`<section>${head}<p class="none">No token: ${held?.error ?? 'not asked for'}. The rules give nothing here.</p></section>`
  const names = subject ? target.describe(explained(world, subject).decision) : []
  const signed = held.signedBy ? `Signed by a key at ${held.signedBy}` : 'Signed by no key that is published'
  return html`<section>${head}<ul class="list">${names.map((line) => html`<li>${line}</li>`)}</ul>
<p class="small quiet">${signed}</p>${decoded(held.token, target.id)}</section>`
}

function decoded(token: string, name: string): Html {
  return html`<details><summary>Claims</summary><pre id="${`claims-${name}`}">${JSON.stringify(payloadOf(token), undefined, 2)}</pre></details>`
}
