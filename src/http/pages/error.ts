import { createHash } from 'node:crypto'
import { statusOf } from '../../core/errors.ts'
import { html } from './html.ts'
import { badge, layout, textsOf, time, waysOn } from './layout.ts'
import type { ErrorModel, Page, Theme } from './models.ts'

const code = `
const again = async () => {
  const answer = await fetch('/readyz', { cache: 'no-store' }).catch(() => undefined)
  if (answer?.ok) location.reload()
  else wait()
}
const wait = () => setTimeout(again, 2000 + crypto.getRandomValues(new Uint8Array(1))[0] * 8)
wait()`.trim()
/** Asks whether the gateway is well again, not all at one moment, and then for the page. */
const script = { code, hash: `sha256-${createHash('sha256').update(code).digest('base64')}`, asks: true } as const

/** For those without script; it counts only there. */
const refresh = html`
<noscript><meta http-equiv="refresh" content="5"></noscript>`

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
    ...(model.again === 'by itself' ? { head: refresh, script } : {}),
    card: html`<p>${text.what}</p>
<section class="todo"><h2>${t.error.todo}</h2><p>${model.again === 'by itself' ? t.error.again : text.todo}</p></section>
${waysOn(model, t.error.retry, theme)}
<div class="foot"><dl>${facts}<dt>${t.words.reference}</dt><dd class="mono ref">${model.errorId}</dd><dt>${t.words.time}</dt><dd>${time(theme, model.now)}</dd></dl></div>`,
  })
}
