import { createHash } from 'node:crypto'
import { appLink, type Html, html } from './html.ts'
import { badge, formSources, hiddenInputs, layout, textsOf, time, waysOn } from './layout.ts'
import type { Page, Theme, WalletModel, WalletOverModel } from './models.ts'
import { qrCode } from './qr.ts'

/**
 * Asks by and by whether a wallet on another device has answered, and goes on then; whoever has no script gets the page anew. Where the
 * browser has the Digital Credentials API, its button appears, and what it brings is posted like any other answer. A page that is being left,
 * for the callback or for a wallet, does not call the browser back: the sign-in is over while its next page is on the way.
 */
const code = `
const byId = (id) => document.getElementById(id)
let left = -10000
addEventListener('beforeunload', () => { left = performance.now() })
const look = async () => {
  try {
    const answer = await fetch(location.pathname, { headers: { accept: 'application/json' }, cache: 'no-store' })
    if (answer.status < 500) {
      const { state, next } = await answer.json()
      if (state === 'answered') return location.assign(next)
      if (state !== 'waiting' && performance.now() > left + 10000) return location.reload()
    }
  } catch {}
  setTimeout(look, 1500)
}
setTimeout(look, 1500)
const button = byId('browser')
const api = self.DigitalCredential
const knows = api && (api.userAgentAllowsProtocol?.('openid4vp-v1-signed') ?? true)
if (button && knows) {
  byId('by-browser').hidden = false
  button.addEventListener('click', async () => {
    button.disabled = true
    try {
      const request = await (await fetch('/wallet/request/' + button.value, { method: 'POST' })).text()
      const requests = [{ protocol: 'openid4vp-v1-signed', data: { request } }]
      const { data } = await navigator.credentials.get({ mediation: 'required', digital: { requests } })
      for (const [name, value] of Object.entries(typeof data === 'string' ? JSON.parse(data) : data)) {
        if (!['response', 'vp_token', 'error'].includes(name)) continue
        const input = Object.assign(document.createElement('input'), { type: 'hidden', name })
        input.value = typeof value === 'string' ? value : JSON.stringify(value)
        byId('answer').append(input)
      }
      HTMLFormElement.prototype.submit.call(byId('answer'))
    } catch {
      byId('failed').hidden = false
    }
  })
}`.trim()
const script = { code, hash: `sha256-${createHash('sha256').update(code).digest('base64')}`, asks: true } as const

/** For those without script; it counts only there. */
const refresh = html`
<noscript><meta http-equiv="refresh" content="5"></noscript>`

/**
 * Says what is asked, by whom and for which program, and waits for a wallet on this device, behind the browser, or on another device. A
 * code for the latter can be passed on to somebody else, so the page says against whom it helps to look twice.
 * @see RFC 10027 section 6.1
 */
export function walletPage(model: WalletModel, theme: Theme): Page {
  const t = textsOf(theme).wallet
  const { browser, code: text, answerTo } = model
  return layout(theme, {
    heading: t.title(model.label),
    head: refresh,
    card: html`<p class="quiet">${t.lead(model.clientLabel)}</p>
<ul class="list plain">${model.asked.map(({ label, claims }) => html`<li>${label}${claimNames(claims)}</li>`)}</ul>
<dl><dt>${t.by}</dt><dd>${theme.look.brand.name} <span class="mono">${model.here}</span></dd><dt>${t.for}</dt><dd>${model.clientLabel}</dd><dt>${t.until}</dt><dd>${time(theme, model.until)}</dd></dl>
${appLink(model.link, t.open, 'button block')}
${browser === undefined ? undefined : byBrowser({ ...model, browser }, theme)}
${text === undefined ? undefined : byCode(text, theme)}
<p class="small quiet apart" role="status">${t.waiting}</p>`,
    below: otherWays(model, theme),
    ...(browser === undefined ? {} : { formAction: formSources({ action: answerTo }) }),
    script,
  })
}

/** Quieter than the ways on from a page that refuses: the one thing to do here is to open the wallet. */
function otherWays({ retryHref, leaveHref }: WalletModel, theme: Theme): Html | undefined {
  const { wallet, words } = textsOf(theme)
  const again = retryHref === undefined ? undefined : html`<a href="${retryHref}">${wallet.retry}</a>`
  const back = leaveHref === undefined ? undefined : html`<a href="${leaveHref}">${words.back}</a>`
  return html`<p class="small under">${again}${again && back && html` · `}${back}</p>`
}

function claimNames(claims: readonly string[]): Html | undefined {
  return claims.length === 0 ? undefined : html` <small class="quiet">${claims.join(', ')}</small>`
}

function byBrowser({ browser, answerTo, state }: WalletModel & { readonly browser: string }, theme: Theme): Html {
  const t = textsOf(theme).wallet
  return html`<div id="by-browser" hidden><button class="even block" type="button" id="browser" value="${browser}">${t.browser}</button>
<p class="notice" role="alert" id="failed" hidden>${t.browserFailed}</p>
<form method="post" action="${answerTo}" id="answer">${hiddenInputs({ state, request: browser })}</form></div>`
}

function byCode(text: string, theme: Theme): Html {
  const t = textsOf(theme).wallet
  return html`<section class="apart"><h2>${t.elsewhere}</h2>
<p class="notice">${t.warning}</p>
<p class="small">${t.scan}</p>
${qrCode(text, t.code)}</section>`
}

/** The request has come to its end, or its sign-in went on elsewhere. */
export function walletOverPage(model: WalletOverModel, theme: Theme): Page {
  const t = textsOf(theme).walletOver
  return layout(theme, {
    heading: t.title,
    badge: badge('info'),
    card: html`<p>${t.lead}</p><p class="quiet">${t.close}</p>
${waysOn(model, t.retry, theme)}`,
  })
}
