import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { automaton } from '../../src/core/automaton.ts'
import { endOfDayIn, moment } from '../../src/core/dates.ts'
import { shortForm } from '../../src/core/facts.ts'
import { requiredLiterals } from '../../src/core/literals.ts'
import { badName, fits, fitsGlob, holesOf, parseText, partsOf, runsOf } from '../../src/core/text.ts'

function caught(pattern: string, value: string): readonly string[] | undefined {
  const holes = holesOf(partsOf(pattern))
  const runs = runsOf(partsOf(pattern), (hole) => holes.indexOf(hole))
  assert.ok(runs)
  const out: string[] = []
  return fits(runs, value, out) ? out : undefined
}

describe('a pattern', () => {
  const rows: readonly (readonly [string, string, readonly string[] | undefined])[] = [
    ['/teams/<team>/<rank>', '/teams/web/dev', ['web', 'dev']],
    ['/teams/<team>/<rank>', '/x/teams/web/dev', undefined],
    ['/teams/<team>/<rank>', '/teams/web/dev/more', undefined],
    ['staff@<unit>.uni.example', 'staff@bio.uni.example', ['bio']],
    ['staff@<unit>.uni.example', 'staff@a.b.uni.example', ['a.b']],
    ['staff@<unit>.uni.example', 'staff@bio.uni.example.evil', undefined],
    ['gp4711-<project>-member', 'gp4711-my-web-member', ['my-web']],
    ['gp4711-<project>-member', 'gp4711--member', undefined],
    ['gp4711-<project>-member', 'gp4711-a-member-member', undefined],
    ['<a>', 'a/b', undefined],
    ['<a>', '', undefined],
    ['<a>', 'a'.repeat(4097), undefined],
    ['plain', 'plain', []],
    ['plain', 'plain ', undefined],
    ['a<<b', 'a<b', []],
    ['<x>', '<x>', ['<x>']],
  ]
  for (const [pattern, value, want] of rows)
    it(`${pattern} makes ${JSON.stringify(want) ?? 'nothing'} of ${JSON.stringify(value.slice(0, 40))}`, () => {
      assert.deepEqual(caught(pattern, value), want)
    })

  it('is refused where a hole is not closed, has no name or touches another', () => {
    assert.ok('error' in parseText('a<b'))
    assert.ok('error' in parseText('a<>b'))
    assert.ok('error' in parseText('a<b c>'))
    assert.equal(
      runsOf(partsOf('<a><b>'), () => -1),
      undefined,
    )
  })
})

describe('a glob', () => {
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['prod-*', 'prod-web', true],
    ['prod-*', 'prod-', true],
    ['prod-*', 'x-prod-web', false],
    ['*', '', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c', false],
    ['ab*ba', 'aba', false],
    ['exact', 'exact2', false],
  ]
  for (const [glob, text, want] of rows)
    it(`${glob} ${want ? 'fits' : 'does not fit'} ${JSON.stringify(text)}`, () => {
      assert.equal(fitsGlob(glob.split('*'), text), want)
    })
})

describe('literals that a match must hold', () => {
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ['/teams/(?P<t>[a-z]+)/lead', ['/teams/', '/lead']],
    ['abc?d', ['ab', 'd']],
    ['abc+d', ['abc', 'd']],
    ['a{2}b', ['b']],
    ['a|b', []],
    ['(?i)abc', []],
    ['a\\.b\\d+c', ['a.b', 'c']],
    ['[[:alpha:]]x', []],
    ['a(b|c)d', ['a', 'd']],
    ['\\Qa|b\\E', []],
    ['^abc$', ['abc']],
    ['x\\x41y', []],
  ]
  for (const [source, want] of rows)
    it(`are ${JSON.stringify(want)} for ${source}`, () => {
      assert.deepEqual(requiredLiterals(source), want)
    })
})

describe('the automaton', () => {
  it('finds the same literals as looking for each of them', () => {
    let seed = 7
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return Math.floor((seed / 2_147_483_648) * below)
    }
    const word = (length: number) => Array.from({ length }, () => 'abcä/'[random(5)]).join('')
    for (let round = 0; round < 200; round++) {
      const literals = [...new Set(Array.from({ length: 1 + random(30) }, () => word(1 + random(5))))]
      const finder = automaton(new Map(literals.map((literal) => [literal, [literal]])))
      const text = word(random(40))
      const found = new Set<string>()
      finder.scan(text, (hits) => {
        for (const hit of hits) found.add(hit)
      })
      assert.deepEqual([...found].sort(), literals.filter((literal) => text.includes(literal)).sort())
    }
  })
})

describe('a date', () => {
  it('ends when its day is over in its zone, also where the clock changes that day', () => {
    const iso = (zone: string, date: string) => new Date((endOfDayIn(zone)(date) ?? 0) * 1000).toISOString()
    assert.equal(iso('Europe/Berlin', '2026-12-31'), '2026-12-31T23:00:00.000Z')
    assert.equal(iso('Europe/Berlin', '2026-06-30'), '2026-06-30T22:00:00.000Z')
    assert.equal(iso('Europe/Berlin', '2026-03-29'), '2026-03-29T22:00:00.000Z')
    assert.equal(iso('Europe/Berlin', '2026-10-25'), '2026-10-25T23:00:00.000Z')
    assert.equal(iso('Pacific/Apia', '2026-12-31'), '2026-12-31T11:00:00.000Z')
    assert.equal(iso('America/Santiago', '2026-09-05'), '2026-09-06T04:00:00.000Z')
  })

  it('is nothing else than year, month and day of a calendar', () => {
    for (const text of ['2026-02-30', '2026-13-01', '31.12.2026', '2026-12-31T00:00:00Z', '', 'never', ' 2026-12-31'])
      assert.equal(endOfDayIn('UTC')(text), undefined)
  })

  it('may be a moment: RFC 3339, a day or Unix seconds', () => {
    assert.equal(moment('2027-01-15T08:00:00Z'), 1_800_000_000)
    assert.equal(moment('2027-01-15T09:00:00+01:00'), 1_800_000_000)
    assert.equal(moment('1800000000'), 1_800_000_000)
    assert.equal(moment('2027-01-15'), 1_799_971_200)
    for (const text of ['tomorrow', '2027-01-15 08:00', '-1', '2027-99-99T00:00:00Z'])
      assert.equal(moment(text), undefined)
  })
})

describe('a name', () => {
  it('is refused where it is empty, too long, broken or holds control characters', () => {
    for (const text of ['', 'x'.repeat(256), 'a\nb', 'a\u0000', '\u007f', '\u202eabc', '\ud800'])
      assert.ok(badName(text), text)
    for (const text of ['größe', ' web ', 'a;b', '日本', '😀']) assert.equal(badName(text), undefined)
  })

  it('made of a person is short, in lower case, stable, and never shared', () => {
    const short = shortForm({ connector: 'corp', id: 'a1' })
    assert.match(short, /^[a-z2-7]{20}$/)
    assert.equal(shortForm({ connector: 'corp', id: 'a1' }), short)
    const all = new Set(Array.from({ length: 20_000 }, (_, i) => shortForm({ connector: 'corp', id: `${i}` })))
    assert.equal(all.size, 20_000)
    assert.notEqual(shortForm({ connector: 'campus', id: 'a1' }), short)
  })
})
