import { type Html, html, render, trusted } from './html.ts'
import { inLanguage } from './language.ts'
import type { FormTarget, Page, Theme } from './models.ts'
import { languages, type Texts, texts } from './texts.ts'

/** What a page adds to the frame that all share. */
export interface Content {
  readonly status?: number
  /** Plain text: heading of the page and, with the cloud's name, title of the window. */
  readonly heading: string
  /** What stands above the heading inside the card. */
  readonly badge?: Html
  readonly card: Html
  /** What stands in the head beside what all pages have. */
  readonly head?: Html
  readonly below?: Html | undefined
  readonly width?: 'wide'
  readonly formAction?: readonly string[]
  readonly script?: { readonly code: string; readonly hash: string; readonly asks?: true }
}

/** The texts in the theme's language. */
export function textsOf(theme: Theme): Texts {
  return texts[theme.language]
}

/** One finished page: header with the pilot's lights and the cloud's name, one card, the sea, the footer. */
export function layout(theme: Theme, content: Content): Page {
  const { look, language } = theme
  const title = `${content.heading} · ${look.brand.name}`
  const body = html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
${icon}${content.head}
<style>${trusted(look.css)}</style>
</head>
<body>
<header>${lights}<strong>${look.brand.name}</strong></header>
<main class="${content.width ?? 'narrow'}">
<div class="card">
${content.badge}<h1>${content.heading}</h1>
${content.card}
</div>
${content.below}
</main>
${waves}
${footer(theme)}
${content.script && html`<script>${trusted(content.script.code)}</script>`}
</body>
</html>
`
  return {
    status: content.status ?? 200,
    title,
    body: render(body),
    csp: {
      formAction: content.formAction ?? [],
      scriptHashes: content.script ? [content.script.hash] : [],
      asks: content.script?.asks === true,
      styleHashes: [look.cssHash],
    },
  }
}

/** Hidden inputs, one for each field. */
export function hiddenInputs(fields: Readonly<Record<string, string>> | undefined): readonly Html[] {
  return Object.entries(fields ?? {}).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  )
}

/** `form-action` for a form to the gateway itself whose answer may redirect elsewhere. */
export function formSources(form: Pick<FormTarget, 'action' | 'leadsTo'>): readonly string[] {
  // Chromium applies form-action to every redirect that follows a submission (measured in version 156, GET and POST).
  const elsewhere = form.leadsTo ?? (form.action.startsWith('http:') ? ['https:', 'http:'] : ['https:'])
  return ["'self'", ...elsewhere.filter((source) => /^[^\s;,']+$/.test(source))]
}

/** A point in time, in words and for machines. The reader's zone is not known, so it is UTC and says so. */
export function time(theme: Theme, seconds: number): Html {
  const date = new Date(Number.isFinite(seconds) && Math.abs(seconds) < 1e11 ? seconds * 1000 : 0)
  const format = new Intl.DateTimeFormat(theme.language === 'de' ? 'de-DE' : 'en-GB', {
    dateStyle: 'long',
    timeStyle: 'short',
    timeZone: 'UTC',
  })
  return html`<time datetime="${date.toISOString()}">${format.format(date)} UTC</time>`
}

/** The ways on from a page that refuses: once more, or back to where the person came from. */
export function waysOn(
  { retryHref, leaveHref }: { readonly retryHref?: string; readonly leaveHref?: string },
  retry: string,
  theme: Theme,
): Html | undefined {
  if (retryHref === undefined && leaveHref === undefined) return undefined
  return html`<p class="actions">${retryHref && html`<a class="button" href="${retryHref}">${retry}</a> `}${
    leaveHref && html`<a class="button second" href="${leaveHref}">${textsOf(theme).words.back}</a>`
  }</p>`
}

/** The round sign above a heading; decoration, so it has no name: the heading says the same. */
export function badge(kind: 'ok' | 'no' | 'info'): Html {
  const shapes = { ok: check, no: cross, info: lamp } as const
  return html`<div class="badge ${kind}" aria-hidden="true"><svg viewBox="0 0 24 24">${shapes[kind]}</svg></div>`
}

const check = html`<path d="M5 12.5l4.5 4.5L19 7.5"/>`
const cross = html`<path d="M12 6.5v7M12 17.4v.1"/>`
const lamp = html`<path d="M5 12h13M12.5 6.5 18 12l-5.5 5.5"/>`

// "White over red, pilot ahead": what a pilot vessel shows at night.
const lights = html`<svg width="16" height="32" viewBox="0 0 16 32" aria-hidden="true" focusable="false"><defs><radialGradient id="w"><stop offset="0" stop-color="#fff"/><stop offset=".75" stop-color="#fdfbf3"/><stop offset="1" stop-color="#ece7d6"/></radialGradient><radialGradient id="r"><stop offset="0" stop-color="#f2564c"/><stop offset="1" stop-color="#c9251d"/></radialGradient></defs><circle cx="8" cy="8" r="6.25" fill="url(#w)" stroke="#14212e" stroke-width="1.25"/><circle cx="8" cy="24" r="6.75" fill="url(#r)"/></svg>`

const waves = html`<svg class="sea" viewBox="0 0 1440 96" preserveAspectRatio="none" aria-hidden="true" focusable="false"><path class="far" d="M0 52C160 20 300 14 470 34s290 44 470 22 330-46 500-14v54H0z"/><path class="near" d="M0 70c190-26 340-20 520 0s300 24 470 6 300-30 450-8v28H0z"/></svg>`

// A constant: `html` lets no data: URL through.
const icon = trusted(
  `<link rel="icon" href="data:image/svg+xml,${encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="8.5" r="6.5" fill="#fff" stroke="#14212e" stroke-width="1.5"/><circle cx="16" cy="24" r="7" fill="#d5322a"/></svg>')}">`,
)

function footer(theme: Theme): Html {
  const t = textsOf(theme).footer
  const { imprint, privacy, help } = theme.look.brand
  const links = (
    [
      [imprint, t.imprint],
      [privacy, t.privacy],
      [help, t.help],
    ] as const
  ).map(([href, label]) => (href === undefined ? undefined : html`<li><a href="${href}">${label}</a></li>`))
  return html`<footer>${languageSwitch(theme)}${
    links.some(Boolean) ? html`<nav aria-label="${t.label}"><ul>${links}</ul></nav>` : undefined
  }</footer>`
}

function languageSwitch(theme: Theme): Html | undefined {
  const { here, language } = theme
  if (here === undefined) return undefined
  const items = languages.map(([code, name]) =>
    code === language
      ? html`<li><span lang="${code}" aria-current="true">${name}</span></li>`
      : html`<li><a href="${inLanguage(here, code)}" hreflang="${code}" lang="${code}">${name}</a></li>`,
  )
  return html`<nav aria-label="${textsOf(theme).footer.languages}"><ul>${items}</ul></nav>`
}
