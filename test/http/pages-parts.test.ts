import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { errorCodes } from '../../src/core/errors.ts'
import { contrast, type Hex } from '../../src/http/pages/color.ts'
import { describeErrors, errorsDocument } from '../../src/http/pages/document.ts'
import { html, render, safeUrl, trusted } from '../../src/http/pages/html.ts'
import { createLook, markOf, pickLanguage } from '../../src/http/pages/index.ts'
import { inLanguage } from '../../src/http/pages/language.ts'
import { grounds, palette } from '../../src/http/pages/look.ts'
import { texts } from '../../src/http/pages/texts.ts'

test('a value is escaped by the place in which it stands', () => {
  const value = `<b a="1" b='2'>&`
  assert.equal(render(html`<p>${value}</p>`), '<p>&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;</p>')
  assert.equal(
    render(html`<p title="a ${value}">${3}</p>`),
    '<p title="a &lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;">3</p>',
  )
  assert.equal(render(html`<a href="${'javascript:x'}">${undefined}</a>`), '<a href="about:invalid"></a>')
  assert.equal(render(html`<ul>${[html`<li>${'<'}</li>`, undefined]}</ul>`), '<ul><li>&lt;</li></ul>')
  assert.equal(render(html`<p>${'a\u202eb\u0000c\nd'}</p>`), '<p>a\ufffdb\ufffdc\nd</p>')
  assert.equal(render(html`<style>${trusted('a{}')}</style><p>${'<'}</p>`), '<style>a{}</style><p>&lt;</p>')
})

test('a value in a place that cannot be made safe is a mistake that shows at once', () => {
  const x = 'x'
  for (const make of [
    () => html`<a href=${x}>`,
    () => html`<a onclick="${x}">`,
    () => html`<a style="${x}">`,
    () => html`<a href="/a?b=${x}">`,
    () => html`<a href="${x}${x}">`,
    () => html`<${x}>`,
    () => html`<p ${x}>`,
    () => html`<script>${x}</script>`,
    () => html`<style>a{${x}}</style>`,
    () => html`<p title="${html`<b>`}">`,
  ]) {
    assert.throws(make, TypeError, make.toString())
  }
})

test('relative, http and https addresses stay as they are, all others are replaced', () => {
  for (const url of ['/a?b=c', 'a', '?lang=de', '#x', 'https://a.example/', 'http://127.0.0.1:8080/x'])
    assert.equal(safeUrl(url), url)
  for (const url of [
    'javascript:1',
    '\tjavascript:1',
    'java\r\nscript:1',
    'data:,x',
    'file:///etc',
    'blob:x',
    'http://[',
    'mailto:a@b',
  ]) {
    assert.equal(safeUrl(url), 'about:invalid')
  }
})

test('the switch wins over the cookie, the cookie over the browser, and English is left', () => {
  assert.equal(pickLanguage('de', 'en', 'de'), 'en')
  assert.equal(pickLanguage('en', undefined, 'de'), 'de')
  assert.equal(pickLanguage('en', 'fr', 'xx'), 'en')
  assert.equal(pickLanguage(undefined, undefined, undefined), 'en')
  assert.equal(pickLanguage('fr-FR, de-AT;q=0.7, en;q=0.6', undefined, undefined), 'de')
  assert.equal(pickLanguage('en;q=0.6, DE;q=0.7', undefined, undefined), 'de')
  assert.equal(pickLanguage('de;q=0, en;q=0.1', undefined, undefined), 'en')
  assert.equal(pickLanguage('de;q=x', undefined, undefined), 'en')
  assert.equal(pickLanguage(`${'a,'.repeat(1e6)}de`, undefined, undefined), 'en')
})

test('the language switch stays on this origin', () => {
  assert.equal(inLanguage('/login/a?x=1&lang=en', 'de'), '/login/a?x=1&lang=de')
  for (const here of [
    '//evil.example/x',
    'https://evil.example//evil.example/',
    '/\\evil.example',
    'javascript:x',
    'http://[',
  ]) {
    const url = new URL(inLanguage(here, 'de'), 'https://login.example')
    assert.equal(url.origin, 'https://login.example', here)
  }
})

test('whatever colour an operator picks, every text can be read in light and dark', () => {
  const steps = ['00', '33', '66', '99', 'cc', 'ff']
  const colors = steps.flatMap((r) => steps.flatMap((g) => steps.map((b): Hex => `#${r}${g}${b}`)))
  const pairs = [
    ['sea', 'paper'],
    ['sea', 'card'],
    ['sea', 'wash'],
    ['fill-ink', 'fill'],
    ['wave-ink', 'wave'],
    ['quiet', 'card'],
    ['quiet', 'paper'],
    ['quiet', 'wash'],
    ['ink', 'wash'],
    ['ink', 'no-wash'],
    ['ok', 'ok-wash'],
    ['no', 'no-wash'],
    ['no', 'card'],
    ['ok', 'card'],
  ] as const
  for (const color of colors) {
    for (const [scheme, ground] of Object.entries(grounds)) {
      const values = palette(color, ground)
      const ratio = (one: string, other: string) => contrast(values[one] as Hex, values[other] as Hex)
      for (const [one, other] of pairs)
        assert.ok(ratio(one, other) >= 4.5, `${color} ${scheme} ${one} on ${other}: ${ratio(one, other)}`)
      assert.ok(ratio('edge', 'card') >= 3, `${scheme}: the edge of a field`)
      assert.ok(ratio('fill-edge', 'card') >= 3, `${color} ${scheme}: the edge of a button`)
    }
  }
})

test('a colour that is none, or more than one, does not reach the style sheet', () => {
  const plain = createLook({ name: 'x' }).css
  for (const color of ['red', '#fff', '#0b5a8a;} body{display:none', '', '#0b5a8a\n'])
    assert.equal(createLook({ name: 'x', color }).css, plain)
  assert.notEqual(createLook({ name: 'x', color: '#e4003a' }).css, plain)
})

test('a mark is made of the initials of a label', () => {
  assert.deepEqual(['Example University', 'corp', 'Öko-Institut e.V.', '…', '<b>'].map(markOf), [
    'EU',
    'C',
    'ÖI',
    '',
    'B',
  ])
})

test('both languages have every text, none is empty, and functions take the same', () => {
  const walk = (de: unknown, en: unknown, path: string): void => {
    assert.equal(typeof de, typeof en, path)
    if (typeof de === 'function' && typeof en === 'function') {
      assert.equal(de.length, en.length, path)
      assert.ok(String(de('VALUE')).includes('VALUE') && String(en('VALUE')).includes('VALUE'), path)
    } else if (typeof de === 'object' && typeof en === 'object' && de && en) {
      assert.deepEqual(Object.keys(de), Object.keys(en), path)
      for (const [key, value] of Object.entries(de)) walk(value, (en as Record<string, unknown>)[key], `${path}.${key}`)
    } else {
      assert.match(String(de), /\S/, path)
      assert.match(String(en), /\S/, path)
    }
  }
  walk(texts.de, texts.en, 'texts')
})

test('every error code has title, what happened and what to do in both languages, and no two titles are the same', () => {
  for (const { errors } of Object.values(texts)) {
    assert.deepEqual(Object.keys(errors), [...errorCodes])
    for (const code of errorCodes) for (const text of Object.values(errors[code])) assert.match(text, /^\S.*\S$/, code)
    assert.equal(new Set(errorCodes.map((code) => errors[code].title)).size, errorCodes.length)
  }
})

test('docs/errors.md is what the tables say now', () => {
  assert.equal(readFileSync(errorsDocument, 'utf8'), describeErrors(), 'run: npx node src/http/pages/document.ts')
})
