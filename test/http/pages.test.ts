import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { errorCodes, statusOf } from '../../src/core/errors.ts'
import {
  chooserPage,
  deviceConfirmPage,
  deviceEntryPage,
  errorPage,
  logoutConfirmPage,
  type Page,
  postFormPage,
  refusedPage,
  securityHeaders,
  walletPage,
} from '../../src/http/pages/index.ts'
import { readCode } from '../support/qr.ts'
import { everyPage, isScripted, now, samples, themeIn } from './pages-samples.ts'

/** The markup without style sheet and script, which are constants of ours. */
function markup(page: Page): string {
  return page.body.replace(/<style>[\s\S]*?<\/style>/g, '').replace(/<script>[\s\S]*?<\/script>/g, '')
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0
}

/** Values of URL attributes, entities resolved. */
function urls(page: Page): readonly string[] {
  const entity: Readonly<Record<string, string>> = {
    amp: '&',
    lt: '<',
    gt: '>',
    quot: '"',
    '#39': "'",
    '#10': '\n',
    '#13': '\r',
  }
  return [...markup(page).matchAll(/\s(?:href|src|action|formaction)="([^"]*)"/g)].map(([, value = '']) =>
    value.replace(/&(#?\w+);/g, (_, name: string) => entity[name] ?? ''),
  )
}

const theme = themeIn('en')

test('nothing that a model or a brand says becomes markup', () => {
  const hostile = (text: string) => `</title></style>"'><script>alert(${text.length})</script>&`
  for (const [name, page] of everyPage(hostile)) {
    const outside = page.body.replace(/<style>[\s\S]*?<\/style>/, '')
    assert.equal(count(outside, /<script/g), page.csp.scriptHashes.length, `${name}: a script element`)
    assert.ok(!outside.includes('"\'>'), `${name}: an unescaped quote`)
    assert.equal(count(page.body, /<\/title>/g), 1, name)
    assert.equal(count(page.body, /<\/style>/g), 1, name)
    assert.ok(!/&(?!amp;|lt;|gt;|quot;|#39;|#10;|#13;)/.test(markup(page)), `${name}: a bare ampersand`)
  }
})

test('a javascript: or data: address from a model never becomes a link or a form target', () => {
  for (const scheme of [
    'javascript:',
    'JavaScript:',
    ' java\tscript:',
    '\u0001javascript:',
    'java\nscript:',
    'data:text/html,',
    'vbscript:',
  ]) {
    for (const [name, page] of everyPage(() => `${scheme}alert(1)`)) {
      for (const url of urls(page)) {
        const { protocol, href } = new URL(url, 'https://login.example/')
        const fine = protocol === 'https:' || href === 'about:invalid' || href.startsWith('data:image/svg+xml,%3Csvg')
        assert.ok(fine, `${name}: ${url}`)
      }
    }
  }
})

test('every page has its language, one main heading, one main part, and a title with the name of the cloud', () => {
  for (const [name, page, language] of everyPage()) {
    assert.match(page.body, new RegExp(`^<!doctype html>\\s*<html lang="${language}">`), name)
    assert.equal(count(page.body, /<h1[ >]/g), 1, name)
    assert.equal(count(page.body, /<main[ >]/g), 1, name)
    assert.match(page.body, /<title>[^<]+ · Cloud Nord<\/title>/, name)
    assert.ok(page.title.endsWith(' · Cloud Nord'), name)
  }
})

test('every visible field has a label, every button a text, every id is there once', () => {
  for (const [name, page] of everyPage()) {
    for (const [input] of markup(page).matchAll(/<input (?!type="hidden")[^>]*>/g)) {
      const id = /\sid="([^"]+)"/.exec(input)?.[1]
      assert.ok(page.body.includes(`<label for="${id}">`), `${name}: ${input}`)
    }
    for (const [, text = ''] of markup(page).matchAll(/<button[^>]*>([^<]*)<\/button>/g))
      assert.notEqual(text.trim(), '', name)
    const ids = [...markup(page).matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id)
    assert.equal(new Set(ids).size, ids.length, `${name}: ${ids}`)
    for (const [, list = ''] of markup(page).matchAll(/aria-describedby="([^"]+)"/g)) {
      for (const id of list.split(' ')) assert.ok(ids.includes(id), `${name}: ${id}`)
    }
  }
})

test('the two languages differ on every page and the switch leads to the other one', () => {
  for (const [name, make] of Object.entries(samples)) {
    const [german, english] = [make(themeIn('de'), String), make(themeIn('en'), String)]
    assert.notEqual(german.title, english.title, name)
    assert.ok(german.body.includes('<a href="/login/abc?step=1&amp;lang=en" hreflang="en" lang="en">English</a>'), name)
    assert.ok(
      english.body.includes('<a href="/login/abc?step=1&amp;lang=de" hreflang="de" lang="de">Deutsch</a>'),
      name,
    )
  }
  const { look } = themeIn('de')
  assert.ok(!samples['error']!({ look, language: 'de' }, String).body.includes('hreflang'), 'no address, no switch')
})

test('a page fetches nothing, and its style and script are those whose hashes the policy names', () => {
  for (const [name, page] of everyPage()) {
    assert.ok(!/\s(src|srcset|style|on\w+)=|@import|url\(["']?(?!#)/.test(page.body), name)
    assert.equal(count(markup(page), /<link /g), 1, name)
    const inline = (tag: string) =>
      [...page.body.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))].map(
        ([, text = '']) => `sha256-${createHash('sha256').update(text).digest('base64')}`,
      )
    assert.deepEqual(inline('style'), page.csp.styleHashes, name)
    assert.deepEqual(inline('script'), page.csp.scriptHashes, name)
    const headers = securityHeaders(page)
    const policy = headers['Content-Security-Policy'] ?? ''
    for (const part of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"])
      assert.ok(policy.includes(part), name)
    assert.ok(!policy.includes('unsafe'), name)
    assert.equal(/<form/.test(page.body), !policy.includes("form-action 'none'"), name)
    assert.equal(headers['X-Frame-Options'], 'DENY')
    assert.equal(headers['Cache-Control'], 'no-store')
    assert.equal(headers['Referrer-Policy'], 'no-referrer')
    assert.equal(headers['X-Content-Type-Options'], 'nosniff')
  }
})

test('a form target from outside cannot add a directive to the policy', () => {
  const leadsTo = ["https://a.example; script-src 'unsafe-inline'", 'https://b.example', 'x\r\nSet-Cookie: a=b']
  const page = logoutConfirmPage({ action: '/x', xsrf: 'x', leadsTo }, theme)
  assert.deepEqual(page.csp.formAction, ["'self'", 'https://b.example'])
  const hostile = postFormPage({ action: "javascript:'; script-src *", fields: {}, label: 'x' }, theme)
  assert.ok(!securityHeaders(hostile)['Content-Security-Policy']?.includes('script-src *'))
})

test('a form to the gateway may be answered by a redirect to an upstream, over https where the gateway itself uses it', () => {
  const sources = (action: string) => logoutConfirmPage({ action, xsrf: 'x' }, theme).csp.formAction
  assert.deepEqual(sources('https://login.example/session/end/confirm'), ["'self'", 'https:'])
  assert.deepEqual(sources('/session/end/confirm'), ["'self'", 'https:'])
  assert.deepEqual(sources('http://127.0.0.1:8080/session/end/confirm'), ["'self'", 'https:', 'http:'])
  assert.deepEqual(samples['device confirm']!(theme, String).csp.formAction, ["'self'", 'https://sso.corp.example'])
})

test('only the form that submits itself, the search of a federation and who waits for a wallet or the store have a script, and all work without', () => {
  for (const [name, page] of everyPage()) assert.equal(page.csp.scriptHashes.length, isScripted(name) ? 1 : 0, name)
  assert.match(samples['wallet']!(theme, String).body, /<noscript><meta http-equiv="refresh" content="5"><\/noscript>/)
  const page = postFormPage(
    { action: 'https://sso.corp.example/saml', fields: { submit: 'x' }, label: 'Corp AG' },
    theme,
  )
  assert.match(
    page.body,
    /<form method="post" action="https:\/\/sso\.corp\.example\/saml">[\s\S]*<button class="block">Continue<\/button>\s*<\/form>/,
  )
  assert.deepEqual(page.csp.formAction.slice(0, 1), ['https://sso.corp.example'])
})

test('a script asks the gateway for more on three pages alone', () => {
  for (const [name, page] of everyPage()) {
    const policy = securityHeaders(page)['Content-Security-Policy'] ?? ''
    assert.equal(
      /connect-src ([^;]*)/.exec(policy)?.[1],
      /^(?:discovery|tries again|wallet(?!, over))/.test(name) ? "'self'" : "'none'",
      name,
    )
  }
})

test('hidden fields keep every character of their values', () => {
  const value = '"<&\'>\r\n\u200e=+/'
  const page = postFormPage({ action: 'https://sso.corp.example/', fields: { RelayState: value }, label: 'x' }, theme)
  assert.ok(page.body.includes('value="&quot;&lt;&amp;&#39;&gt;&#13;&#10;\u200e=+/"'))
})

test('declining a device is as easy as confirming it, and comes first', () => {
  const page = samples['device confirm']!(theme, String)
  const buttons = [...page.body.matchAll(/<button ([^>]*)>/g)].map(([, attributes]) => attributes)
  assert.deepEqual(buttons, ['class="even" name="abort" value="yes"', 'class="even" name="confirm" value="yes"'])
  assert.ok(page.body.includes('<input type="hidden" name="user_code" value="BCDF-KLMN">'))
  assert.ok(page.body.includes('<input type="hidden" name="xsrf" value="x1">'))
  assert.match(page.body, /203\.0\.113\.7[\s\S]*2 minutes ago/)
})

test('an asking in the future, of nobody or long ago still makes a page', () => {
  const model = { action: '/device', xsrf: 'x', userCode: 'A', clientLabel: 'x', askedFrom: '', now }
  const asked = (askedAt: number) => deviceConfirmPage({ ...model, askedAt }, theme).body
  assert.match(asked(now + 100), /just now/)
  assert.match(asked(now - 7200), /1 January 2027 at 10:00 UTC/)
  assert.match(asked(Number.NaN), /1970/)
})

test('after too many codes there is no field to try another', () => {
  const page = deviceEntryPage({ action: '/device', xsrf: 'x', problem: 'too_many' }, theme)
  assert.equal(page.status, 429)
  assert.ok(!/<form|<input/.test(page.body))
})

test('the connector that was used last stands first and says so', () => {
  const body = samples['chooser']!(theme, String).body
  assert.ok(body.indexOf('Corp AG') < body.indexOf('Example University'))
  assert.equal(count(body, /last used/g), 1)
  assert.match(body, /<form method="get" action="\/login\/abc"/)
  const page = chooserPage({ clientLabel: 'x', connectors: [] }, theme)
  assert.ok(!/<form|class="choices"/.test(page.body))
})

test('every error code has a page with its status, its id and no fact that has no label', () => {
  for (const code of errorCodes) {
    const page = errorPage(
      { code, facts: { organisation: 'Corp AG', token: 'SECRET', __proto__: 'x' }, errorId: 'ID-1', now },
      theme,
    )
    assert.equal(page.status, statusOf(code))
    assert.ok(page.body.includes('ID-1') && page.body.includes('Corp AG') && !page.body.includes('SECRET'), code)
  }
})

test('a refusal shows a bounded part of the claims and says how much more there is', () => {
  const values = Array(5000).fill('v'.repeat(1e3))
  const claims = Array.from({ length: 5000 }, (_, index) => ({ name: `claim${index}`, values }))
  const page = refusedPage(
    { error: 'nothing_granted', organisation: 'x', claims, grants: [], reference: 'r', now },
    theme,
  )
  assert.ok(page.body.length < 60_000, String(page.body.length))
  assert.ok(page.body.includes('and 4988 more') && page.body.includes('and 4992 more'))
  assert.equal(page.status, 403)
})

test('a link to a wallet opens a program, and never runs or shows what it holds', () => {
  const href = (link: string) => /class="button block" href="([^"]*)"/.exec(appLinkIn(link))?.[1]
  assert.equal(href('openid4vp://?client_id=a&request_uri=b'), 'openid4vp://?client_id=a&amp;request_uri=b')
  assert.equal(href('https://wallet.example/x?y'), 'https://wallet.example/x?y')
  for (const bad of [
    'javascript://%0aalert(1)',
    'JAVASCRIPT://x',
    'data://text/html,x',
    'blob://x',
    'file:///etc',
    'a b://',
    '//x',
  ])
    assert.equal(href(bad), 'about:invalid', bad)
})

const appLinkIn = (link: string) =>
  walletPage(
    { link, answerTo: '/c', state: 's', asked: [], label: 'l', clientLabel: 'c', here: 'h', until: now },
    theme,
  ).body

test('a QR code says what its link says, with the quiet zone that readers need', () => {
  const text = `openid4vp://?client_id=x509_hash%3A${'a'.repeat(43)}&request_uri=https%3A%2F%2Flogin.cloud.example%2Fwallet%2Frequest%2F${'b'.repeat(32)}&request_uri_method=post`
  const { body } = walletPage(
    {
      link: 'openid4vp://',
      code: text,
      answerTo: '/c',
      state: 's',
      asked: [],
      label: 'l',
      clientLabel: 'c',
      here: 'h',
      until: now,
    },
    theme,
  )
  assert.equal(readCode(body), text)
})
