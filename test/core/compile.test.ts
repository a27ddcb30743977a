import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { z } from 'zod'
import * as schemas from '../../src/config/rules.ts'
import { compile } from '../../src/core/compile.ts'
import { explain } from '../../src/core/explain.ts'
import type * as rule from '../../src/core/rule.ts'
import { re2 } from '../../src/regex.ts'
import { compiled, lines, NOW, policyOf, problemsOf, sourceOf, subject, tenantOf, type Written } from './support.ts'

type ReadonlyDeep<T> = T extends readonly (infer E)[]
  ? readonly ReadonlyDeep<E>[]
  : T extends object
    ? { readonly [K in keyof T]: ReadonlyDeep<T[K]> }
    : T
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
type Out<S extends z.ZodType> = ReadonlyDeep<z.output<S>>

describe('the schemas', () => {
  it('put out exactly the types of the core', () => {
    // Checked by the compiler: a difference makes one of these `true` a type error.
    const same: readonly true[] = [
      true satisfies Same<Out<typeof schemas.rulesSchema>, readonly ReadonlyDeep<rule.Rule>[]>,
      true satisfies Same<Out<typeof schemas.breakGlassSchema>, readonly ReadonlyDeep<rule.BreakGlass>[]>,
      true satisfies Same<Out<typeof schemas.testsSchema>, readonly ReadonlyDeep<rule.PolicyTest>[]>,
      true satisfies Same<Out<typeof schemas.tablesSchema>, ReadonlyDeep<rule.Tables>>,
      true satisfies Same<Out<typeof schemas.assuranceSchema>, rule.Assurance>,
      true satisfies Same<Out<typeof schemas.identitySchema>, ReadonlyDeep<rule.IdentityTemplate>>,
      true satisfies Same<Out<typeof schemas.tenantLimitsSchema>, ReadonlyDeep<rule.TenantLimits>>,
    ]
    assert.ok(same.every(Boolean))
  })

  const give = { target: 'cloud', project: 'web', roles: ['member'] }
  const wrong: readonly (readonly [string, object, RegExp])[] = [
    ['a rule that says nothing', {}, /says nothing/],
    ['an unknown key', { give: [give], gives: [] }, /gives/],
    ['a test of two things', { if: [{ claim: 'a', is: 'b', present: true }], give: [give] }, /exactly one of/],
    ['a test of nothing', { if: [{}], give: [give] }, /exactly one of claim/],
    ['an operator without a claim', { if: [{ amr: ['x'], is: 'b' }], give: [give] }, /go with `claim`/],
    ['a number for a text', { if: [{ claim: 'a', is: 7 }], give: [give] }, /in quotes/],
    ['a grant of two places', { give: [{ ...give, namespace: 'x' }] }, /at most one/],
    ['a grant without roles', { give: [{ target: 'cloud', project: 'x' }] }, /need `roles`/],
    ['a group with roles', { give: [{ target: 'cloud', group: 'x', roles: ['y'] }] }, /need `roles`/],
    ['a deny that gives', { give: [give], forbid: { person: true, because: 'x' } }, /gives nothing/],
    ['a deny without a reason', { forbid: { person: true } }, /because/],
    ['an end without a zone', { give: [give], until: { endOf: 'x' } }, /go together/],
    ['an unknown zone', { give: [give], until: { endOf: 'x', zone: 'Mars/Base' } }, /not a time zone/],
    [
      'each over two things',
      { each: { claim: 'a', record: 'b', pattern: 'c' }, give: [give] },
      /either `claim` or `record`/,
    ],
    ['each without a form', { each: { claim: 'a' }, give: [give] }, /one of `pattern`/],
    ['ignoreCase with a regex', { if: [{ claim: 'a', regex: 'b', ignoreCase: true }], give: [give] }, /\(\?i\)/],
    ['a person without a connector', { if: [{ subject: ['a1'] }], give: [give] }, /connector\/id/],
  ]
  for (const [what, rule, message] of wrong)
    it(`refuse ${what}`, () => {
      const result = schemas.rulesSchema.safeParse([{ name: 'r', from: ['corp'], ...rule }])
      assert.match(JSON.stringify(result.error?.issues), message)
    })
})

describe('compiling', () => {
  const give = { target: 'cloud', project: 'web', roles: ['member'] }
  const each = { claim: 'g', pattern: '<g>' }
  const wrong: readonly (readonly [object, string])[] = [
    [{ from: ['gone'], give: [give] }, 'rules.0.from.0: there is no connector gone'],
    [
      { from: ['own'], give: [give] },
      'rules.0.from.0: `own` means the connectors of a tenant and stands in tenants and rule sets',
    ],
    [{ give: [{ ...give, target: 'moon' }] }, 'rules.0.give.0.target: there is no target moon'],
    [{ give: [{ ...give, project: '<g>' }] }, 'rules.0.give.0.project: nothing is called <g> here'],
    [{ give: [{ ...give, project: '<vars.g>' }] }, 'rules.0.give.0.project: nothing is called <vars.g>'],
    [
      { give: [{ ...give, project: '<tenant.id>' }] },
      'rules.0.give.0.project: <tenant.id> means something in tenants and rule sets only',
    ],
    [
      { give: [{ ...give, project: 'a<b' }] },
      'rules.0.give.0.project: `a<b` opens a hole with < and does not close it; write << for a plain <',
    ],
    [{ each, give: [{ ...give, roles: ['<g>'] }] }, 'rules.0.give.0.roles.0: <g> is no plain role'],
    [
      { each, give: [{ ...give, roles: { lookup: 't', key: '<g>' } }] },
      'rules.0.give.0.roles.lookup: there is no table t',
    ],
    [
      { give: [{ target: 'prod', project: 'x', roles: ['y'] }] },
      'rules.0.give.0.project: target prod carries no project grants',
    ],
    [
      { give: [{ target: 'prod', group: 'system:masters' }] },
      'rules.0.give.0: target prod cannot take `prod group system:masters`: names that begin with system: are reserved',
    ],
    [{ each: { claim: 'g', pattern: '<a><b>' }, give: [give] }, 'rules.0.each.pattern: two holes touch in `<a><b>`'],
    [{ each: { claim: 'g', pattern: '<a>/<a>' }, give: [give] }, 'rules.0.each.pattern: two holes have one name'],
    [
      { each: { claim: 'g', pattern: '<subject>' }, give: [give] },
      'rules.0.each.pattern: <subject> has a meaning of its own; use another name',
    ],
    [{ each: { claim: 'g', inTable: 't', as: 'x' }, give: [give] }, 'rules.0.each.inTable: there is no table t'],
    [{ if: [{ claim: 'g', pattern: '<x>' }], give: [give] }, 'rules.0.if.0.pattern: nothing is called <x> here'],
    [{ if: [{ acr: { atLeast: 'high' } }], give: [give] }, 'rules.0.if.0.acr.atLeast: `assurance` does not name high'],
    [{ if: [{ subject: ['gone/x'] }], give: [give] }, 'rules.0.if.0.subject.0: there is no connector gone'],
    [{ give: [give], until: { at: '<x>' } }, 'rules.0.until.at: nothing is called <x> here'],
    [{ forbid: { target: 'moon', because: 'x' } }, 'rules.0.forbid.target: there is no target moon'],
    [
      { forbid: { person: true, because: { lookup: 't', key: '<subject>' } } },
      'rules.0.forbid.because.lookup: there is no table t',
    ],
  ]
  for (const [rule, problem] of wrong)
    it(`says ${problem}`, () => {
      assert.deepEqual(problemsOf({ rules: [{ name: 'r', from: ['corp'], ...rule }] }), [`main ${problem}`])
    })

  it('says which name was meant, but to no tenant, whose author may not learn of others', () => {
    const rules = [{ name: 'r', from: ['copr'], give: [{ ...give, target: 'clowd' }] }]
    const fixes = (written: Written) => compiled(written).problems.map(({ path, fix }) => `${path.at(-1)}: ${fix}`)
    assert.deepEqual(fixes({ rules }), ['0: did you mean corp?', 'target: did you mean cloud?'])
    const tenants = [{ id: 't', rules, limits: { targets: ['cloud'] } }]
    assert.deepEqual(fixes({ tenants }), ['0: undefined', 'target: undefined'])
  })

  it('says all problems at once, also of regular expressions, rule sets, tenants and break glass', () => {
    const problems = problemsOf({
      rules: [
        { name: 'r', from: ['corp'], each: { claim: 'g', regex: '(?P<g>a)\\1' }, give: [give] },
        { name: 'r', from: ['corp'], if: [{ claim: 'g', regex: '((a{100}){100}){100}' }], give: [give] },
      ],
      ruleSets: { s: [{ name: 'x', from: ['gone'], give: [{ ...give, domain: '<vars.d>' }] }] },
      assurance: ['low', 'low'],
      breakGlass: [{ name: 'b', subjects: ['gone/x'], amr: ['hwk'], give: [{ ...give, project: '<vars.x>' }] }],
      connectors: [{ id: 'corp' }, { id: 'corp' }],
      tenants: [
        { id: 't', ruleSets: ['s', 'none'], admit: ['nowhere'], limits: { targets: ['cloud'] } },
        { id: 't', connectors: [{ id: 'own' }] },
      ],
    })
    const heads = problems.map((problem) => problem.split(': ')[0])
    assert.deepEqual(heads, [
      'main rules.0.each.regex',
      'main rules.1.if.0.regex',
      'main rules.1.name',
      'main assurance.1',
      'main breakGlass.0.subjects.0',
      'main breakGlass.0.give.0',
      't ruleSets.0',
      't ruleSets.1',
      'main connectors.1.id',
      't connectors.0.id',
      'main ruleSets.s.0.from.0',
      't admit.0',
      't ',
    ])
  })

  it('again with one changed tenant keeps all else, and forgets what is gone', () => {
    const set = [
      { name: 'own', from: ['own'], give: [{ target: 'cloud', project: '<vars.p>', roles: ['member'] }] },
      {
        name: 'guests',
        from: ['corp'],
        if: [{ claim: 'customers', is: '<tenant.id>' }],
        give: [{ target: 'cloud', project: '<vars.p>', roles: ['reader'] }],
      },
    ]
    const tenant = (id: string, p: string) =>
      tenantOf({
        id,
        connectors: [{ id: `idp-${id}` }],
        admit: ['corp'],
        vars: { p },
        ruleSets: ['s'],
        limits: { targets: ['cloud'], domains: [`d-${id}`] },
      })
    const tenants = Array.from({ length: 3000 }, (_, i) => tenant(`t${i}`, `p${i}`))
    const source = { ...sourceOf({ ruleSets: { s: set } }), tenants }
    const first = compile(source, { regex: re2 })
    assert.deepEqual(first.problems, [])
    const who = subject({ customers: ['t7', 't8', 't9', 'new'] })
    assert.deepEqual(
      lines(first.policy, who),
      ['p7 in d-t7', 'p8 in d-t8', 'p9 in d-t9'].map((place) => `cloud project ${place}: reader`),
    )
    const changed = [
      ...tenants.filter(({ id }) => id !== 't8').map((one) => (one.id === 't7' ? tenant('t7', 'other') : one)),
      tenant('new', 'new'),
    ]
    const second = compile({ ...source, tenants: changed }, { regex: re2 }, first.policy)
    assert.deepEqual(second.problems, [])
    assert.deepEqual(
      lines(second.policy, who),
      ['new in d-new', 'other in d-t7', 'p9 in d-t9'].map((place) => `cloud project ${place}: reader`),
    )
    assert.deepEqual(lines(second.policy, subject({}, { connector: 'idp-t8' })), [])
    assert.deepEqual(lines(second.policy, subject({}, { connector: 'idp-new' })), [
      'cloud project new in d-new: member',
    ])
    assert.equal(lines(first.policy, who).length, 3, 'the old policy is as it was')
    const third = compile(source, { regex: re2 }, second.policy)
    assert.deepEqual(lines(third.policy, who), lines(first.policy, who))
  })
})

describe('an explanation', () => {
  const written: Written = {
    tables: { teams: { a1: 'web' } },
    assurance: ['low', 'high'],
    rules: [
      {
        name: 'teams',
        from: ['corp'],
        each: { claim: 'groups', inTable: 'teams', as: 'team' },
        give: [{ target: 'cloud', project: '<team>', roles: ['member'] }],
      },
      {
        name: 'prod',
        from: ['corp'],
        if: [{ acr: { atLeast: 'high' } }],
        give: [{ target: 'prod', namespace: 'x', roles: ['edit'] }],
      },
      { name: 'others', from: ['social'], admit: true },
      { name: 'status', from: ['corp'], if: [{ claim: 'account_status', is: 'active' }], admit: true },
      { name: 'no web', from: ['corp'], forbid: { target: 'cloud', project: 'web', because: 'closed' } },
    ],
  }

  it('names for every rule what held it back and what was seen, denies first', () => {
    const { rules } = explain(
      policyOf(written),
      subject({ groups: ['a1', 'b2'], account_status: ['gone\u001b[31m'] }),
      NOW,
    )
    assert.deepEqual(rules, [
      { rule: 'no web', matched: true, says: ['forbids target cloud, project web: closed'] },
      { rule: 'teams', matched: true, says: ['gives cloud project web: member', 'table teams has no key "b2"'] },
      {
        rule: 'prod',
        matched: false,
        test: 'acr is at least high',
        saw: 'nothing',
        says: ['needs acr high, which would open: gives prod namespace x: edit'],
      },
      { rule: 'status', matched: false, test: 'account_status is active', saw: '"gone\\u001b[31m"', says: [] },
      { rule: 'others', matched: false, test: 'from social', saw: 'corp', says: [] },
    ])
  })
})
