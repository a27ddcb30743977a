import { createHash } from 'node:crypto'
import { html, safeUrl } from './html.ts'
import { badge, formSources, hiddenInputs, layout, textsOf } from './layout.ts'
import type { Page, PostFormModel, Theme } from './models.ts'

// The prototype's method: a field that is named `submit` would hide the form's own.
const code = 'HTMLFormElement.prototype.submit.call(document.forms[0])'
const script = { code, hash: `sha256-${createHash('sha256').update(code).digest('base64')}` }

/** A form that submits itself; its button serves those without script. */
export function postFormPage(model: PostFormModel, theme: Theme): Page {
  const t = textsOf(theme).postForm
  return layout(theme, {
    heading: t.title(model.label),
    badge: badge('info'),
    card: html`<p class="quiet">${t.lead(model.label)}</p>
<form method="post" action="${model.action}">
${hiddenInputs(model.fields)}
<button class="block">${t.go}</button>
</form>`,
    formAction: [...originOf(model.action), ...formSources(model)],
    script,
  })
}

function originOf(action: string): readonly string[] {
  return URL.canParse(action) && safeUrl(action) === action ? [new URL(action).origin] : []
}
