import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import type { Io } from '../../src/cli/command.ts'
import { main } from '../../src/cli/index.ts'
import { type ClusterStandIn, kubeconfigOf, startClusterStandIn } from '../support/cluster-stand-in.ts'

const config = `
issuer: https://login.example
listen: { port: 8080 }
store: { kind: embedded, path: ./x.db }
keys: { create: true }
connectors:
  - { id: corp, type: oidc, label: Corp, issuer: https://sso.example, clientId: lotse, auth: none, domain: corp }
targets:
  - { id: prod, type: kubernetes, server: 'https://10.0.0.1:6443', usernamePrefix: 'u-', apply: { kubeconfig: { env: KUBE } } }
  - { id: plain, type: kubernetes, server: 'https://10.0.0.2:6443' }
clients:
  - { id: kubectl, native: true, target: prod, targets: [plain], redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh] }
tables:
  roles: { dev: [edit], lead: [admin, view] }
rules:
  - name: teams
    from: [corp]
    each: { claim: groups, pattern: '/teams/<team>/<rank>' }
    give: [{ target: prod, namespace: '<team>', roles: { lookup: roles, key: '<rank>' } }, { target: plain, namespace: '<team>', roles: [view] }]
  - { name: leads, from: [corp], if: [{ claim: groups, pattern: '/teams/<any>/lead' }], give: [{ target: prod, cluster: true, roles: [watcher] }] }
`

let folder: string
let cluster: ClusterStandIn
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lotse-cluster-'))
  cluster = await startClusterStandIn()
})
beforeEach(() => {
  cluster.allow = () => true
  cluster.before = () => undefined
  cluster.reviews.length = 0
  cluster.seen.length = 0
})
after(async () => {
  await cluster.close()
  await rm(folder, { recursive: true })
})

async function lotse(line: string, { yaml = config, kube = cluster.kubeconfig } = {}) {
  const file = join(folder, 'gateway.yaml')
  await writeFile(file, yaml)
  const out: string[] = []
  const err: string[] = []
  const io = {
    out: (text: string) => out.push(...text.split('\n')),
    err: (text: string) => err.push(text),
    env: { KUBE: kube },
    cwd: folder,
    now: () => Math.floor(Date.now() / 1000),
  }
  const code = await main([...line.split(' '), '--config', file], io as unknown as Io)
  return { code, out, err: err.join('\n') }
}

const ADA = 'explain --connector corp --subject ada --claim groups=/teams/web/dev --claim preferred_username=ada'

test('explain --live asks about the very names that explain prints, with the group that the cluster adds', async () => {
  const plain = await lotse(`${ADA} --target prod --json`)
  const { names } = JSON.parse(plain.out.join('\n')).targets[0]
  assert.deepEqual(cluster.seen, [])
  assert.equal((await lotse(`${ADA} --target prod --live`)).code, 0)
  for (const { user, groups } of cluster.reviews) {
    const asked = [`User ${user}`, ...(groups ?? []).filter((group) => group !== 'system:authenticated')]
    assert.deepEqual(asked, [names[0], ...names.slice(1).map((name: string) => name.replace('Group ', ''))])
    assert.ok(groups?.includes('system:authenticated'))
  }
})

test('explain --live says for each namespace, and for the whole cluster, what the cluster allows', async () => {
  cluster.allow = ({ resourceAttributes: { namespace, resource } = {} }) => namespace === 'web' && resource === 'pods'
  const { out, code } = await lotse(`${ADA} --target prod --live`)
  assert.equal(code, 0)
  const from = out.findIndex((line) => line.includes('what the cluster allows'))
  assert.deepEqual(out.slice(from + 1), [
    '      namespace web',
    '        yes  list pods',
    '        yes  exec into pods',
    '        no   create deployments',
    '        no   get secrets',
    '        no   create rolebindings',
    '      whole cluster',
    '        no   list pods',
    '        no   list nodes',
    '        no   get secrets',
    '        no   create namespaces',
    '        no   do anything',
  ])
  const exec = cluster.reviews.find(({ resourceAttributes }) => resourceAttributes?.['subresource'] === 'exec')
  assert.deepEqual(exec?.resourceAttributes, {
    namespace: 'web',
    verb: 'create',
    group: '',
    resource: 'pods',
    subresource: 'exec',
  })
  const json = JSON.parse((await lotse(`${ADA} --live --json`)).out.join('\n'))
  const [prod, plainTarget] = json.targets
  assert.equal(prod.cluster.user, 'u-corp:ada')
  assert.ok(prod.cluster.may.some((deed: object) => 'allowed' in deed))
  assert.equal(plainTarget.cluster, undefined)
})

test('explain --live says where the gateway has no account, and asks nothing about somebody to whom nothing is given', async () => {
  const none = await lotse(`${ADA} --target plain --live`)
  assert.equal(none.code, 2)
  assert.match(none.err, /it has none at plain; give the target apply/)
  const nobody = await lotse('explain --connector corp --subject eve --target prod --live')
  assert.equal(nobody.code, 1)
  assert.deepEqual(cluster.reviews, [])
})

test('explain --live says why a cluster cannot be asked, and ends by 3', async () => {
  for (const [answer, says] of [
    [403, /answers 403 to POST .*subjectaccessreviews/],
    ['hang-up', /cluster prod does not answer/],
  ] as const) {
    cluster.before = () => answer
    const { code, out } = await lotse(`${ADA} --target prod --live`)
    assert.equal(code, 3)
    assert.match(out.join('\n'), says)
  }
})

test('check --live asks for each right that what the rules can give needs, and for no other', async () => {
  const { code, out } = await lotse('check --live prod')
  assert.equal(code, 0, out.join('\n'))
  // Some of the test before may be on their way still.
  const own = cluster.reviews.filter(({ user }) => user === undefined)
  const asked = own.map(({ resourceAttributes: a = {} }) =>
    [a['verb'], a['resource'], a['name']].filter(Boolean).join(' '),
  )
  assert.deepEqual(
    asked.filter((line) => line.includes('bind ')),
    ['bind clusterroles admin', 'bind clusterroles edit', 'bind clusterroles view', 'bind clusterroles watcher'],
  )
  assert.ok(asked.includes('patch rolebindings lotse:prod:edit'))
  assert.ok(asked.includes('delete clusterrolebindings lotse:prod:watcher'))
  assert.ok(!asked.includes('patch clusterrolebindings lotse:prod:edit'))
  assert.ok(!asked.some((line) => line.includes('*')))
})

test('check --live says which rights are missing, and that explain --live alone wants one of them', async () => {
  cluster.allow = ({ resourceAttributes: { verb, resource } = {} }) =>
    verb !== 'bind' && resource !== 'subjectaccessreviews'
  const { code, out } = await lotse('check --live prod')
  assert.equal(code, 1)
  assert.ok(
    out.some((line) =>
      /^bad .*it may not: bind clusterroles admin, and 3 more; apply gateway\/account.yaml/.test(line),
    ),
  )
  assert.ok(out.some((line) => /^note .*subjectaccessreviews/.test(line)))
  assert.equal(out.filter((line) => line.startsWith('bad')).length, 1)
  cluster.before = () => 'hang-up'
  const down = await lotse('check --live prod')
  assert.equal(down.code, 1)
  assert.ok(down.out.some((line) => /^bad .*does not answer/.test(line)))
})

test('a kubeconfig that cannot be used is told where it stands, without a word of it', async () => {
  const kube = kubeconfigOf('https://10.0.0.1:6443', { exec: { command: 'hunter2' } })
  const { code, err } = await lotse('check', { kube })
  assert.equal(code, 1)
  assert.match(err, /gateway\.yaml:9:\d+ .*runs no programs for a credential/)
  assert.doesNotMatch(err, /hunter2/)
  const short = await lotse('check', { yaml: config.replace('KUBE }', 'KUBE }, keep: 20m') })
  assert.match(short.err, /apply.keep: too short/)
})

test('print asks for no namespaces where the gateway keeps the bindings of all', async () => {
  const { code, err, out } = await lotse('print prod')
  assert.equal(code, 0, err)
  assert.equal(err, '')
  assert.match(out.join('\n'), /gateway\/account\.yaml/)
  assert.match((await lotse('print plain')).err, /say by --namespaces/)
})
