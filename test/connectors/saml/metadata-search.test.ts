import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Idp } from '../../../src/connectors/saml/idp.ts'
import { fold, listed, nameIn, SHOWN, search } from '../../../src/connectors/saml/metadata/search.ts'

const idp = (entityId: string, names: Record<string, string>, more: Partial<Idp> = {}) =>
  listed({
    entityId,
    signing: ['AAAA'],
    sso: [],
    slo: [],
    wantsSignedRequests: false,
    nameIdFormats: [],
    scopes: [],
    names,
    keywords: [],
    categories: [],
    hidden: false,
    ...more,
  })
const scope = (...texts: string[]) => ({ scopes: texts.map((text) => ({ text, pattern: false })) })

const entries = [
  idp(
    'https://idp.uni-giessen.example/idp',
    { de: 'Justus-Liebig-Universität Gießen', en: 'University of Giessen' },
    scope('uni-giessen.example'),
  ),
  idp(
    'https://login.thm.example/idp',
    { de: 'Technische Hochschule Mittelhessen' },
    { ...scope('thm.example'), keywords: ['Gießen Friedberg'] },
  ),
  idp('https://sso.oxford.example', { en: 'University of Oxford' }, scope('ox.example', 'oxford.example')),
  idp('https://idp.lodz.example', { pl: 'Uniwersytet Łódzki', en: 'University of Łódź' }, scope('uni.lodz.example')),
  idp('urn:nameless', {}),
]
const found = (words: string, language = 'en') => search(entries, words, language).shown.map(({ name }) => name)

test('a name is found by any of its words, in any language, without case and accents', () => {
  for (const words of ['giessen', 'GIESSEN', 'Gießen', 'justus liebig', 'universitaet gie', 'Universität justus'])
    assert.equal(found(words)[0], 'University of Giessen', words)
  assert.deepEqual(found('łódź'), ['University of Łódź'])
  assert.deepEqual(found('hochschule'), ['Technische Hochschule Mittelhessen'])
  assert.deepEqual(found('university cambridge'), [])
})

test('a domain, a scope and an e-mail address find it, and what fits best comes first', () => {
  assert.deepEqual(found('ox.example'), ['University of Oxford'])
  assert.deepEqual(found('alice@oxford.example'), ['University of Oxford'])
  assert.deepEqual(found('giessen'), ['University of Giessen', 'Technische Hochschule Mittelhessen'])
  assert.deepEqual(found('university of o'), ['University of Oxford', 'University of Giessen', 'University of Łódź'])
})

test('no words show all, by name; a nameless one goes by its entityID', () => {
  assert.equal(search(entries, ' ', 'en').total, 5)
  assert.deepEqual(found(''), [
    'Technische Hochschule Mittelhessen',
    'University of Giessen',
    'University of Łódź',
    'University of Oxford',
    'urn:nameless',
  ])
})

test('a name is shown in the language asked for, then in English, then in whichever there is', () => {
  const names = { 'de-at': 'Wien', en: 'Vienna', fr: 'Vienne' }
  assert.deepEqual(
    ['de', 'en', 'it'].map((tag) => nameIn({ id: 'x', names }, tag)),
    ['Wien', 'Vienna', 'Vienna'],
  )
  assert.equal(nameIn({ id: 'x', names: { fr: 'Vienne' } }, 'de'), 'Vienne')
})

test('words of any kind and length are taken as words', () => {
  for (const words of [
    '.*',
    '(',
    '\\',
    '@',
    '@@',
    'x'.repeat(100_000),
    '\u0000',
    '<script>',
    '%'.repeat(1000),
    'a '.repeat(5000),
  ])
    assert.ok(search(entries, words, 'en').total >= 0)
  assert.equal(fold('  ＧＩＥ\tßen '), 'gie ssen')
})

test('ten thousand entries are searched well within 50 ms, and fifty of them shown', () => {
  const many = Array.from({ length: 10_000 }, (_, n) =>
    idp(
      `https://idp${n}.example`,
      { de: `Universität Nummer ${n}`, en: `University number ${n}` },
      { ...scope(`uni-${n}.example`), keywords: ['campus', 'hochschule'] },
    ),
  )
  const times = ['', 'u', 'university', 'campus 99', 'uni-4711.example', 'nothing like it', 'e a i o u'].map(
    (words) => {
      const at = performance.now()
      const { shown, total } = search(many, words, 'de')
      assert.equal(shown.length, Math.min(total, SHOWN))
      return performance.now() - at
    },
  )
  assert.equal(search(many, 'uni-4711.example', 'de').shown[0]?.id, 'https://idp4711.example')
  assert.ok(Math.min(...times) < 50, times.join(' '))
})
