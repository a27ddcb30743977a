import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Subject } from '../../src/core/subject.ts'
import { lines, policyOf, subject } from './support.ts'

type Row = readonly [test: object, who: Subject, holds: 'holds' | 'does not hold']

const groups = (...values: readonly string[]) => subject({ groups: values })
const mail = (email: string, verified?: string) =>
  subject({ email: [email], ...(verified === undefined ? {} : { email_verified: [verified] }) })

const rows: readonly Row[] = [
  [{ claim: 'groups', is: 'web' }, groups('db', 'web'), 'holds'],
  [{ claim: 'groups', is: 'web' }, groups('WEB'), 'does not hold'],
  [{ claim: 'groups', is: 'web' }, groups(' web '), 'does not hold'],
  [{ claim: 'groups', is: 'web', ignoreCase: true }, groups('WeB'), 'holds'],
  [{ claim: 'groups', is: 'kelvin', ignoreCase: true }, groups('\u212Aelvin'), 'does not hold'],
  [{ claim: 'groups', is: 'web' }, subject({}), 'does not hold'],
  [{ claim: 'groups', is: '<<team>' }, groups('<team>'), 'holds'],
  [{ claim: 'groups', is: '<vars.team>' }, groups('web'), 'holds'],
  [{ claim: 'groups', anyOf: ['a', 'web'] }, groups('web'), 'holds'],
  [{ claim: 'groups', anyOf: ['a', 'b'] }, groups('web'), 'does not hold'],
  [{ claim: 'groups', anyOf: ['A'], ignoreCase: true }, groups('a'), 'holds'],
  [{ claim: 'groups', allOf: ['a', 'b'] }, groups('b', 'a', 'c'), 'holds'],
  [{ claim: 'groups', allOf: ['a', 'b'] }, groups('a'), 'does not hold'],
  [{ claim: 'groups', noneOf: ['a', 'b'] }, groups('c'), 'holds'],
  [{ claim: 'groups', noneOf: ['a', 'b'] }, groups('c', 'b'), 'does not hold'],
  [{ claim: 'groups', noneOf: ['a'] }, subject({}), 'holds'],
  [{ claim: 'groups', prefix: '/teams/' }, groups('/teams/web'), 'holds'],
  [{ claim: 'groups', prefix: '/teams/' }, groups('/x/teams/web'), 'does not hold'],
  [{ claim: 'groups', prefix: '/Teams/', ignoreCase: true }, groups('/teamS/web'), 'holds'],
  [{ claim: 'groups', pattern: '/teams/<any>/dev' }, groups('/teams/web/dev'), 'holds'],
  [{ claim: 'groups', pattern: '/teams/<any>/dev' }, groups('/teams/web/db/dev'), 'does not hold'],
  [{ claim: 'groups', pattern: '/teams/<any>/dev' }, groups('/teams//dev'), 'does not hold'],
  [{ claim: 'groups', pattern: '<any>' }, groups('a:b'), 'does not hold'],
  [{ claim: 'groups', regex: 'team-[0-9]+' }, groups('team-7'), 'holds'],
  [{ claim: 'groups', regex: 'team-[0-9]+' }, groups('a team-7 b'), 'does not hold'],
  [{ claim: 'groups', regex: 'a|b' }, groups('b'), 'holds'],
  [{ claim: 'groups', regex: 'ab?c*d+' }, groups('ad'), 'holds'],
  [{ claim: 'groups', inTable: 'teams' }, groups('0f6c'), 'holds'],
  [{ claim: 'groups', inTable: 'teams' }, groups('constructor'), 'does not hold'],
  [{ claim: 'groups', present: true }, groups(''), 'holds'],
  [{ claim: 'groups', present: true }, groups(), 'does not hold'],
  [{ claim: 'groups', absent: true }, groups(), 'holds'],
  [{ claim: 'groups', absent: true }, groups('x'), 'does not hold'],
  [{ claim: '__proto__', absent: true }, groups('x'), 'holds'],
  [{ claim: 'toString', present: true }, groups('x'), 'does not hold'],
  [{ subject: ['corp/a1'] }, subject({}), 'holds'],
  [{ subject: ['social/a1'] }, subject({}), 'does not hold'],
  [{ subject: { inTable: 'people' } }, subject({}), 'holds'],
  [{ subject: { inTable: 'people' } }, subject({}, { id: 'a2' }), 'does not hold'],
  [{ email: { domains: ['corp.example'] } }, mail('a@corp.example', 'true'), 'holds'],
  [{ email: { domains: ['Corp.example'] } }, mail('a@CORP.example', 'true'), 'holds'],
  [{ email: { domains: ['corp.example'] } }, mail('a@corp.example', 'false'), 'does not hold'],
  [{ email: { domains: ['corp.example'] } }, mail('a@corp.example'), 'does not hold'],
  [{ email: { domains: ['corp.example'] } }, mail('a@x.corp.example', 'true'), 'does not hold'],
  [{ email: { domains: ['corp.example'] } }, mail('"a@corp.example"@evil.example', 'true'), 'does not hold'],
  [{ acr: { atLeast: 'substantial' } }, subject({}, { acr: 'high' }), 'holds'],
  [{ acr: { atLeast: 'substantial' } }, subject({}, { acr: 'urn:loa:3' }), 'holds'],
  [{ acr: { atLeast: 'substantial' } }, subject({}, { acr: 'low' }), 'does not hold'],
  [{ acr: { atLeast: 'low' } }, subject({}, { acr: 'unheard' }), 'does not hold'],
  [{ acr: { atLeast: 'low' } }, subject({}), 'does not hold'],
  [{ amr: ['hwk', 'mfa'] }, subject({}, { amr: ['pwd', 'mfa'] }), 'holds'],
  [{ amr: ['hwk'] }, subject({}, { amr: ['pwd'] }), 'does not hold'],
  [{ amr: ['hwk'] }, subject({}), 'does not hold'],
]

const around = {
  vars: { team: 'web' },
  tables: { teams: { '0f6c': 'web' }, people: { 'corp/a1': 'x' } },
  assurance: ['low', ['substantial', 'urn:loa:3'], 'high'],
}

describe('a test of a rule', () => {
  for (const [test, who, holds] of rows)
    it(`${JSON.stringify(test)} ${holds} for ${JSON.stringify({ ...who.claims, ...('acr' in who && { acr: who.acr }) })}`, () => {
      const policy = policyOf({ ...around, rules: [{ name: 'r', from: ['corp'], if: [test], admit: true }] })
      assert.deepEqual(lines(policy, who), holds === 'holds' ? ['admitted'] : [])
    })

  it('holds for the claims of a rule’s own connectors only', () => {
    const policy = policyOf({ rules: [{ name: 'r', from: ['social'], admit: true }] })
    assert.deepEqual(lines(policy, subject({})), [])
    assert.deepEqual(lines(policy, subject({}, { connector: 'social' })), ['admitted'])
  })

  it('in each ignores case on both sides where it says so, and catches in lower case', () => {
    const each = { claim: 'groups', pattern: 'Dev-<team>', ignoreCase: true }
    const give = [{ target: 'cloud', project: '<team>', roles: ['member'] }]
    const policy = policyOf({ rules: [{ name: 'r', from: ['corp'], each, give }] })
    assert.deepEqual(lines(policy, groups('dEV-Web', 'x')), ['cloud project web: member'])
  })

  it('may use what a round caught: as a text, in a pattern and as the key of a table', () => {
    const rule = (test: object) => ({
      rules: [
        {
          name: 'r',
          from: ['corp'],
          each: { claim: 'groups', pattern: 'dev-<team>' },
          if: [test],
          give: [{ target: 'cloud', project: '<team>', roles: ['member'] }],
        },
      ],
      tables: { ids: { web: ['42', '43'] } },
    })
    const who = subject({ groups: ['dev-web', 'dev-db'], leads: ['web'], paths: ['x/web'], number: ['43'] })
    for (const test of [
      { claim: 'leads', is: '<team>' },
      { claim: 'paths', pattern: '<any>/<team>' },
      { claim: 'number', is: { lookup: 'ids', key: '<team>' } },
    ])
      assert.deepEqual(lines(policyOf(rule(test)), who), ['cloud project web: member'])
  })
})
