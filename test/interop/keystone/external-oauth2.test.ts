import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { accountId } from '../../../src/core/subject.ts'
import type { TestGateway } from '../../support/gateway.ts'
import type { Idp } from '../../support/oidc-idp.ts'
import { tokensOf } from '../../support/sign-in.ts'
import { standard, standardEnv } from '../../support/standard.ts'

/** JSON: `[{ "name": "Debian's", "python": "/usr/bin/python3", … }, …]`. */
const interpreters = JSON.parse(process.env['LOTSE_KEYSTONES'] ?? '[]') as readonly {
  readonly name: string
  readonly python: string
}[]

const rules = `
  - name: projects
    from: [corp]
    each: { claim: groups, pattern: '/teams/<team>/<rank>' }
    give: [{ target: cloud, project: '<team>', roles: [reader, member] }]
  - name: everything of bob
    from: [corp]
    if: [{ claim: preferred_username, is: bob }]
    give: [{ target: cloud, project: second, roles: [member] }]
`
const clients =
  '  - { id: service, target: cloud, auth: client_secret_basic, secret: { env: HORIZON_SECRET }, grants: [], introspect: true }'

let idp: Idp
let gateway: TestGateway
before(async () => {
  ;({ idp, gateway } = await standard({ rules, extra: () => ({ clients }) }))
})
after(async () => {
  await gateway?.close()
  await idp?.close()
})

/** As docs/guides/keystone.md has it. */
const options = () => ({
  introspect_endpoint: `${gateway.issuer}/token/introspection`,
  audience: `${gateway.issuer}/token`,
  auth_method: 'client_secret_basic',
  client_id: 'service',
  client_secret: standardEnv.HORIZON_SECRET,
  mapping_user_id: 'sub',
  mapping_user_name: 'preferred_username',
  mapping_user_domain_id: 'openstack_user_domain_id',
  mapping_user_domain_name: 'openstack_user_domain',
  mapping_project_id: 'openstack_project_id',
  mapping_project_name: 'openstack_project_name',
  mapping_project_domain_id: 'openstack_project_domain_id',
  mapping_project_domain_name: 'openstack_project_domain',
  mapping_roles: 'openstack_roles',
  mapping_expires_at: 'exp',
  token_cache_time: -1,
})

interface Told {
  readonly missing?: boolean
  readonly status: number
  readonly told: Readonly<Record<string, string>>
}

function startService(python: string) {
  const child = spawn(python, ['test/interop/keystone/external_oauth2.py', JSON.stringify(options())], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => JSON.parse((await lines.next()).value ?? '{}') as Told
  return {
    next,
    ask(token: string) {
      child.stdin.write(`${token}\n`)
      return next()
    },
    close: () => child.kill(),
  }
}

for (const { name, python } of interpreters)
  test(`a service behind external_oauth2_token of ${name} sees the person's project and roles`, async (t) => {
    const service = startService(python)
    try {
      if ((await service.next()).missing) return t.skip('its keystonemiddleware is older than 10.5.0')
      const { access_token: ada } = await tokensOf(gateway, 'openstack', 'ada')
      const { status, told } = await service.ask(ada)
      assert.equal(status, 200)
      const { HTTP_X_USER_ID, HTTP_X_USER_NAME, HTTP_X_PROJECT_NAME, HTTP_X_ROLES } = told
      const sub = accountId({ connector: 'corp', id: 'ada' })
      assert.deepEqual(
        [HTTP_X_USER_ID, HTTP_X_USER_NAME, HTTP_X_PROJECT_NAME, HTTP_X_ROLES],
        [sub, 'corp:ada', 'web', 'member,reader'],
      )
      assert.match(told['HTTP_X_PROJECT_ID'] ?? '', /^[0-9a-f]{32}$/)

      const { access_token: bob } = await tokensOf(gateway, 'openstack', 'bob')
      assert.equal((await service.ask(bob)).status, 403, 'two projects are none')
      const { access_token: other } = await tokensOf(gateway, 'kubectl', 'ada')
      assert.equal((await service.ask(other)).status, 401, 'for another target')
      await gateway.ends.end({ kind: 'subject', sub }, 'operator', { reference: 'test' })
      assert.equal((await service.ask(ada)).status, 401, 'ended at the gateway')
    } finally {
      service.close()
    }
  })

test('an interpreter is there', { skip: interpreters.length === 0 && 'LOTSE_KEYSTONES names no Python' }, () => {
  assert.ok(interpreters.length > 0)
})
