import type { Decision } from '../core/decision.ts'
import { type Explanation, explain, type RuleTrace } from '../core/explain.ts'
import { describeGrant } from '../core/grants.ts'
import type { Subject } from '../core/subject.ts'
import { type Html, html } from '../http/pages/html.ts'
import type { World } from './world.ts'

/** What the rules say about somebody right now, with the whole trace. */
export function explained(world: World, subject: Subject): Explanation {
  return explain(world.policy, subject, world.now())
}

/** The chart: what was said → what the rules say → what you get. */
export function chart(world: World, subject: Subject): Html {
  const explanation = explained(world, subject)
  return html`<div class="three">
<section><h2>What was said</h2>${claimList(subject.claims)}${strength(subject)}</section>
<section><h2>What the rules say</h2>${trace(world, subject, explanation)}</section>
<section><h2>What comes of it</h2>${outcome(explanation.decision)}</section>
</div>`
}

/** Claims as name and values. */
export function claimList(claims: Subject['claims']): Html {
  const lines = Object.entries(claims).map(
    ([name, values]) =>
      html`<dt>${name}</dt><dd>${values.map((value) => html`<span class="tag">${value}</span>`)}</dd>`,
  )
  return html`<dl>${lines}</dl>`
}

function strength({ acr, amr }: Subject): Html | undefined {
  if (acr === undefined) return undefined
  const means = amr && amr.length > 0 ? ` (${amr.join(', ')})` : ''
  return html`<p class="small quiet">Strength of the sign-in: ${acr}${means}</p>`
}

function trace(world: World, subject: Subject, { rules }: Explanation): Html {
  const foreign = new Set(
    world.policy.source.rules.filter(({ from }) => !from.includes(subject.connector)).map(({ name }) => name),
  )
  const lines = rules.filter(({ rule }) => !foreign.has(rule)).map(traceLine(world))
  const more = foreign.size > 0 ? `${foreign.size} more are about other organisations.` : ''
  return html`<ul class="trace">${lines}</ul><p class="small quiet">${more}</p>`
}

const traceLine =
  (world: World) =>
  ({ rule, matched, test, saw, says }: RuleTrace): Html => {
    const forbids = world.policy.source.rules.some(({ name, forbid }) => name === rule && forbid !== undefined)
    const look = matched ? (forbids ? 'yes forbids' : 'yes') : 'no'
    const missed = matched || test === undefined ? undefined : html`<p>${test}; seen: ${saw}</p>`
    return html`<li class="${look}"><strong>${rule}</strong>${missed}${says.map((line) => html`<p>${line}</p>`)}</li>`
  }

function outcome(decision: Decision): Html {
  const { identity, until, wantsAcr } = decision
  return html`${grantList(decision)}
${decision.allowed ? html`<p class="small">Known to the targets as <span class="mono">${identity.username}</span>${identity.domain ? ` in domain ${identity.domain}` : ''}.</p>` : undefined}
${Number.isFinite(until) && decision.allowed ? html`<p class="small">Until ${inBerlin(until)}; every token ends then at the latest.</p>` : undefined}
${wantsAcr === undefined ? undefined : html`<p class="small">More with a sign-in of strength ${wantsAcr}.</p>`}`
}

/** The grants of a decision, or that there are none and why. */
export function grantList(decision: Decision): Html {
  if (decision.grants.length > 0)
    return html`<ul class="list">${decision.grants.map((grant) => html`<li>${describeGrant(grant)}</li>`)}</ul>`
  const reason = decision.because.find(({ effect }) => effect === 'forbade')?.because
  return html`<ul class="list no"><li>${reason ?? 'Nothing: no rule gives anything'}</li></ul>`
}

function inBerlin(seconds: number): string {
  const format = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', dateStyle: 'long', timeStyle: 'short' })
  return `${format.format(new Date(seconds * 1000))} in Berlin`
}
