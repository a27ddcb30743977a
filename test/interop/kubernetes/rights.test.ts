import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { claimsIn } from '../../support/gateway.ts'
import { people } from '../../support/standard.ts'
import type { Cluster } from './cluster.ts'
import { atEach, type Kind, type World } from './world.ts'

const KINDS = ['stock', 'structured'] as const

atEach(KINDS, (world) => {
  for (const kind of KINDS) {
    test(`${kind}: people are called as lotse explain says, and nothing else`, async () => {
      for (const sub of ['ada', 'bob']) {
        const seen = await world()
          .cluster(kind)
          .whoami(await world().accessToken(kind, sub))
        assert.deepEqual(namesOf(seen), await explained(world(), kind, sub))
      }
    })

    test(`${kind}: what is printed for RBAC is taken by a dry run, and gives each role to those who have it`, async () => {
      const cluster = world().cluster(kind)
      for (const namespace of ['web', 'db']) await cluster.admin('create', 'namespace', namespace)
      for (const folder of ['rbac', 'rbac-explicit'])
        await cluster.admin('apply', '--dry-run=server', '-f', join(world().printed(kind), folder))
      await cluster.admin('apply', '-f', join(world().printed(kind), 'rbac-explicit'))
      const ada = await world().accessToken(kind, 'ada')
      const bob = await world().accessToken(kind, 'bob')
      for (const [token, want, question] of [
        [ada, 'yes', 'create deployments.apps -n web'],
        [ada, 'yes', 'get secrets -n web'],
        [ada, 'no', 'create rolebindings.rbac.authorization.k8s.io -n web'],
        [ada, 'no', 'get pods -n db'],
        [ada, 'no', 'list pods -A'],
        [bob, 'yes', 'create rolebindings.rbac.authorization.k8s.io -n db'],
        [bob, 'yes', 'list pods -A'],
        [bob, 'no', 'list secrets -A'],
        [bob, 'no', 'create deployments.apps -n web'],
      ] as const)
        assert.equal(await mayI(cluster, token, question), want, `${token === ada ? 'ada' : 'bob'}: ${question}`)
    })

    test(`${kind}: every printed kubeconfig is one that kubectl reads`, async () => {
      const folder = join(world().printed(kind), 'kubeconfig')
      const files = await readdir(folder)
      assert.ok(files.length > 0)
      for (const file of files) {
        const shown = await world()
          .cluster(kind)
          .admin('config', 'view', '--kubeconfig', join(folder, file), '-o', 'json')
        assert.equal(JSON.parse(shown)['current-context'], kind)
      }
    })
  }

  test('structured: uid, session and client stand beside the name, and the token’s id in the audit log’s credential', async () => {
    const token = await world().accessToken('structured', 'ada')
    const claims = claimsIn(token)
    const { uid, extra } = await world().cluster('structured').whoami(token)
    assert.equal(uid, claims['sub'])
    assert.deepEqual(extra?.['127.0.0.1/session'], [claims['sid']])
    assert.deepEqual(extra?.['127.0.0.1/client'], ['kubectl'])
    assert.deepEqual(extra?.['authentication.kubernetes.io/credential-id'], [`JTI=${claims['jti']}`])
  })
})

function namesOf({ username = '', groups = [] }: { username?: string; groups?: readonly string[] }): readonly string[] {
  return [
    `User ${username}`,
    ...groups.filter((group) => group !== 'system:authenticated').map((group) => `Group ${group}`),
  ]
}

async function explained({ operator, gateway }: World, kind: Kind, sub: string): Promise<readonly string[]> {
  const claims = people.find((person) => person.sub === sub)?.claims ?? {}
  const words = Object.entries(claims).flatMap(([name, value]) =>
    [value].flat().map((each) => `--claim ${name}=${String(each).replaceAll(' ', '_')}`),
  )
  const file = join(gateway.folder, 'gateway.yaml')
  const { out } = await operator.lotse(
    `explain --json --connector corp --subject ${sub} --target ${kind} ${words.join(' ')}`,
    `--config ${file}`,
  )
  const { targets } = JSON.parse(out.join('\n')) as {
    readonly targets: readonly { readonly names: readonly string[] }[]
  }
  return targets[0]?.names ?? assert.fail('explain names nobody')
}

const mayI = async (cluster: Cluster, token: string, question: string) =>
  (await cluster.kubectl(token, 'auth', 'can-i', ...question.split(' '))).trim()
