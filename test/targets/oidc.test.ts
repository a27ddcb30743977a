import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Grant, grantsAt } from '../../src/core/decision.ts'
import { badGrant, badName, chance, decision, oidc, problems } from './world.ts'

const group = (name: string): Grant => ({ target: 'argocd', group: name })

describe('an application', () => {
  it('gets names, e-mail and an array of groups', () => {
    const given = decision([group('ops'), group('dev'), { target: 'prod', group: 'other' }], {
      email: 'alice@corp.example',
      emailVerified: true,
    })
    assert.deepEqual(oidc().claims(given, 'userinfo'), {
      preferred_username: 'alice',
      email: 'alice@corp.example',
      email_verified: true,
      groups: ['dev', 'ops'],
    })
    assert.deepEqual(oidc().describe(given), ['groups: dev', 'groups: ops'])
  })

  it('reads its groups in the claim of its choice', () => {
    const target = oidc({ groupsClaim: 'https://grafana.example/roles' })
    assert.deepEqual(target.claims(decision([group('Editor')]), 'id_token')['https://grafana.example/roles'], [
      'Editor',
    ])
    assert.ok(target.claimNames.includes('https://grafana.example/roles'))
  })

  for (const groupsClaim of ['sub', 'aud', 'exp', 'email', 'preferred_username', '__proto__', 'constructor', '', 'a b'])
    it(`is refused with groups in the claim ${JSON.stringify(groupsClaim)}`, () => {
      assert.ok(problems('oidc', { id: 'argocd', groupsClaim }).length > 0)
    })

  const refused: readonly (readonly [string, Grant, RegExp])[] = [
    ['a project', { target: 'argocd', project: 'web', roles: ['x'] }, /no project roles/],
    ['a namespace', { target: 'argocd', namespace: 'web', roles: ['x'] }, /no namespace roles/],
    ['a cluster', { target: 'argocd', cluster: true, roles: ['x'] }, /no cluster roles/],
    ['a domain', { target: 'argocd', domain: 'web', roles: ['x'] }, /no domain roles/],
    ['a group of a domain', { target: 'argocd', group: 'web', domain: 'x' }, /knows no domains/],
    ['system:masters', group('system:masters'), /reserved/],
    ['an empty name', group(''), /is empty/],
    ['a control character', group('a\u0000'), /control/],
  ]
  for (const [what, grant, reason] of refused)
    it(`does not take ${what}`, () => assert.match(oidc().refuse(grant) ?? '', reason))

  it('sees exactly the groups at it that it can take, whatever the rules give', () => {
    const random = chance(3)
    const target = oidc()
    for (let round = 0; round < 2000; round++) {
      const grants = Array.from({ length: random.below(7) }, () => badGrant(random, ['argocd', 'prod']))
      const given = decision(grants, { username: badName(random) })
      let claims: Record<string, unknown>
      try {
        claims = target.claims(given, 'id_token')
      } catch (error) {
        assert.equal((error as { code: string }).code, 'claims_unusable')
        continue
      }
      assert.doesNotMatch(String(claims['preferred_username']).trim(), /^system:/i)
      const mine = grantsAt(given, 'argocd').filter((grant) => target.refuse(grant) === undefined)
      const names = mine.flatMap((grant) => ('group' in grant ? [grant.group] : []))
      assert.deepEqual(claims['groups'], [...new Set(names)].sort())
      assert.ok(names.every((name) => !/^system:/i.test(name)))
    }
  })

  it('with more than fits into a token is told', () => {
    const grants = Array.from({ length: 300 }, (_, index) => group(`a-long-name-of-a-group-${index}`))
    assert.throws(() => oidc().claims(decision(grants), 'id_token'), { code: 'grants_too_large' })
  })
})
