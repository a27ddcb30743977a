import { statusOf } from '../../core/errors.ts'
import { html } from './html.ts'
import { badge, layout, textsOf, time, waysOn } from './layout.ts'
import type { ErrorModel, Page, Theme } from './models.ts'

/** What happened, what to do, and the id under which log and audit have the rest. */
export function errorPage(model: ErrorModel, theme: Theme): Page {
  const t = textsOf(theme)
  const text = t.errors[model.code]
  const facts = Object.entries(t.error.facts).flatMap(([name, label]) => {
    const value = Object.hasOwn(model.facts ?? {}, name) ? model.facts?.[name] : undefined
    return value === undefined ? [] : [html`<dt>${label}</dt><dd>${value}</dd>`]
  })
  return layout(theme, {
    status: statusOf(model.code),
    heading: text.title,
    badge: badge('no'),
    card: html`<p>${text.what}</p>
<section class="todo"><h2>${t.error.todo}</h2><p>${text.todo}</p></section>
${waysOn(model, t.error.retry, theme)}
<div class="foot"><dl>${facts}<dt>${t.words.reference}</dt><dd class="mono ref">${model.errorId}</dd><dt>${t.words.time}</dt><dd>${time(theme, model.now)}</dd></dl></div>`,
  })
}
