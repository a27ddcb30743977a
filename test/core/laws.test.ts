import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { compile } from '../../src/core/compile.ts'
import { decide } from '../../src/core/decide.ts'
import { describeGrant } from '../../src/core/grants.ts'
import type { TargetRules } from '../../src/core/policy.ts'
import { reaches } from '../../src/http/proofs.ts'
import { re2 } from '../../src/regex.ts'
import { lax } from '../../src/targets/names.ts'
import { lines, NOW, policyOf, problemsOf, sourceOf, subject, targets, type Written } from './support.ts'

const member = { target: 'cloud', project: 'web', roles: ['member'] }
const everybody = { name: 'everybody', from: ['corp'], give: [member] }

describe('nobody gets anything', () => {
  it('without a rule, from an unknown connector, or by a table that lacks the key', () => {
    assert.deepEqual(lines(policyOf({}), subject({ groups: ['admin'] })), [])
    assert.deepEqual(lines(policyOf({ rules: [everybody] }), subject({}, { connector: 'elsewhere' })), [])
    const policy = policyOf({
      tables: { ranks: { lead: 'manager' } },
      rules: [
        {
          ...everybody,
          each: { claim: 'groups', pattern: '<g>' },
          give: [{ ...member, roles: { lookup: 'ranks', key: '<g>' } }],
        },
      ],
    })
    assert.deepEqual(lines(policy, subject({ groups: ['lead'] })), ['cloud project web: manager'])
    assert.deepEqual(lines(policy, subject({ groups: ['constructor', '__proto__', 'Lead'] })), [])
  })
})

describe('a deny', () => {
  const rules = (...more: readonly object[]) => ({ rules: [everybody, ...more] })
  const forbid = (what: object) => ({ name: 'no', from: ['corp'], forbid: { ...what, because: 'so it is' } })

  it('beats every grant, wherever it stands', () => {
    const policy = policyOf({
      rules: [forbid({ person: true }), everybody, { name: 'in', from: ['corp'], admit: true }],
    })
    const decision = decide(policy, subject({}), NOW)
    assert.deepEqual([decision.allowed, decision.grants], [false, []])
    assert.deepEqual(decision.because, [{ rule: 'no', effect: 'forbade', grants: [], because: 'so it is' }])
  })

  it('of a whole target keeps out who is admitted without a grant, there alone', () => {
    const rules = (target: string, more: object = {}) => [
      { name: 'in', from: ['corp'], admit: true },
      { name: 'no', from: ['corp'], forbid: { target, ...more, because: 'so it is' } },
    ]
    const reached = (target: string, more: object = {}) => {
      const decision = decide(policyOf({ rules: rules(target, more) }), subject({}), NOW)
      return ['cloud', 'prod'].filter((id) => reaches(decision, id))
    }
    assert.deepEqual(reached('prod'), ['cloud'])
    assert.deepEqual(reached('pr*'), ['cloud'])
    assert.deepEqual(reached('*'), [])
    assert.deepEqual(reached('prod', { namespace: 'x' }), ['cloud', 'prod'])
  })

  it('takes what fits its pattern and leaves the rest', () => {
    const give = [
      member,
      { target: 'cloud', project: 'prod-web', roles: ['member', 'manager'] },
      { target: 'prod', namespace: 'web', roles: ['edit'] },
    ]
    const left = (what: object) => lines(policyOf({ rules: [{ ...everybody, give }, forbid(what)] }), subject({}))
    assert.deepEqual(left({ target: 'cloud', project: 'prod-*' }), [
      'cloud project web: member',
      'prod namespace web: edit',
    ])
    assert.deepEqual(left({ target: 'cloud' }), ['prod namespace web: edit'])
    assert.deepEqual(left({ target: '*', roles: ['manager', 'edit'] }), [
      'cloud project prod-web: member',
      'cloud project web: member',
    ])
    assert.deepEqual(left({ target: 'prod', cluster: true }).length, 3)
  })

  it('holds where nobody knows the domain, and follows the connector’s where it is known', () => {
    const left = (domain?: string) =>
      lines(
        policyOf({
          ...rules(forbid({ target: 'cloud', domain: 'x' })),
          connectors: [domain === undefined ? { id: 'corp' } : { id: 'corp', domain }],
        }),
        subject({}),
      )
    assert.deepEqual(left(), [])
    assert.deepEqual(left('x'), [])
    assert.deepEqual(left('y'), ['cloud project web: member'])
  })

  it('takes a star that a claim brings for a star and nothing more', () => {
    const policy = policyOf({
      rules: [
        { ...everybody, give: [{ ...member, project: 'a-x' }] },
        { ...forbid({ target: 'cloud', project: '<g>-*' }), each: { claim: 'groups', pattern: '<g>' } },
      ],
    })
    assert.deepEqual(lines(policy, subject({ groups: ['*'] })), ['cloud project a-x: member'])
    assert.deepEqual(lines(policy, subject({ groups: ['a'] })), [])
  })
})

describe('captured text', () => {
  const policy = policyOf({
    rules: [
      {
        name: 'teams',
        from: ['corp'],
        each: { claim: 'groups', pattern: '<team>' },
        give: [
          { target: 'prod', namespace: '<team>', roles: ['view'] },
          { target: 'prod', group: 'x-<team>' },
        ],
      },
    ],
  })

  it('is never filled or parsed again', () => {
    const decision = decide(policy, subject({ groups: ['<team>', '<subject.short>', '<<'] }), NOW)
    assert.deepEqual(decision.grants.map(describeGrant), [
      'prod group x-<<',
      'prod group x-<subject.short>',
      'prod group x-<team>',
    ])
  })

  it('that a target cannot take is refused by name, and the rest goes on', () => {
    const decision = decide(
      policy,
      subject({ groups: ['web', 'WEB', 'a;b', 'größe', ' web ', '../x', '', 'system:masters', 'a\nb'] }),
      NOW,
    )
    assert.deepEqual(
      decision.grants.flatMap((grant) => ('namespace' in grant ? [grant.namespace] : [])),
      ['web'],
    )
    const refused = decision.because.filter(({ effect }) => effect.startsWith('refused'))
    assert.deepEqual(
      refused.map(({ grants: [grant], effect }) => [grant && describeGrant(grant), effect]),
      [
        ['prod namespace WEB: view', 'refused-by-target'],
        ['prod namespace a;b: view', 'refused-by-target'],
        ['prod namespace größe: view', 'refused-by-target'],
        ['prod namespace  web : view', 'refused-by-target'],
        ['prod namespace a\nb: view', 'refused'],
        ['prod group x-a\nb', 'refused'],
      ],
    )
  })

  it('alone is no group at a consumer that knows groups by name', () => {
    const rule = (group: string) => ({
      rules: [
        { name: 'g', from: ['corp'], each: { claim: 'groups', pattern: '<g>' }, give: [{ target: 'prod', group }] },
      ],
    })
    assert.deepEqual(problemsOf(rule('<g>')), ['main rules.0.give.0.group: the group <g> has no name space of its own'])
    assert.deepEqual(lines(policyOf(rule('<space><g>')), subject({ groups: ['admins'] })), ['prod group corp:admins'])
  })
})

describe('a target that takes several writings for one name', () => {
  const lenient: readonly TargetRules[] = targets.map((target) =>
    target.id === 'cloud' ? { ...target, alike: lax } : target,
  )
  const teams = {
    name: 'teams',
    from: ['corp'],
    each: { claim: 'groups', pattern: '<team>' },
    give: [
      { target: 'cloud', project: '<team>', domain: 'd', roles: ['member'] },
      { target: 'prod', group: 'x-<team>' },
    ],
  }
  const written = ['prod-db', 'PROD-db', 'Pröd-db', 'prod\u0301-db', 'ｐｒｏｄ-db']

  it('is forbidden a name in all of them, and other targets that name alone', () => {
    const forbids = [
      { name: 'no', from: ['corp'], forbid: { target: 'cloud', project: 'prod-*', domain: 'D', because: 'no' } },
      { name: 'nor', from: ['corp'], forbid: { target: 'prod', group: 'x-prod-*', because: 'no' } },
    ]
    const policy = policyOf({ targets: lenient, rules: [teams, ...forbids] })
    const left = lines(policy, subject({ groups: [...written, 'product'] }))
    assert.deepEqual(
      left.filter((line) => line.startsWith('cloud')),
      ['cloud project product in d: member'],
    )
    assert.equal(left.filter((line) => line.startsWith('prod')).length, written.length)
  })

  it('gives none of the writings of what is for break glass', () => {
    const held = { target: 'cloud', project: 'x-prod-db', domain: 'd', roles: ['member'] }
    const rule = { ...teams, give: [{ ...held, project: 'X-<team>' }] }
    const breakGlass = [{ name: 'fire', subjects: ['corp/a2'], amr: ['hwk'], give: [held] }]
    const policy = policyOf({ targets: lenient, rules: [rule], breakGlass })
    assert.deepEqual(lines(policy, subject({ groups: written })), [])
  })
})

describe('a tenant', () => {
  const limits = {
    targets: ['cloud', 'prod'],
    domains: ['d-<tenant.id>'],
    namespaces: ['<tenant.id>-*'],
    groups: ['<tenant.id>-*'],
  }
  const tenant = (id: string, rules: readonly object[], more: object = {}) => ({
    id,
    connectors: [{ id: `idp-${id}` }],
    limits,
    rules,
    ...more,
  })
  const each = { claim: 'g', pattern: '<g>' }
  const wide = (give: readonly object[]) => [{ name: 'wide', from: ['own'], each, give }]

  it('gives inside its own domain, namespaces and groups, whatever the claims hold', () => {
    const rules = wide([
      { target: 'cloud', project: 'p', domain: '<g>', roles: ['member'] },
      { target: 'cloud', project: '<g>', roles: ['member'] },
      { target: 'cloud', domain: '<g>', roles: ['manager'] },
      { target: 'prod', namespace: '<g>', roles: ['edit'] },
      { target: 'prod', group: '<g>-x' },
    ])
    const policy = policyOf({ tenants: [tenant('a', rules), tenant('b', [])] })
    const who = subject({ g: ['d-b', 'd-a', 'b-prod', 'a-prod'] }, { connector: 'idp-a' })
    assert.deepEqual(lines(policy, who), [
      'cloud domain d-a: manager',
      'cloud project a-prod in d-a: member',
      'cloud project b-prod in d-a: member',
      'cloud project d-a in d-a: member',
      'cloud project d-b in d-a: member',
      'cloud project p in d-a: member',
      'prod group a-prod-x',
      'prod namespace a-prod: edit',
    ])
    const refused = decide(policy, who, NOW).because.filter(({ effect }) => effect === 'refused')
    assert.ok(refused.every(({ tenant: id, because }) => id === 'a' && because?.includes('tenant')))
  })

  it('is refused at load where it names what is not its own', () => {
    const give = (grant: object) =>
      problemsOf({ tenants: [tenant('a', [{ name: 'r', from: ['own'], give: [grant] }])] })
    assert.deepEqual(give({ target: 'cloud', project: 'x', domain: 'd-b', roles: ['member'] }), [
      "a rules.0.give.0: domain d-b is not the tenant's",
    ])
    assert.deepEqual(give({ target: 'prod', namespace: 'b-1', roles: ['edit'] }), [
      "a rules.0.give.0: namespace b-1 is not the tenant's",
    ])
    assert.deepEqual(give({ target: 'prod', cluster: true, roles: ['view'] }), [
      'a rules.0.give.0: a whole cluster is never a tenant’s',
    ])
    assert.deepEqual(
      problemsOf({ tenants: [tenant('a', [{ name: 'r', from: ['idp-b'], admit: true }]), tenant('b', [])] }),
      ['a rules.0.from.0: there is no connector idp-b'],
    )
  })

  it('cannot name a group by a domain where the target knows none, nor house its people with another tenant', () => {
    const rules = wide([{ target: 'prod', group: '<g>-x', domain: 'd-a' }])
    const policy = policyOf({ tenants: [tenant('a', rules, { connectors: [{ id: 'idp-a', domain: 'd-a' }] })] })
    assert.deepEqual(lines(policy, subject({ g: ['b', 'a-1'] }, { connector: 'idp-a' })), ['prod group a-1-x in d-a'])
    assert.deepEqual(problemsOf({ tenants: [tenant('a', [], { connectors: [{ id: 'idp-a', domain: 'd-b' }] })] }), [
      "a connectors.0.domain: domain d-b of idp-a is not the tenant's",
    ])
  })

  it('names both group and domain of its own at a Keystone that carries groups only', () => {
    const old: TargetRules = { id: 'old', carries: new Set(['group']), refuse: () => undefined }
    const rules = wide([
      { target: 'old', group: '<g>', domain: '<g>' },
      { target: 'old', group: 'x-<g>', domain: 'd-a' },
      { target: 'old', group: '<g>' },
      { target: 'old', group: 'a-<g>', domain: 'd-a' },
    ])
    const own = tenant('a', rules, { limits: { ...limits, targets: ['old'] } })
    const policy = policyOf({ targets: [old], tenants: [own] })
    assert.deepEqual(lines(policy, subject({ g: ['d-b', 'b-1', 'a-1'] }, { connector: 'idp-a' })), [
      'old group a-1',
      'old group a-a-1 in d-a',
      'old group a-b-1 in d-a',
      'old group a-d-b in d-a',
    ])
  })

  it('cannot widen its limits by its vars', () => {
    const sneaky = tenant('a', [], { limits: { ...limits, domains: ['d-<vars.x>'] }, vars: { x: 'b' } })
    assert.match(problemsOf({ tenants: [sneaky] }).join(), /the limit d-<vars.x> has a hole/)
  })

  it('with problems is left out, and nothing else is', () => {
    const bad = tenant('a', [{ name: 'r', from: ['own'], if: [{ claim: 'x', regex: '(' }], admit: true }])
    const good = tenant('b', [{ name: 'r', from: ['own'], admit: true }])
    const written: Written = { rules: [everybody], tenants: [bad, good] }
    assert.match(problemsOf(written).join(), /^a rules.0.if.0.regex: not a regular expression/)
    assert.match(problemsOf({ ...written, tenants: [good] }).join(), /^$/)
  })

  it('whose rules know another’s people gives them nothing unless it admits their connector', () => {
    const reseller = { id: 'reseller', connectors: [{ id: 'engineers' }], limits: {} }
    const set = {
      name: 'support',
      from: ['engineers'],
      if: [{ claim: 'customers', is: '<tenant.id>' }],
      give: [{ ...member, project: 'support' }],
    }
    const policy = policyOf({
      ruleSets: { shared: [set] },
      tenants: [
        reseller,
        tenant('a', [], { admit: ['engineers'], ruleSets: ['shared'] }),
        tenant('b', [], { ruleSets: ['shared'] }),
      ],
    })
    const who = subject({ customers: ['a', 'b'] }, { connector: 'engineers' })
    assert.deepEqual(lines(policy, who), ['cloud project support in d-a: member'])
  })

  it('has nothing of a tenant whose id begins with its own, and has all that the other one has not', () => {
    const give = [
      { target: 'prod', namespace: '<g>', roles: ['edit'] },
      { target: 'cloud', project: 'p', domain: '<g>', roles: ['member'] },
    ]
    const rules = [{ name: 'wide', from: ['own'], each: { claim: 'g', pattern: '<g>' }, give }]
    const open = { ...limits, domains: ['<tenant.id>-*'] }
    const tenants = ['a', 'a-b', 'a-bc'].map((id) => tenant(id, rules, { limits: open }))
    const names = subject({ g: ['a-x', 'a-b', 'a-b-x', 'a-bc-x', 'a-bcd-x'] }, { connector: 'idp-a' })
    const policy = policyOf({ tenants })
    const left = ['a-b', 'a-bcd-x', 'a-x']
    assert.deepEqual(lines(policy, names), [
      ...left.map((name) => `cloud project p in ${name}: member`),
      ...left.map((name) => `prod namespace ${name}: edit`),
    ])
    assert.equal(lines(policy, { ...names, connector: 'idp-a-b' }).length, 2, 'and the other has its own')
    // One that comes later takes what is its own from then on.
    const before = sourceOf({ tenants: tenants.slice(0, 1) })
    const first = compile(before, { regex: re2 }).policy
    assert.equal(lines(first, names).length, 10)
    const all = { ...before, tenants: [...before.tenants, ...sourceOf({ tenants: tenants.slice(1) }).tenants] }
    assert.equal(lines(compile(all, { regex: re2 }, first).policy, names).length, 6)
  })

  it('lets people in at its own targets only', () => {
    const rules = [{ name: 'in', from: ['own'], admit: true }]
    const policy = policyOf({ tenants: [tenant('a', rules, { limits: { ...limits, targets: ['cloud'] } })] })
    const decision = decide(policy, subject({}, { connector: 'idp-a' }), NOW)
    assert.deepEqual(
      ['cloud', 'prod'].map((target) => reaches(decision, target)),
      [true, false],
    )
    const main = decide(policyOf({ rules: [{ name: 'in', from: ['corp'], admit: true }] }), subject({}), NOW)
    assert.ok(reaches(main, 'prod'))
  })

  it('forbids inside its own walls only', () => {
    const ban = tenant('a', [{ name: 'out', from: ['corp'], forbid: { person: true, because: 'gone' } }], {
      admit: ['corp'],
    })
    const give = [
      { ...member, domain: 'd-a' },
      { ...member, domain: 'd-b' },
    ]
    const policy = policyOf({
      rules: [
        { ...everybody, give },
        { name: 'in', from: ['corp'], admit: true },
      ],
      tenants: [ban],
    })
    const decision = decide(policy, subject({}), NOW)
    assert.deepEqual(decision.grants.map(describeGrant), ['cloud project web in d-b: member'])
    assert.equal(decision.allowed, true)
  })
})

describe('break glass', () => {
  const glass = {
    name: 'fire',
    subjects: ['corp/a1'],
    amr: ['hwk'],
    max: '10m',
    give: [{ target: 'prod', cluster: true, roles: ['cluster-admin'] }],
  }
  const who = (more: object = {}) => subject({ groups: ['admins'] }, { amr: ['hwk'], ...more })

  it('gives to named people with a strong method, for minutes after they signed in', () => {
    const policy = policyOf({ breakGlass: [glass] })
    const decision = decide(policy, who(), NOW)
    assert.deepEqual(decision.because, [{ rule: 'fire', effect: 'broke-glass', grants: decision.grants }])
    assert.deepEqual([decision.grants.map(describeGrant), decision.until], [['prod cluster: cluster-admin'], NOW + 600])
    assert.deepEqual(lines(policy, who({ amr: ['pwd'] })), [])
    assert.deepEqual(lines(policy, who({ id: 'a2' })), [])
    assert.deepEqual(lines(policy, who({ connector: 'social' })), [])
    assert.deepEqual(lines(policy, who(), NOW + 600), [])
    assert.deepEqual(decide(policy, who({ authTime: NOW + 9999 }), NOW).until, NOW + 600)
  })

  it('is reached by no rule: neither by a literal, nor by a capture, a var or a table', () => {
    const blocks = [{ ...glass, give: [{ target: 'cloud', project: 'admin', roles: ['admin'] }] }]
    const tables = { ranks: { boss: ['member', 'admin'], names: 'admin' } }
    const rule = (give: object) =>
      problemsOf({
        breakGlass: blocks,
        tables,
        rules: [{ name: 'r', from: ['corp'], each: { claim: 'g', pattern: '<g>' }, give: [give] }],
      })
    for (const give of [
      { target: 'cloud', project: 'admin', roles: ['admin'] },
      { target: 'cloud', project: '<g>', roles: ['admin'] },
      { target: 'cloud', project: 'ad<g>', domain: '<g>', roles: { lookup: 'ranks', key: '<g>' } },
      { target: 'cloud', project: { lookup: 'ranks', key: '<g>' }, roles: ['admin', 'x'] },
    ])
      assert.match(rule(give).join(), /could give the break-glass grant/)
    for (const give of [
      { target: 'cloud', project: '<g>', roles: ['member'] },
      { target: 'cloud', project: 'x-<g>', roles: ['admin'] },
      { target: 'cloud', group: '<g>' },
    ])
      assert.deepEqual(rule(give), [])
  })

  it('is out of a tenant’s reach, and a tenant cannot forbid it', () => {
    const blocks = [{ ...glass, give: [{ target: 'cloud', project: 'p', domain: 'd', roles: ['admin'] }] }]
    const limits = { targets: ['cloud'], domains: ['d'] }
    const tenant = { id: 't', limits, admit: ['corp'], vars: { p: 'p' } }
    const set = [{ name: 'r', from: ['corp'], give: [{ target: 'cloud', project: '<vars.p>', roles: ['admin'] }] }]
    assert.match(
      problemsOf({ breakGlass: blocks, ruleSets: { s: set }, tenants: [{ ...tenant, ruleSets: ['s'] }] }).join(),
      /^t .*break-glass/,
    )
    const forbids = [{ name: 'no', from: ['corp'], forbid: { person: true, because: 'no' } }]
    const policy = policyOf({ breakGlass: blocks, tenants: [{ ...tenant, rules: forbids }] })
    assert.deepEqual(lines(policy, who()), ['cloud project p in d: admin'])
  })

  it('lasts 15 minutes at most', () => {
    assert.throws(() => policyOf({ breakGlass: [{ ...glass, max: '16m' }] }), /15m/)
  })
})

describe('an end', () => {
  const rule = { ...everybody, until: { endOf: 'contractEnd', zone: 'Europe/Berlin' } }
  const end = Date.parse('2026-12-31T23:00:00Z') / 1000

  it('cuts the grants, and a claim that is no date gives nothing', () => {
    const policy = policyOf({ rules: [rule] })
    const at = (now: number, ...dates: readonly string[]) => decide(policy, subject({ contractEnd: dates }), now)
    assert.equal(at(end - 1, '2026-12-31').until, end)
    assert.equal(at(end - 1, '2027-12-31', '2026-12-31').until, end)
    assert.equal(at(end, '2026-12-31').allowed, false)
    for (const dates of [[], ['soon'], ['2026-12-31', 'soon'], ['2026-02-30']])
      assert.equal(at(0, ...dates).allowed, false)
  })

  it('holds for who is only admitted, since all that the rule gave was forbidden', () => {
    const forbids = { name: 'no', from: ['corp'], forbid: { target: 'cloud', because: 'no' } }
    const policy = policyOf({ rules: [{ ...rule, admit: true }, forbids] })
    const decision = decide(policy, subject({ contractEnd: ['2026-12-31'] }), end - 1)
    assert.deepEqual([decision.allowed, decision.grants, decision.until], [true, [], end])
  })

  it('of one round leaves the others alone', () => {
    const policy = policyOf({
      rules: [
        {
          name: 'contracts',
          from: ['corp'],
          each: { record: 'contracts', fields: { project: '<p>', end: '<end>' } },
          give: [{ ...member, project: '<p>' }],
          until: { endOf: '<end>', zone: 'UTC' },
        },
      ],
    })
    const records = {
      contracts: [
        { project: 'a', end: '2026-12-31' },
        { project: 'b', end: '2030-01-01' },
        { project: 'c', end: 'x' },
        { project: 'd' },
      ],
    }
    assert.deepEqual(lines(policy, subject({}, { records })), ['cloud project b: member'])
  })
})

describe('a higher acr', () => {
  it('is named where all else holds, the lowest first', () => {
    const rules = [
      { ...everybody, name: 'a', if: [{ acr: { atLeast: 'high' } }] },
      { ...everybody, name: 'b', if: [{ acr: { atLeast: 'substantial' } }, { claim: 'groups', is: 'web' }] },
    ]
    const policy = policyOf({ assurance: ['low', 'substantial', 'high'], rules })
    const wants = (groups: readonly string[], acr?: string) =>
      decide(policy, subject({ groups }, acr === undefined ? {} : { acr }), NOW).wantsAcr
    assert.equal(wants(['web']), 'substantial')
    assert.equal(wants(['db'], 'substantial'), 'high')
    assert.equal(wants(['web'], 'high'), undefined)
  })
})

describe('a person’s name', () => {
  const name = (connectors: Written['connectors'], claims: Readonly<Record<string, readonly string[]>>) =>
    decide(policyOf({ connectors: connectors ?? [] }), subject(claims), NOW).identity
  const identity = { username: '<preferred_username>', name: '<name>', email: 'email' }

  it('begins with the connector’s id, unless it has a space of its own', () => {
    const claims = { preferred_username: ['alice'], name: ['Alice'] }
    assert.deepEqual(name([{ id: 'corp' }], claims), { username: 'corp:alice', localName: 'corp:alice', name: 'Alice' })
    assert.equal(name([{ id: 'corp', domain: 'corp' }], claims).localName, 'alice')
    assert.equal(name([{ id: 'corp', identity: { ...identity, prefix: '' } }], claims).username, 'alice')
    assert.equal(
      name([{ id: 'corp', identity: { ...identity, suffix: '@corp.example' } }], claims).username,
      'alice@corp.example',
    )
  })

  it('is made of the stable id where the claim is missing, doubled or no name', () => {
    for (const values of [[], ['a', 'b'], ['a\u0000'], [''], ['x'.repeat(300)]])
      assert.match(name([{ id: 'corp' }], { preferred_username: values }).username, /^corp:[a-z2-7]{20}$/)
    const suffixed = [{ id: 'corp', identity: { ...identity, suffix: '@x' } }]
    assert.match(name(suffixed, { preferred_username: ['campus:alice'] }).username, /^[a-z2-7]{20}@x$/)
  })

  it('comes with an e-mail address inside the connector’s own domains only', () => {
    const connectors = [{ id: 'corp', emailDomains: ['corp.example'] }]
    assert.deepEqual(name(connectors, { email: ['a@Corp.example'], email_verified: ['true'] }).email, 'a@Corp.example')
    assert.equal(name(connectors, { email: ['a@corp.example'] }).emailVerified, false)
    for (const email of ['a@evil.example', 'a@corp.example.evil', 'a@b@corp.example', 'corp.example'])
      assert.equal(name(connectors, { email: [email] }).email, undefined)
    assert.equal(name([{ id: 'corp' }], { email: ['a@corp.example'] }).email, undefined)
  })

  it('is refused at load where two connectors could say the same', () => {
    const clash = (one: object, other: object) =>
      problemsOf({
        connectors: [
          { id: 'campus', ...one },
          { id: 'corp', ...other },
        ],
      }).length > 0
    const own = (space: object) => ({ identity: { ...identity, ...space } })
    assert.equal(clash({}, {}), false)
    assert.equal(clash(own({ prefix: '' }), {}), true)
    assert.equal(clash(own({ prefix: 'corp:x' }), {}), true)
    assert.equal(clash(own({ prefix: 'c-' }), own({ prefix: 'c-' })), true)
    assert.equal(clash(own({ suffix: '@a' }), own({ suffix: '@b' })), false)
    assert.equal(clash(own({ suffix: '@a' }), own({ suffix: 'x@a' })), true)
    assert.equal(clash(own({ suffix: '@a' }), {}), false)
    assert.equal(clash(own({ suffix: '@a' }), own({ prefix: 'corp-' })), true)
    assert.equal(clash(own({ groupPrefix: 'g' }), own({ groupPrefix: 'g-' })), true)
    assert.equal(clash({ emailDomains: ['x.example'] }, { emailDomains: ['X.example'] }), true)
  })
})
