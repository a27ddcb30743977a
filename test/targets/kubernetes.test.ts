import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Grant, grantsAt } from '../../src/core/decision.ts'
import { badGrant, badName, chance, decision, kubernetes, problems } from './world.ts'

const group = (name: string): Grant => ({ target: 'prod', group: name })
const namespace = (name: string, ...roles: string[]): Grant => ({ target: 'prod', namespace: name, roles })
const cluster = (...roles: string[]): Grant => ({ target: 'prod', cluster: true, roles })

describe('the configuration of a cluster', () => {
  it('takes RS256 for stock flags, ten minutes and the issuer’s ring by default', () => {
    const { id, audience, ring, alg, ttl, carries } = kubernetes()
    assert.deepEqual([id, audience, ring, alg, ttl], ['prod', 'prod', 'issuer', 'RS256', 600])
    assert.deepEqual([...carries], ['namespace', 'cluster', 'group'])
  })

  it('is refused with EdDSA, with the reason', () => {
    const base = { id: 'prod', server: 'https://10.0.0.1:6443' }
    assert.deepEqual(problems('kubernetes', base), [])
    const [first] = problems('kubernetes', { ...base, alg: 'EdDSA' })
    assert.match(first ?? '', /alg: EdDSA is refused by every kube-apiserver/)
    assert.match(problems('kubernetes', { ...base, alg: 'HS256' }).join(), /not a signature algorithm/)
  })

  for (const prefix of ['system:', 'SYSTEM:x', 'kubeadm:', 'a b'])
    it(`is refused with the prefix ${prefix}`, () => {
      const base = { id: 'prod', server: 'https://10.0.0.1:6443' }
      assert.equal(problems('kubernetes', { ...base, groupsPrefix: prefix }).length, 1)
      assert.equal(problems('kubernetes', { ...base, usernamePrefix: prefix }).length, 1)
    })
})

describe('claims for a cluster', () => {
  it('say name, e-mail with a boolean, and groups as an array', () => {
    const given = decision([namespace('web', 'edit', 'view'), cluster('view'), group('corp:ops')], {
      username: 'corp:alice',
      email: 'alice@corp.example',
      name: 'Alice',
    })
    assert.deepEqual(kubernetes().claims(given, 'id_token'), {
      preferred_username: 'corp:alice',
      email: 'alice@corp.example',
      email_verified: false,
      name: 'Alice',
      groups: ['cluster:view', 'corp:ops', 'ns:web:edit', 'ns:web:view'],
    })
    assert.deepEqual(kubernetes().claims(decision([]), 'id_token')['groups'], [])
  })

  it('hold only what is given at this cluster, in every form alike', () => {
    const given = decision([
      group('a'),
      { target: 'other', group: 'b' },
      { target: 'other', cluster: true, roles: ['view'] },
    ])
    for (const form of ['id_token', 'access_token', 'introspection', 'userinfo'] as const)
      assert.deepEqual(kubernetes().claims(given, form), { preferred_username: 'alice', groups: ['a'] })
  })

  for (const username of [
    'system:admin',
    'System:admin',
    'ｓystem:admin',
    'kubeadm:x',
    '',
    ' alice',
    'a\nb',
    'x'.repeat(257),
  ])
    it(`are refused for a person called ${JSON.stringify(username.slice(0, 20))}`, () => {
      assert.throws(() => kubernetes().claims(decision([], { username }), 'id_token'), { code: 'claims_unusable' })
    })

  it('are refused where the cluster’s own prefix completes a reserved name', () => {
    const odd = kubernetes({ usernamePrefix: 'sys', groupsPrefix: 'sys' })
    assert.throws(() => odd.claims(decision([], { username: 'tem:admin' }), 'id_token'), { code: 'claims_unusable' })
    assert.match(odd.refuse(group('tem:masters')) ?? '', /reserved/)
    assert.equal(odd.refuse(group('tems')), undefined)
  })

  it('of five hundred namespaces do not fit, and that is told', () => {
    const grants = Array.from({ length: 500 }, (_, index) => namespace(`team-${index}`, 'edit'))
    assert.throws(() => kubernetes().claims(decision(grants), 'id_token'), { code: 'grants_too_large' })
  })
})

describe('what a cluster cannot take', () => {
  const table: readonly (readonly [string, Grant, RegExp])[] = [
    ['a project', { target: 'prod', project: 'web', roles: ['member'] }, /neither projects nor domains/],
    ['a domain', { target: 'prod', domain: 'web', roles: ['member'] }, /neither projects nor domains/],
    ['a group of a domain', { target: 'prod', group: 'web', domain: 'corp' }, /knows no domains/],
    ['system:masters', group('system:masters'), /reserved/],
    ['SYSTEM:masters', group('SYSTEM:masters'), /reserved/],
    ['kubeadm:cluster-admins', group('kubeadm:cluster-admins'), /reserved/],
    ['a group that reads as a namespace role', group('ns:web:edit'), /reads as roles/],
    ['a group that reads as a cluster role', group('cluster:view'), /reads as roles/],
    ['an empty group', group(''), /is empty/],
    ['a group of 300 characters', group('x'.repeat(300)), /longer than 256/],
    ['a group with outer blanks', group(' web '), /blank/],
    ['a namespace with a colon', namespace('web:edit', 'view'), /not a namespace/],
    ['a namespace with a path', namespace('../x', 'view'), /not a namespace/],
    ['a namespace in capitals', namespace('WEB', 'view'), /not a namespace/],
    ['a namespace of 64 characters', namespace('x'.repeat(64), 'view'), /not a namespace/],
    ['kube-system', namespace('kube-system', 'edit'), /adminRoles says no/],
    ['cluster-admin over the cluster', cluster('view', 'cluster-admin'), /adminRoles says no/],
    ['a role of Kubernetes itself', cluster('system:node'), /reserved/],
    ['a role that is a path', namespace('web', 'a/b'), /no name of a ClusterRole/],
    ['no role', namespace('web'), /without roles/],
  ]
  for (const [what, grant, reason] of table) {
    it(`is refused by name and never claimed: ${what}`, () => {
      assert.match(kubernetes().refuse(grant) ?? '', reason)
      assert.deepEqual(kubernetes().claims(decision([grant]), 'id_token')['groups'], [])
    })
  }

  it('is told apart from what it can', () => {
    for (const grant of [
      namespace('cluster', 'admin'),
      namespace('ns', 'view'),
      group('namespace-admins'),
      group('a;b'),
    ])
      assert.equal(kubernetes().refuse(grant), undefined)
    const admin = kubernetes({ adminRoles: true })
    assert.equal(admin.refuse(cluster('cluster-admin')), undefined)
    assert.equal(admin.refuse(namespace('kube-system', 'view')), undefined)
  })

  it('no namespace called cluster gives roles over the cluster', () => {
    const groups = (grant: Grant) => kubernetes().claims(decision([grant]), 'id_token')['groups']
    assert.deepEqual(groups(namespace('cluster', 'admin')), ['ns:cluster:admin'])
    assert.deepEqual(groups(cluster('admin')), ['cluster:admin'])
  })
})

describe('whatever the rules give', () => {
  it('a cluster sees exactly the grants at it that it can take, and never a name of Kubernetes itself', () => {
    const random = chance(7)
    const target = kubernetes()
    let passed = 0
    for (let round = 0; round < 4000; round++) {
      const grants = Array.from({ length: random.below(7) }, () => badGrant(random, ['cloud', 'prod']))
      const given = decision(grants, { username: badName(random), name: badName(random), email: badName(random) })
      let claims: Record<string, unknown>
      try {
        claims = target.claims(given, random.pick(['id_token', 'access_token']))
      } catch (error) {
        assert.match((error as { code: string }).code, /^(grants_too_large|claims_unusable)$/)
        continue
      }
      passed++
      assert.ok(Buffer.byteLength(JSON.stringify(claims)) <= 4096)
      assert.ok(Object.keys(claims).every((name) => target.claimNames.includes(name)))
      const groups = claims['groups'] as string[]
      for (const text of [claims['preferred_username'], claims['email'], claims['name'], ...groups])
        assert.doesNotMatch(String(text).normalize('NFKC').trim(), /^(system|kubeadm):/i)
      const mine = grantsAt(given, 'prod').filter((grant) => target.refuse(grant) === undefined)
      assert.deepEqual(new Set(groups.map(asBindingsRead)), new Set(mine.flatMap(meant)))
      assert.equal(new Set(groups).size, groups.length)
    }
    assert.ok(passed > 1000, `${passed} passed`)
  })
})

/** What a grant means, apart from how the target words it. */
function meant(grant: Grant): string[] {
  if ('group' in grant) return [JSON.stringify({ group: grant.group })]
  if ('namespace' in grant) return grant.roles.map((role) => JSON.stringify({ namespace: grant.namespace, role }))
  return 'cluster' in grant ? grant.roles.map((role) => JSON.stringify({ cluster: true, role })) : []
}

/** What the RoleBindings that name this group give. */
function asBindingsRead(text: string): string {
  const [, namespace, role] = /^ns:([a-z0-9-]+):(.*)$/s.exec(text) ?? []
  if (namespace !== undefined) return JSON.stringify({ namespace, role })
  if (text.startsWith('cluster:')) return JSON.stringify({ cluster: true, role: text.slice('cluster:'.length) })
  return JSON.stringify({ group: text })
}

describe('explain at a cluster', () => {
  it('prints the RBAC subjects with the prefixes that the cluster puts before them', () => {
    const given = decision([namespace('web', 'edit'), group('ops')])
    assert.deepEqual(kubernetes({ usernamePrefix: '' }).describe(given), [
      'User alice',
      'Group oidc:ns:web:edit',
      'Group oidc:ops',
    ])
  })
})
