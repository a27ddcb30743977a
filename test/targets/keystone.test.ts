import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Grant, grantsAt } from '../../src/core/decision.ts'
import { asKeystoneReads } from './keystone-reader.ts'
import { badGrant, badName, chance, decision, keystone, problems } from './world.ts'

const group = (name: string, domain?: string): Grant => ({
  target: 'cloud',
  group: name,
  ...(domain === undefined ? {} : { domain }),
})
const project = (name: string, roles = ['member'], domain?: string): Grant => ({
  target: 'cloud',
  project: name,
  roles,
  ...(domain === undefined ? {} : { domain }),
})

describe('the configuration of a Keystone', () => {
  it('needs an id and a URL, and signs with a ring of its own', () => {
    const { id, label, audience, ring, alg, ttl, carries } = keystone()
    assert.deepEqual([id, label, audience, ring, alg, ttl], ['cloud', 'cloud', 'cloud', 'keystone-cloud', 'ES256', 600])
    assert.deepEqual([...carries], ['project', 'group'])
    assert.deepEqual([...keystone({ mappingSchema: '2.0' }).carries], ['group'])
    assert.equal(keystone({ audience: 'horizon', label: 'Cloud Nord' }).audience, 'horizon')
  })

  it('takes for one name what the database of a Keystone may', () => {
    const { alike } = keystone()
    assert.deepEqual([alike?.('PRÖD'), alike?.('prod '), alike?.('pr0d')], ['prod', 'prod ', 'pr0d'])
  })

  it('is refused with a life of more than an hour, another algorithm, or an unknown mapping schema', () => {
    const base = { id: 'cloud', url: 'https://keystone.example/v3' }
    assert.deepEqual(problems('keystone', base), [])
    assert.match(problems('keystone', { ...base, ttl: '2h' }).join(), /ttl: too long/)
    for (const wrong of [
      { alg: 'HS256' },
      { mappingSchema: '4.0' },
      { url: 'http://keystone.example' },
      { audience: '' },
    ])
      assert.equal(problems('keystone', { ...base, ...wrong }).length, 1, JSON.stringify(wrong))
  })
})

describe('claims for a Keystone', () => {
  it('say user, domain, groups and projects in the shapes that its mapping reads', () => {
    const { claims } = keystone()
    const given = decision([group('ops', 'infra'), group('dev'), project('web', ['member', 'reader'])], {
      domain: 'corp',
      email: 'alice@corp.example',
      emailVerified: true,
      name: 'Alice',
    })
    assert.deepEqual(claims(given, 'access_token'), {
      preferred_username: 'alice',
      openstack_user_domain: 'corp',
      email: 'alice@corp.example',
      email_verified: true,
      name: 'Alice',
      groups: 'JSON:{"name":"dev","domain":{"name":"corp"}};JSON:{"name":"ops","domain":{"name":"infra"}}',
      openstack_projects: '[{"name":"web","domain":{"name":"corp"},"roles":[{"name":"member"},{"name":"reader"}]}]',
    })
  })

  it('always name a domain, the connector’s before the target’s', () => {
    const read = (domain?: string, more = {}) =>
      asKeystoneReads(keystone(more).claims(decision([group('dev')], domain ? { domain } : {}), 'id_token'))
    assert.deepEqual([read().domain, read().groups], ['Default', ['Default/dev']])
    assert.deepEqual([read('corp').domain, read('corp').groups], ['corp', ['corp/dev']])
    assert.equal(read(undefined, { domain: 'people' }).domain, 'people')
  })

  it('leave groups out where there are none, and always say which projects', () => {
    assert.deepEqual(keystone().claims(decision([]), 'id_token'), {
      preferred_username: 'alice',
      openstack_user_domain: 'Default',
      openstack_projects: '[]',
    })
    const older = keystone({ mappingSchema: '2.0' }).claims(decision([project('web')]), 'id_token')
    assert.ok(!('openstack_projects' in older))
  })

  it('merge the roles of two grants in one project', () => {
    const given = decision([project('web', ['reader', 'member']), project('web', ['member', 'manager'])])
    assert.deepEqual(asKeystoneReads(keystone().claims(given, 'id_token')).projects, [
      'Default/web:manager',
      'Default/web:member',
      'Default/web:reader',
    ])
  })

  it('are equal in every form and in any order of grants, since another set of groups ends her other sessions', () => {
    const grants = [group('b'), group('a'), project('y'), project('x')]
    const { claims } = keystone()
    const texts = (['id_token', 'access_token', 'introspection', 'userinfo'] as const).flatMap((form) => [
      JSON.stringify(claims(decision(grants), form)),
      JSON.stringify(claims(decision([...grants].reverse()), form)),
    ])
    assert.equal(new Set(texts).size, 1)
  })

  for (const name of [
    'namespace-admins',
    'rename-team',
    'a;b',
    'x,y',
    'größe',
    '漢字',
    '{0}',
    'a"b',
    "it's",
    '\\u003b',
    'JSON:x',
  ])
    it(`bring the group and project ${name} to Keystone as exactly itself`, () => {
      const target = keystone()
      assert.equal(target.refuse(group(name)), undefined)
      const seen = asKeystoneReads(target.claims(decision([group(name), project(name)]), 'access_token'))
      assert.deepEqual([seen.groups, seen.projects], [[`Default/${name}`], [`Default/${name}:member`]])
    })

  it('hold nothing but ASCII, and no semicolon or brace that a name brought along', () => {
    const given = decision([group('größe;{x}'), project('größe;{x}')], { username: 'Jürgen;ops', name: 'Jürgen {0}' })
    const claims = keystone().claims(given, 'id_token')
    assert.match(JSON.stringify(claims), /^[\x20-\x7e]*$/)
    assert.equal(String(claims['groups']).includes(';'), false)
    assert.equal(
      claims['groups'],
      'JSON:{"name":"gr\\u00f6\\u00dfe\\u003b\\u007bx\\u007d","domain":{"name":"Default"}}',
    )
  })

  it('give names that had to be changed a fingerprint, so that two people keep two names', () => {
    const nameOf = (username: string) => keystone().claims(decision([], { username }), 'id_token')['preferred_username']
    assert.equal(nameOf('corp:o’brien@corp.example') === nameOf('corp:o_brien@corp.example'), false)
    assert.equal(nameOf("corp:o'brien@corp.example"), "corp:o'brien@corp.example")
    assert.match(String(nameOf('Jürgen Größe')), /^Jurgen Grosse~[0-9a-f]{8}$/)
    assert.notEqual(nameOf('Jürgen'), nameOf('Jurgen'))
    assert.match(String(nameOf('a;ops')), /^a_ops~/)
    assert.match(String(nameOf(' ')), /^~/)
    assert.ok(String(nameOf('x'.repeat(500))).length <= 255)
    assert.notEqual(nameOf(`${'x'.repeat(300)}a`), nameOf(`${'x'.repeat(300)}b`))
  })

  it('leave an e-mail address out that Apache would garble', () => {
    const emailOf = (email: string) => keystone().claims(decision([], { email }), 'id_token')['email']
    assert.equal(emailOf('a@b.example'), 'a@b.example')
    for (const email of ['ä@b.example', 'a@b;ops', 'a@b\n']) assert.equal(emailOf(email), undefined, email)
  })

  for (const domain of [
    'Federated',
    'FEDERATED',
    'fédérated',
    '',
    ' x',
    'a;b',
    '{0}',
    'größe',
    "it's",
    'a\\b',
    'x'.repeat(65),
  ])
    it(`are refused for a person in the domain ${JSON.stringify(domain)}`, () => {
      assert.throws(() => keystone().claims(decision([], { domain }), 'id_token'), { code: 'claims_unusable' })
    })

  it('of three hundred groups do not fit, and that is told', () => {
    const grants = Array.from({ length: 300 }, (_, index) => group(`team-${index}`))
    assert.throws(() => keystone().claims(decision(grants), 'id_token'), {
      code: 'grants_too_large',
      facts: { target: 'cloud' },
    })
  })
})

describe('what a Keystone cannot take', () => {
  const table: readonly (readonly [string, Grant, RegExp])[] = [
    ['a namespace', { target: 'cloud', namespace: 'web', roles: ['edit'] }, /no namespace roles/],
    ['a cluster', { target: 'cloud', cluster: true, roles: ['edit'] }, /no cluster roles/],
    ['roles in a domain', { target: 'cloud', domain: 'corp', roles: ['member'] }, /no domain roles/],
    ['an empty group', group(''), /is empty/],
    ['a group of 65 characters', group('x'.repeat(65)), /longer than 64/],
    ['a group with a line end', group('a\nb'), /control or invisible/],
    ['a group with a right-to-left override', group('a\u202eb'), /control or invisible/],
    ['a group with a zero-width space', group('a\u200bb'), /control or invisible/],
    ['half a character', group('a\ud800'), /control or invisible/],
    ['a group with outer blanks', group(' web '), /begins or ends with a blank/],
    ['the domain Federated', group('a', 'fEdErAtEd'), /Federated is reserved/],
    ['a domain Fédérated, which MySQL takes for it', project('a', ['member'], 'Fédérated'), /reserved/],
    ['a project without roles', project('web', []), /without roles/],
    ['the role admin', project('web', ['member', 'admin']), /adminRoles says no/],
    ['the role ADMIN', project('web', ['ADMIN']), /adminRoles says no/],
    ['the role ádmin, which MySQL takes for it', project('web', ['ádmin']), /adminRoles says no/],
    ['the role ａｄｍｉｎ', project('web', ['ａｄｍｉｎ']), /adminRoles says no/],
    ['an empty role', project('web', ['']), /role name is empty/],
  ]
  for (const [what, grant, reason] of table) {
    it(`is refused by name and never claimed: ${what}`, () => {
      assert.match(keystone().refuse(grant) ?? '', reason)
      const seen = asKeystoneReads(keystone().claims(decision([grant, group('dev')]), 'id_token'))
      assert.deepEqual([seen.groups, seen.projects], [['Default/dev'], []])
    })
  }

  it('is told apart from what it can: 64 characters of any script, admin where the target says so', () => {
    assert.equal(keystone().refuse(group('漢'.repeat(64), 'corp')), undefined)
    assert.equal(keystone().refuse(group('😀'.repeat(64))), undefined)
    assert.equal(keystone({ adminRoles: true }).refuse(project('web', ['admin'])), undefined)
    assert.match(keystone({ mappingSchema: '2.0' }).refuse(project('web')) ?? '', /need 3\.0/)
  })
})

describe('a Keystone into which the gateway writes', () => {
  const written = () => keystone({ reconcile: {} })

  it('is told no groups and no projects, and carries roles in domains too', () => {
    const given = decision([group('dev'), project('web'), { target: 'cloud', domain: 'corp', roles: ['manager', 'a'] }])
    const target = written()
    assert.deepEqual(Object.keys(target.claims(given, 'id_token')), ['preferred_username', 'openstack_user_domain'])
    assert.deepEqual(target.describe(given).slice(0, 2), ['user alice in domain Default', 'domain corp: a, manager'])
  })

  it('refuses the projects of the cloud itself, in any writing that a database may take for them', () => {
    for (const name of ['admin', 'Service', 'ádmin', 'ａｄｍｉｎ'])
      assert.match(written().refuse(project(name)) ?? '', /cloud's own/, name)
    assert.match(written().refuse(project('web', ['admin'])) ?? '', /adminRoles says no/)
    assert.equal(keystone().refuse(project('service')), undefined)
  })

  it('refuses groups that carry the names of the cloud itself: the roles of such a group are not seen here', () => {
    for (const name of ['admin', 'Service', 'ádmin', 'ａｄｍｉｎ'])
      assert.match(written().refuse(group(name)) ?? '', /adminRoles says no/, name)
    assert.equal(keystone({ reconcile: {}, adminRoles: true }).refuse(group('admin')), undefined)
    assert.equal(written().refuse(group('admins')), undefined)
    assert.equal(keystone().refuse(group('admin')), undefined)
  })

  it('puts everybody into one domain where its mapping cannot name one', () => {
    const claims = keystone({ reconcile: {}, mappingSchema: '1.0', domain: 'people' }).claims(
      decision([], { domain: 'corp' }),
      'id_token',
    )
    assert.equal(claims['openstack_user_domain'], 'people')
  })
})

describe('whatever the rules give', () => {
  for (const mappingSchema of ['2.0', '3.0'])
    it(`a Keystone with mapping schema ${mappingSchema} sees exactly the grants at it that it can take`, () => {
      const random = chance(20_261_124)
      const target = keystone({ mappingSchema })
      let fitted = 0
      for (let round = 0; round < 3000; round++) {
        const grants = Array.from({ length: random.below(7) }, () => badGrant(random, ['cloud', 'prod']))
        const given = decision(grants, { username: badName(random), name: badName(random), email: badName(random) })
        const mine = grantsAt(given, 'cloud').filter((grant) => target.refuse(grant) === undefined)
        let claims: Record<string, unknown>
        try {
          claims = target.claims(given, random.pick(['id_token', 'access_token']))
        } catch (error) {
          assert.equal((error as { code: string }).code, 'grants_too_large')
          continue
        }
        fitted++
        assert.ok(Buffer.byteLength(JSON.stringify(claims)) <= 4096)
        assert.ok(Object.keys(claims).every((name) => target.claimNames.includes(name)))
        const seen = asKeystoneReads(claims)
        const place = (grant: Grant & { domain?: string }, name: string) => `${grant.domain ?? 'Default'}/${name}`
        const groups = mine.flatMap((grant) => ('group' in grant ? [place(grant, grant.group)] : []))
        const projects = mine.flatMap((grant) =>
          'project' in grant ? grant.roles.map((role) => `${place(grant, grant.project)}:${role}`) : [],
        )
        assert.deepEqual(new Set(seen.groups), new Set(groups))
        assert.deepEqual(new Set(seen.projects), new Set(projects))
        assert.equal(seen.groups.length, new Set(groups).size)
      }
      assert.ok(fitted > 2500, `${fitted} fitted`)
    })
})

describe('explain at a Keystone', () => {
  it('prints user, projects and groups with their domains', () => {
    const given = decision([group('ops', 'infra'), project('web', ['member', 'reader'])], { domain: 'corp' })
    assert.deepEqual(keystone().describe(given), [
      'user alice in domain corp',
      'project web in domain corp: member, reader',
      'group ops in domain infra',
    ])
  })
})
