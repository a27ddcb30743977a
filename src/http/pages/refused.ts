import { type Grant, grantKind } from '../../core/decision.ts'
import { statusOf } from '../../core/errors.ts'
import { type Html, html } from './html.ts'
import { badge, layout, textsOf, time, waysOn } from './layout.ts'
import type { ClaimLine, Page, RefusedModel, Theme } from './models.ts'

const limits = { names: 12, values: 8, characters: 120, grants: 20, because: 5 } as const

/**
 * Signed in, but the decision gives nothing here: what the organisation said, what follows, and a reference by which an
 * operator finds the rules that were looked at. Rule names are not shown: they tell of other people's access.
 */
export function refusedPage(model: RefusedModel, theme: Theme): Page {
  const t = textsOf(theme)
  const client = model.clientLabel ?? t.refused.client
  return layout(theme, {
    status: statusOf(model.error),
    heading: t.refused.titles[model.error],
    badge: badge('no'),
    width: 'wide',
    card: html`<p>${t.refused.lead(model.organisation)} ${t.refused.reasons[model.error](client)}</p>
<div class="chart">
<section><h2>${t.refused.said}</h2>${claimList(model.claims, theme)}</section>
<section><h2>${t.refused.get}</h2>${gains(model, theme)}</section>
</div>
<section class="todo"><h2>${t.error.todo}</h2><p>${t.refused.todo}</p></section>
${waysOn(model, t.refused.retry, theme)}
<div class="foot"><dl><dt>${t.words.reference}</dt><dd class="mono ref">${model.reference}</dd><dt>${t.words.time}</dt><dd>${time(theme, model.now)}</dd></dl></div>`,
  })
}

function claimList(claims: readonly ClaimLine[], theme: Theme): Html {
  const t = textsOf(theme)
  if (claims.length === 0) return html`<p class="quiet">${t.refused.nothingSaid}</p>`
  const lines = claims
    .slice(0, limits.names)
    .map(({ name, values }) => html`<dt dir="auto">${shortened(name)}</dt><dd>${valueTags(values, theme)}</dd>`)
  return html`<dl>${lines}</dl>${more(claims.length - limits.names, theme)}`
}

function valueTags(values: readonly string[], theme: Theme): Html {
  if (values.length === 0) return html`<span class="quiet">${textsOf(theme).refused.empty}</span>`
  const tags = values
    .slice(0, limits.values)
    .map((value) => html`<span class="tag" dir="auto">${shortened(value)}</span>`)
  return html`${tags}${more(values.length - limits.values, theme)}`
}

function gains(model: RefusedModel, theme: Theme): Html {
  const t = textsOf(theme).refused
  const because = (model.because ?? [])
    .slice(0, limits.because)
    .map((words) => html`<p class="small"><q>${shortened(words)}</q></p>`)
  const grants = model.grants.slice(0, limits.grants).map((grant) => html`<li>${grantText(grant, theme)}</li>`)
  return html`<ul class="list no"><li>${t.nothing}</li></ul>
${grants.length > 0 ? html`<p class="small quiet">${t.elsewhere}</p><ul class="list">${grants}</ul>${more(model.grants.length - limits.grants, theme)}` : undefined}
${because.length > 0 ? html`<h2>${t.words}</h2>${because}` : undefined}
${model.wantsAcr === undefined ? undefined : html`<p class="small">${t.acr(model.wantsAcr)}</p>`}`
}

function grantText(grant: Grant, theme: Theme): string {
  const words = textsOf(theme).refused.grants
  const kind = grantKind(grant)
  const names: Readonly<Record<string, unknown>> = { ...grant }
  const name = kind === 'cluster' ? '' : ` ${String(names[kind])}`
  const roles = 'roles' in grant ? `: ${grant.roles.join(', ')}` : ''
  return shortened(`${grant.target} · ${words[kind]}${name}${roles}`)
}

function more(count: number, theme: Theme): Html | undefined {
  return count > 0 ? html`<span class="small quiet more">${textsOf(theme).words.more(count)}</span>` : undefined
}

function shortened(text: string): string {
  const chars = [...text.slice(0, 4 * limits.characters)]
  return chars.length > limits.characters ? `${chars.slice(0, limits.characters - 1).join('')}…` : text
}
