import { createHash } from 'node:crypto'
import { choiceLink } from './chooser.ts'
import { type Html, html } from './html.ts'
import { formSources, hiddenInputs, layout, textsOf } from './layout.ts'
import type { DiscoveryModel, Page, Theme } from './models.ts'

/**
 * Asks for the same page while the person types, and takes the list and its count from it: the answer is made in one place only, and
 * whoever has no script presses the button. A later answer is never replaced by an earlier one.
 */
const code = `
const form = document.querySelector('form[role=search]')
let timer, turn = 0
form.addEventListener('input', () => {
  clearTimeout(timer)
  timer = setTimeout(async () => {
    const mine = ++turn
    const answer = await fetch(form.action + '?' + new URLSearchParams(new FormData(form)))
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
    if (mine !== turn || !answer.ok) return
    for (const id of ['choices', 'found']) {
      const [here, there] = [document.getElementById(id), page.getElementById(id)]
      here.replaceChildren(...there.childNodes)
    }
  }, 120)
})`.trim()
const script = { code, hash: `sha256-${createHash('sha256').update(code).digest('base64')}`, asks: true } as const

/** "Where do you belong?": a search over the identity providers of a federation. */
export function discoveryPage(model: DiscoveryModel, theme: Theme): Page {
  const t = textsOf(theme).discovery
  const { last, search, elsewhereHref } = model
  return layout(theme, {
    heading: t.title,
    card: html`<p class="quiet">${t.lead(model.clientLabel, model.federation)}</p>
${model.problem && html`<p class="notice" role="alert">${t.unknown}</p>`}
${last && html`<ul class="choices">${choiceLink(last, t.last)}</ul><p class="small under"><a href="${last.forgetHref}">${t.forget}</a></p>`}
<form method="get" action="${search.action}" class="${last ? 'search' : 'alone'}" role="search">
${hiddenInputs(search.hidden)}
<label for="words">${t.label}</label>
<div class="with"><input id="words" name="q" value="${search.value}" maxlength="100" autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="example"><button>${t.find}</button></div>
<p class="small quiet" id="example">${t.example}</p>
</form>
<p class="small quiet" role="status" id="found">${counted(model, theme)}</p>
<ul class="choices" id="choices" aria-label="${t.list}">${model.choices.map((choice) => choiceLink(choice, undefined))}</ul>`,
    below:
      elsewhereHref === undefined
        ? undefined
        : html`<p class="small under"><a href="${elsewhereHref}">${t.elsewhere}</a></p>`,
    formAction: formSources(search),
    script,
  })
}

function counted({ total, choices, search }: DiscoveryModel, theme: Theme): Html | undefined {
  const t = textsOf(theme).discovery
  if (search.value === '' && choices.length === 0) return undefined
  if (total === 0) return html`${t.nothing(search.value)}`
  return html`${total > choices.length ? t.more(choices.length, total) : t.count(total)}`
}
