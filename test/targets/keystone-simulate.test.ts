import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { re2 } from '../../src/regex.ts'
import { environmentOf, readBy } from '../../src/targets/keystone/simulate/apache.ts'
import { evaluate } from '../../src/targets/keystone/simulate/evaluate.ts'
import type { Outcome, Release, Remote, Template } from '../../src/targets/keystone/simulate/rules.ts'
import { signIn } from '../../src/targets/keystone/simulate/sign-in.ts'
import { searchBy } from '../support/python-search.ts'

const releases: readonly Release[] = ['22', '30']
const search = searchBy(re2)

interface Asked {
  readonly local: readonly Template[]
  readonly remote?: readonly Remote[]
  readonly values: Readonly<Record<string, string>>
  readonly schema?: string
  readonly release?: Release
}

/** One rule, whose matches are the variables in order where nothing else is said. */
function mapped({ local, remote, values, schema = '1.0', release = '30' }: Asked): Outcome {
  const rule = { local, remote: remote ?? Object.keys(values).map((type) => ({ type })) }
  return evaluate({ schema_version: schema, rules: [rule] }, values, { release, search })
}

const groupsOf = (outcome: Outcome) => (outcome.kind === 'mapped' ? outcome.mapped.group_names : outcome)
const refused = (outcome: Outcome) => (outcome.kind === 'refused' ? [outcome.error, outcome.status] : outcome)
const user: Template = { user: { id: '{0}', name: '{0}', domain: { name: 'corp' } } }
const corp = { name: 'corp' }
const groups: Template = { groups: '{0}', domain: corp }

describe("Keystone's mapping engine", () => {
  for (const release of releases) {
    const of = (value: string) => mapped({ local: [groups], values: { g: value }, release })

    it(`refuses the whole sign-in for a group called namespace-admins, and takes it as JSON (${release})`, () => {
      assert.deepEqual(refused(of('namespace-admins')), ['ValidationError', 401])
      assert.deepEqual(refused(of('rename-team;dev')), ['ValidationError', 401])
      assert.deepEqual(groupsOf(of('JSON:{"name":"namespace-admins","domain":{"name":"d"}}')), [
        { name: 'namespace-admins', domain: { name: 'd' } },
      ])
    })

    it(`splits every text at a semicolon: x;ops is in the group ops (${release})`, () => {
      const names = [
        { name: 'x', domain: corp },
        { name: 'ops', domain: corp },
      ]
      assert.deepEqual(groupsOf(of('x;ops')), names)
    })

    it(`takes a text that is a Python list for that list: ['admin'] is in the group admin (${release})`, () => {
      assert.deepEqual(groupsOf(of("['admin', u'o' 'ps']")), [
        { name: 'admin', domain: corp },
        { name: 'ops', domain: corp },
      ])
      assert.deepEqual(groupsOf(of("['admin'")), [{ name: "['admin'", domain: corp }])
    })

    it(`knows no variable by another spelling, so that its rule silently does not apply (${release})`, () => {
      const remote = [{ type: 'HTTP_OIDC_PREFERRED_USERNAME' }]
      const outcome = mapped({ local: [user], remote, values: { 'OIDC-preferred_username': 'a' }, release })
      assert.deepEqual(refused(outcome), ['ValidationError', 401])
    })

    it(`lets a rule apply where its variable is empty: the empty text is a value (${release})`, () => {
      assert.deepEqual(groupsOf(of('')), [{ name: '', domain: corp }])
    })

    it(`makes a project called ['p1', 'p2'] of two values (${release})`, () => {
      const projects: Template = { projects: [{ name: '{0}', roles: [{ name: 'member' }] }] }
      const outcome = mapped({ local: [projects], values: { p: 'p1;p2' }, release })
      assert.deepEqual(outcome.kind === 'mapped' && outcome.mapped.projects, [
        { name: "['p1', 'p2']", roles: [{ name: 'member' }] },
      ])
    })

    it(`takes the first user, and the last projects (${release})`, () => {
      const project = (name: string): Template => ({ projects: [{ name, roles: [] }] })
      const local = [{ user: { name: 'first' } }, project('a'), { user: { name: 'second' } }, project('b')]
      const outcome = mapped({ local, values: { x: 'y' }, release })
      assert.ok(outcome.kind === 'mapped')
      assert.deepEqual(
        [outcome.mapped.user, outcome.mapped.projects],
        [{ name: 'first', type: 'ephemeral' }, [{ name: 'b', roles: [] }]],
      )
    })

    it(`finds an expression anywhere: admin in not-an-administrator (${release})`, () => {
      const remote = (expression: string) => [{ type: 'g', any_one_of: [expression], regex: true }]
      const found = (expression: string, value: string) =>
        mapped({ local: [{}], remote: remote(expression), values: { g: value }, release }).kind === 'mapped'
      assert.ok(found('admin', 'not-an-administrator'))
      assert.ok(!found('^admin$', 'not-an-administrator'))
      assert.ok(found('^admin$', 'admin\n'), 'a dollar is before the last line end, too')
      assert.ok(!found('^admin\\Z', 'admin\n'))
    })

    it(`dies of a single brace, and of a number that no match has (${release})`, () => {
      const name = (text: string) => refused(mapped({ local: [{ user: { name: text } }], values: { x: 'y' }, release }))
      assert.deepEqual(name('{"a": 1}'), ['KeyError', 500])
      assert.deepEqual(name('{'), ['ValueError', 500])
      assert.deepEqual(name('{1}'), ['DirectMappingError', 500])
      const doubled = mapped({ local: [{ user: { name: '{{{0}}}' } }], values: { x: '{1}' }, release })
      assert.ok(doubled.kind === 'mapped')
      assert.equal(doubled.mapped.user['name'], '{{1}}', 'what is filled in is never read again')
    })
  }

  it('of release 30 reads projects from JSON with schema 3.0, dies of what is none, and refuses what are no projects', () => {
    const of = (value: string) =>
      mapped({ local: [{ projects_json: '{0}', domain: corp }], values: { p: value }, schema: '3.0' })
    const outcome = of('[{"name":"a\\u003bb","roles":[{"name":"member"}]}]')
    assert.deepEqual(outcome.kind === 'mapped' && outcome.mapped.projects, [
      { name: 'a;b', roles: [{ name: 'member' }], domain: corp },
    ])
    assert.deepEqual(refused(of('web')), ['JSONDecodeError', 500])
    assert.deepEqual(refused(of('[{"name":"web"}]')), ['ValidationError', 401])
    assert.deepEqual(refused(of('[{"name":"a;b","roles":[]}]')), ['ValidationError', 401], 'split, it is a list')
  })

  it('of release 22 fails for a bad expression beside one that matches, where 30 does not look at it', () => {
    const remote = [{ type: 'g', any_one_of: ['a', '('], regex: true }]
    const of = (release: Release) => mapped({ local: [{}], remote, values: { g: 'a' }, release })
    assert.deepEqual(refused(of('22')), ['error', 500])
    assert.equal(of('30').kind, 'mapped')
  })

  it('says what it does not know rather than guess', () => {
    const remote = (expression: string) => [{ type: 'g', any_one_of: [expression], regex: true }]
    for (const expression of ['(a)\\1', '(?=a)', 'a{2000}', '(?i)é', '\\N{DASH}'])
      assert.equal(
        mapped({ local: [{}], remote: remote(expression), values: { g: 'a' } }).kind,
        'not-covered',
        expression,
      )
    assert.equal(mapped({ local: [{ user: { name: '{0.upper}' } }], values: { g: 'a' } }).kind, 'not-covered')
  })
})

describe('the sign-in behind the mapping', () => {
  const at = (release: Release) => ({ release, home: 'home', remoteUser: 'alice@login.example' })
  const seen = (release: Release, asked: Asked) => {
    const outcome = mapped({ ...asked, release })
    assert.ok(outcome.kind === 'mapped')
    return signIn(outcome.mapped, at(release))
  }

  it('falls back to REMOTE_USER, which differs between browser and bearer: two users of one person', () => {
    const { user: found } = seen('30', { local: [{ groups: 'x', domain: corp }], values: { a: 'b' } })
    assert.deepEqual(found, { id: 'alice%40login.example', name: 'alice@login.example', domain: 'home' })
  })

  it('percent-encodes the id as Python does, and refuses one of more than 255 characters with 400', () => {
    const of = (value: string) => seen('30', { local: [user], values: { a: value } }).user.id
    assert.equal(of("did:web:x/y~(1)'*"), 'did%3Aweb%3Ax/y~%281%29%27%2A')
    assert.equal(of('ü'), '%C3%BC')
    assert.throws(() => of('ü'.repeat(43)), { kind: 'ValidationError', status: 400 })
  })

  it('puts everybody into the domain of the identity provider on release 22, into her own on 30', () => {
    assert.equal(seen('22', { local: [user], values: { a: 'b' } }).user.domain, 'home')
    assert.equal(seen('30', { local: [user], values: { a: 'b' } }).user.domain, 'corp')
  })

  it('answers 400 to everybody where a mapping of schema 2.0 names no domain', () => {
    assert.throws(() => seen('30', { local: [{ user: { name: '{0}' } }], values: { a: 'b' }, schema: '2.0' }), {
      kind: 'TypeError',
    })
  })

  it('fails for a group of which the engine made a text: my-domain-name', () => {
    assert.throws(() => seen('30', { local: [user, groups], values: { a: 'my-domain-name' } }), { kind: 'TypeError' })
  })
})

describe('what Apache hands on', () => {
  const claims = { s: 'a', t: true, f: false, n: 600, r: 1.5, o: { a: [1] }, z: null, l: ['a', { b: 1 }, true, 'c'] }

  it('is by mod_auth_openidc text, numbers, lists joined without their objects, and never null', () => {
    assert.deepEqual(environmentOf(claims, 'mod_auth_openidc'), {
      'OIDC-s': 'a',
      'OIDC-t': '1',
      'OIDC-f': '0',
      'OIDC-n': '600',
      'OIDC-r': '1.500000',
      'OIDC-o': '{"a": [1]}',
      'OIDC-l': 'a;1;c',
    })
  })

  it('is by mod_oauth2 the JSON of everything but texts, in which no condition finds anything', () => {
    const { 'OIDC-l': listed, 'OIDC-z': none, 'OIDC-t': yes } = environmentOf(claims, 'mod_oauth2') ?? {}
    assert.deepEqual([listed, none, yes], ['["a", {"b": 1}, true, "c"]', 'null', 'true'])
  })

  it('is nothing where a claim holds U+0000, and has other names where a claim name is no name of a header', () => {
    assert.equal(environmentOf({ a: 'x\u0000y' }, 'mod_auth_openidc'), undefined)
    assert.deepEqual(environmentOf({ 'https://x/y': 'v' }, 'mod_oauth2'), { 'OIDC-https---x-y': 'v' })
  })

  it('is read as Latin-1 by release 22, and as UTF-8 by 30', () => {
    assert.deepEqual(readBy('22', { a: 'Größe' }), { a: 'GrÃ¶Ã\u009fe' })
    assert.deepEqual(readBy('30', { a: 'Größe' }), { a: 'Größe' })
  })
})
