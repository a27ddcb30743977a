import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { type ClusterStandIn, startClusterStandIn } from '../support/cluster-stand-in.ts'
import { fakeClock, forgetEnds, passTime, type TestGateway } from '../support/gateway.ts'
import { type Operator, operator } from '../support/lotse.ts'
import { asTheyAreNow, type Idp, type Person } from '../support/oidc-idp.ts'
import { refresh, tokensOf } from '../support/sign-in.ts'
import { standard, standardEnv } from '../support/standard.ts'
import { milliseconds } from '../support/turns.ts'

/** A whole gateway, its upstream, and a cluster in memory at which it keeps bindings. */
const there: Person[] = []
const says = (sub: string, ...groups: readonly string[]) => {
  const others = there.filter((each) => each.sub !== sub)
  there.splice(0, there.length, ...others, {
    sub,
    claims: { preferred_username: sub, groups, account_status: 'active' },
  })
}

const DAY = 86_400
const client =
  "  - { id: kube, native: true, target: kube, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], offlineAccess: true }"
const rules = `
  - name: teams of the cluster
    from: [corp]
    each: { claim: groups, pattern: '/teams/<team>/<rank>' }
    give: [{ target: kube, namespace: '<team>', roles: [edit] }]
  - { name: leads, from: [corp], if: [{ claim: groups, pattern: '/teams/<any>/lead' }], give: [{ target: kube, cluster: true, roles: [view] }] }
  - { name: all, from: [corp], give: [{ target: kube, namespace: lobby, roles: [view] }] }
`

let cluster: ClusterStandIn
let idp: Idp
let gateway: TestGateway
let at: Operator
let config: string
let clock: ReturnType<typeof fakeClock>

before(async () => {
  cluster = await startClusterStandIn()
  says('ada', '/teams/web/dev') // the upstream knows the claims that its people have when it starts
  const env = { ...standardEnv, KUBECONFIG_OF_KUBE: cluster.kubeconfig }
  ;({ idp, gateway, config } = await standard({
    env,
    idp: { people: there, configuration: asTheyAreNow(there) },
    extra: () => ({
      targets: `  - { id: kube, type: kubernetes, server: 'https://10.0.0.2:6443', audience: kube, apply: { kubeconfig: { env: KUBECONFIG_OF_KUBE } } }`,
      clients: client,
    }),
    rules,
  }))
  at = await operator(gateway, config, env)
})
beforeEach(async () => {
  await forgetEnds(gateway)
  says('ada', '/teams/web/dev')
  says('bob', '/teams/web/dev', '/teams/db/lead')
  cluster.before = () => undefined
  for (const path of [...cluster.bindings.keys()]) cluster.take(path)
  cluster.namespaces.clear()
  for (const name of ['web', 'db', 'lobby', 'ci']) cluster.namespaces.add(name)
  clock = fakeClock()
  await gateway.reload(config)
  await seconds(1)
})
afterEach(async () => {
  gateway.failAudit('no')
  cluster.before = () => undefined
  await at.configure(config)
  await gateway.ends.end({ kind: 'connector', id: 'corp' }, 'operator', { reference: 'test' })
  await seconds(20)
  clock.stop()
})
after(async () => {
  await gateway.close()
  await idp.close()
  await cluster.close()
})

const seconds = (count: number) => passTime(gateway.app, clock, count)

/** What stands at the cluster, as its own names: `web/lotse:kube:edit`. */
const standing = () =>
  [...cluster.bindings.values()].map(({ metadata: { namespace = '', name } }) => `${namespace}/${name}`).sort()
/** Of rules without a claim, and of a client that stands for itself. */
const ALWAYS = ['/lotse:kube:view', 'ci/lotse:kube:edit', 'lobby/lotse:kube:view']
const WEB = 'web/lotse:kube:edit'
const since = (from: number) => cluster.seen.slice(from).filter((line) => !line.startsWith('GET'))

test('what rules give whoever comes stands there before anybody does', () => {
  assert.deepEqual(standing(), ALWAYS)
})

test('whoever signs in first with a grant finds its binding, and the second one finds it without a question', async () => {
  await tokensOf(gateway, 'kube', 'ada')
  assert.deepEqual(standing(), [...ALWAYS, WEB])
  const made = gateway.events.findLast(({ event }) => event === 'binding.made')
  assert.deepEqual(made, { event: 'binding.made', target: 'kube', bindings: ['namespace web: edit'] })
  const from = cluster.seen.length
  await tokensOf(gateway, 'kube', 'ada')
  assert.deepEqual(cluster.seen.slice(from), [])
})

test('a sign-in at another client makes them as well: a token for the cluster may follow', async () => {
  await tokensOf(gateway, 'kubectl', 'ada')
  await gateway.app.idle()
  assert.ok(standing().includes(WEB))
})

test('a group that is new upstream has its binding at the refresh that brings it', async () => {
  const { refresh_token: token } = await tokensOf(gateway, 'kube', 'ada')
  says('ada', '/teams/web/dev', '/teams/db/dev')
  clock.advance(600)
  assert.equal((await refresh(gateway, 'kube', token)).status, 200)
  await gateway.app.idle()
  assert.ok(standing().includes('db/lotse:kube:edit'))
})

test('while one of two holds a grant its binding stays; when nobody does it is noted, and goes a week later', async () => {
  const { refresh_token: token } = await tokensOf(gateway, 'kube', 'ada')
  await tokensOf(gateway, 'kube', 'bob')
  says('ada')
  clock.advance(600)
  await refresh(gateway, 'kube', token)
  await seconds(900)
  assert.equal(
    cluster.bindings.get('namespaces/web/rolebindings/lotse:kube:edit')?.metadata.annotations?.['lotse/unneeded-since'],
    undefined,
  )
  await gateway.ends.end({ kind: 'connector', id: 'corp' }, 'operator', { reference: 'test' })
  await seconds(901)
  assert.ok(standing().includes(WEB))
  clock.advance(7 * DAY)
  await seconds(1)
  assert.deepEqual(standing(), ALWAYS)
  const gone = gateway.events.findLast(({ event }) => event === 'binding.removed')
  assert.ok(gone?.event === 'binding.removed' && gone.bindings.includes('namespace web: edit'))
})

test('a cluster that is down refuses nobody, and gets its bindings when it is back', async () => {
  cluster.before = () => 'hang-up'
  const tokens = await tokensOf(gateway, 'kube', 'ada')
  assert.ok(tokens.access_token)
  assert.ok(!standing().includes(WEB))
  cluster.before = () => undefined
  await seconds(40)
  assert.ok(standing().includes(WEB))
})

test('a cluster that does not answer is waited for a second, and no longer', async () => {
  let go = () => {}
  const wait = new Promise<undefined>((resolve) => {
    go = () => resolve(undefined)
  })
  cluster.before = () => wait
  const began = performance.now()
  const took = await milliseconds(async () => assert.ok((await tokensOf(gateway, 'kube', 'ada')).access_token))
  const passed = performance.now() - began
  assert.ok(passed > 900 && took < 5000, `${took} of ${passed} ms`)
  go()
  await gateway.app.idle()
  assert.ok(standing().includes(WEB))
})

test('a namespace that is not there hinders nobody, is told, and is looked for again', async () => {
  cluster.namespaces.delete('web')
  const from = cluster.seen.length
  await tokensOf(gateway, 'kube', 'ada')
  await tokensOf(gateway, 'kube', 'ada')
  assert.equal(since(from).length, 1)
  assert.ok(
    gateway.logs.some(({ level, message }) => level === 'warn' && message.includes('namespaces that are not there')),
  )
  const lines = () =>
    gateway.events.filter((each) => each.event === 'binding.made' && each.bindings.includes('namespace web: edit'))
  const before = lines().length
  await seconds(901)
  assert.equal(lines().length, before, 'what is not made is no line')
  cluster.namespaces.add('web')
  await seconds(901)
  assert.equal(lines().length, before + 1)
  assert.ok(standing().includes(WEB))
})

test('a namespace that is reserved, or is none, has no binding whatever claims say', async () => {
  for (const name of ['kube-system', 'kube-public', 'a/../kube-system']) cluster.namespaces.add(name)
  const evil = [
    'kube-system',
    'kube-public',
    'Web',
    '..',
    'web%2f..',
    'web?dryRun=All',
    'system:masters',
    '-',
    'a'.repeat(64),
  ]
  says('ada', '/teams/web/dev', ...evil.map((name) => `/teams/${name}/dev`))
  await tokensOf(gateway, 'kube', 'ada')
  await gateway.app.idle()
  await seconds(901)
  assert.deepEqual(standing(), [...ALWAYS, WEB])
  assert.deepEqual(
    cluster.seen.filter((line) => /kube-|system|%2f|\.\./i.test(line)),
    [],
  )
})

test('what cannot be written down is not made', async () => {
  gateway.failAudit('binding.made')
  await tokensOf(gateway, 'kube', 'ada')
  assert.ok(!standing().includes(WEB))
  gateway.failAudit('no')
  await seconds(20)
  assert.ok(standing().includes(WEB))
})

test('a look at everything that finds all in place writes nothing', async () => {
  await tokensOf(gateway, 'kube', 'bob')
  await seconds(901)
  const from = cluster.seen.length
  await seconds(901)
  assert.deepEqual(since(from), [])
  assert.ok(cluster.seen.length > from)
})

test('a hand that takes a binding away, or another role into it, is undone by the next look', async () => {
  await tokensOf(gateway, 'kube', 'ada')
  const lobby = cluster.bindings.get('namespaces/lobby/rolebindings/lotse:kube:view') ?? assert.fail()
  cluster.put({ ...lobby, roleRef: { ...lobby.roleRef, name: 'cluster-admin' } })
  cluster.take('namespaces/web/rolebindings/lotse:kube:edit')
  await seconds(901)
  assert.ok(standing().includes(WEB))
  assert.equal(cluster.bindings.get('namespaces/lobby/rolebindings/lotse:kube:view')?.roleRef.name, 'view')
})

test('more than may go at once stay until an operator says so', async () => {
  const teams = Array.from({ length: 21 }, (_, n) => `t${n}`)
  for (const team of teams) cluster.namespaces.add(team)
  says('ada', ...teams.map((team) => `/teams/${team}/dev`))
  await tokensOf(gateway, 'kube', 'ada')
  await gateway.app.idle()
  assert.equal(standing().length, 24)
  await gateway.ends.end({ kind: 'connector', id: 'corp' }, 'operator', { reference: 'test' })
  await seconds(901)
  clock.advance(7 * DAY)
  await seconds(1)
  assert.equal(standing().length, 24)
  assert.deepEqual(
    gateway.events.findLast(({ event }) => event === 'binding.held'),
    {
      event: 'binding.held',
      target: 'kube',
      count: 21,
    },
  )
  const look = await at.lotse('reconcile kube --dry-run')
  assert.equal(look.code, 1)
  assert.match(look.out.join('\n'), /kube +remove \(held\) +namespace t0: edit/)
  assert.equal((await at.lotse('reconcile kube')).code, 1)
  assert.equal(standing().length, 24)
  const done = await at.lotse('reconcile kube --yes')
  assert.equal(done.code, 0, done.err.join('\n'))
  assert.deepEqual(standing(), ALWAYS)
})

test('reconcile shows what it would do, changes nothing by a dry run, and does it', async () => {
  await tokensOf(gateway, 'kube', 'bob')
  for (const path of [...cluster.bindings.keys()]) cluster.take(path)
  cluster.namespaces.delete('db')
  const look = await at.lotse('reconcile kube --dry-run')
  assert.equal(look.code, 0, look.err.join('\n'))
  assert.match(look.out.join('\n'), /kube +make +namespace web: edit/)
  assert.match(look.out.join('\n'), /kube +make \(no namespace\) +namespace db: edit/)
  assert.match(look.err.join('\n'), /0 bindings kept, 4 would change/)
  assert.deepEqual(standing(), [])
  const [report] = JSON.parse((await at.lotse('reconcile kube --dry-run --json')).out.join('\n'))
  assert.equal(report.steps.length, 5)
  const done = await at.lotse('reconcile kube')
  assert.equal(done.code, 0, done.err.join('\n'))
  assert.deepEqual(standing(), [...ALWAYS, WEB])
  assert.ok((await at.audit()).some((line) => line['event'] === 'binding.made'))
})

test('reconcile says what stands in the way, and ends by 3', async () => {
  const lobby = cluster.bindings.get('namespaces/lobby/rolebindings/lotse:kube:view') ?? assert.fail()
  const { annotations: _, ...metadata } = lobby.metadata
  cluster.put({ ...lobby, metadata, subjects: [{ name: 'mallory' }] })
  const { code, out, err } = await at.lotse('reconcile kube')
  assert.equal(code, 3)
  assert.match(out.join('\n'), /foreign +namespace lobby: view/)
  assert.match(err.join('\n'), /stands another one, which is left alone/)
  cluster.before = () => 503
  assert.equal((await at.lotse('reconcile kube')).code, 3)
})
