import { type Html, html } from './html.ts'
import { formSources, hiddenInputs, layout, textsOf } from './layout.ts'
import type { ChooserModel, ConnectorChoice, Page, Theme } from './models.ts'

/** "Where do you have your account?": the listed connectors as links, the others by a search. */
export function chooserPage(model: ChooserModel, theme: Theme): Page {
  const t = textsOf(theme).chooser
  const cloud = theme.look.brand.name
  const { search, lastUsed } = model
  const choices = [...model.connectors].sort((a, b) => Number(b.href === lastUsed) - Number(a.href === lastUsed))
  return layout(theme, {
    status: search?.notFound ? 404 : 200,
    heading: t.title(cloud),
    card: html`<p class="quiet">${t.lead(model.clientLabel)}</p>
${search?.notFound ? html`<p class="notice" role="alert" id="problem">${t.notFound(search.value)}</p>` : undefined}
${choices.length > 0 ? html`<ul class="choices">${choices.map((choice) => choiceLink(choice, choice.href === lastUsed ? t.last : undefined))}</ul>` : undefined}
${search && searchForm(search, theme, choices.length)}`,
    below: html`<p class="small quiet under">${t.note(cloud)}</p>`,
    ...(search && { formAction: formSources(search) }),
  })
}

/** One choice of a list; `note` marks it. */
export function choiceLink({ label, hint, href, mark }: ConnectorChoice, note: string | undefined): Html {
  const pill = note === undefined ? undefined : html` <span class="pill">${note}</span>`
  const second = hint === undefined ? undefined : html` <small>${hint}</small>`
  return html`
<li><a href="${href}"><span class="mark" aria-hidden="true">${mark}</span><span class="who"><span class="name">${label}</span>${pill}${second}</span></a></li>`
}

function searchForm(search: NonNullable<ChooserModel['search']>, theme: Theme, listed: number): Html {
  const t = textsOf(theme).chooser
  return html`<form method="get" action="${search.action}" class="${listed > 0 ? 'search' : 'alone'}" role="search">
${hiddenInputs(search.hidden)}
${listed > 0 ? html`<h2>${t.otherHeading}</h2>` : undefined}
<label for="organisation">${t.label}</label>
<div class="with"><input id="organisation" name="organisation" value="${search.value}" required maxlength="200" autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="${search.notFound ? 'problem example' : 'example'}"><button>${t.find}</button></div>
<p class="small quiet" id="example">${t.example}</p>
</form>`
}
