import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { Grant } from '../../src/core/decision.ts'
import { clusterAccess } from '../../src/live-targets.ts'
import type { Bindings } from '../../src/targets/bindings.ts'
import { openBindings } from '../../src/targets/kubernetes/live/live.ts'
import type { KubernetesConfig } from '../../src/targets/kubernetes/target.ts'
import { type ClusterStandIn, type Kept, startClusterStandIn } from '../support/cluster-stand-in.ts'

const NOW = 1_800_000_000
const DAY = 86_400
const edit = (namespace: string): Grant => ({ target: 'prod', namespace, roles: ['edit'] })
const view: Grant = { target: 'prod', cluster: true, roles: ['view'] }
const WEB = 'namespaces/web/rolebindings/lotse:prod:edit'

let cluster: ClusterStandIn
let bindings: Bindings
before(async () => {
  cluster = await startClusterStandIn()
})
beforeEach(() => {
  for (const path of [...cluster.bindings.keys()]) cluster.take(path)
  cluster.namespaces.clear()
  for (const name of ['web', 'db']) cluster.namespaces.add(name)
  cluster.before = () => undefined
  bindings = opened(cluster.kubeconfig)
})
after(() => cluster.close())

function opened(kubeconfig: string): Bindings {
  const config = {
    id: 'prod',
    groupsPrefix: 'oidc:',
    apply: { kubeconfig, every: 900, keep: 7 * DAY, atOnce: { bindings: 20, percent: 10 } },
  } as KubernetesConfig
  return openBindings(config, clusterAccess(config))
}

/** Makes the cluster what it is to be. @returns the steps that it took */
async function made(wanted: readonly Grant[], now = NOW): Promise<readonly string[]> {
  const { steps } = bindings.plan(wanted, await bindings.observe(wanted, 'all'), now)
  for (const step of steps) await bindings.apply(step, 'do')
  return steps.map(({ kind, says }) => `${kind} ${says}`)
}

const hand = (more: Partial<Kept> = {}, metadata: Partial<Kept['metadata']> = {}): Kept => ({
  kind: 'RoleBinding',
  metadata: { name: 'lotse:prod:edit', namespace: 'web', ...metadata },
  subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'oidc:ns:web:edit' } as { name: string }],
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
  ...more,
})

test('a binding is made for each role, names the group that a token names, and a second look changes nothing', async () => {
  assert.deepEqual(await made([edit('web'), view]), ['make namespace web: edit', 'make cluster: view'])
  assert.deepEqual([...cluster.bindings.keys()], [WEB, 'clusterrolebindings/lotse:prod:view'])
  const { subjects, roleRef, metadata } = cluster.bindings.get(WEB) ?? assert.fail()
  assert.deepEqual(
    subjects?.map(({ name }) => name),
    ['oidc:ns:web:edit'],
  )
  assert.equal(roleRef.name, 'edit')
  assert.equal(metadata.labels?.['app.kubernetes.io/managed-by'], 'lotse')
  assert.equal(metadata.annotations?.['lotse/target'], 'prod')
  cluster.seen.length = 0
  assert.deepEqual(await made([edit('web'), view]), [])
  assert.deepEqual(
    cluster.seen.filter((line) => !line.startsWith('GET')),
    [],
  )
})

test('a plain group has no binding: what it may do is for the operators of the cluster to say', async () => {
  assert.deepEqual(await made([{ target: 'prod', group: 'x-web' }]), [])
})

test('what nobody needs is noted, stays for as long as it is to be kept, and goes then', async () => {
  await made([edit('web')])
  assert.deepEqual(await made([]), ['note namespace web: edit'])
  assert.deepEqual(await made([], NOW + 7 * DAY - 1), ['waits namespace web: edit (goes after 2027-01-22T08:00:00Z)'])
  assert.deepEqual(await made([], NOW + 7 * DAY), ['remove namespace web: edit'])
  assert.deepEqual([...cluster.bindings.keys()], [])
})

test('what is needed again meanwhile stays, and its time begins anew', async () => {
  await made([edit('web')])
  await made([])
  assert.deepEqual(await made([edit('web')], NOW + DAY), ['mend namespace web: edit'])
  assert.equal(cluster.bindings.get(WEB)?.metadata.annotations?.['lotse/unneeded-since'], undefined)
  assert.deepEqual(await made([], NOW + 8 * DAY), ['note namespace web: edit'])
})

test('a moment that is yet to come, or none at all, keeps nothing for ever', async () => {
  for (const since of ['2999-01-01T00:00:00Z', 'never']) {
    await made([edit('web')])
    const ours = cluster.bindings.get(WEB) ?? assert.fail()
    const annotations = { ...ours.metadata.annotations, 'lotse/unneeded-since': since }
    cluster.put({ ...ours, metadata: { ...ours.metadata, annotations } })
    assert.deepEqual(await made([]), ['note namespace web: edit'])
    assert.deepEqual(await made([], NOW + 7 * DAY), ['remove namespace web: edit'])
  }
})

test('what somebody needs between a look and a removal is not removed', async () => {
  await made([edit('web')])
  await made([])
  const late = bindings.plan([], await bindings.observe([], 'all'), NOW + 8 * DAY)
  await made([edit('web')], NOW + 8 * DAY)
  for (const step of late.steps) await bindings.apply(step, 'do')
  assert.deepEqual(await made([edit('web')], NOW + 8 * DAY), [])
})

test('what is removed between the look of somebody who needs it and her change is there again at once', async () => {
  await made([edit('web')])
  await made([])
  const mend = bindings.plan([edit('web')], await bindings.observe([edit('web')], 'these'), NOW + 8 * DAY)
  assert.deepEqual(await made([], NOW + 8 * DAY), ['remove namespace web: edit'])
  for (const step of mend.steps) assert.equal(await bindings.apply(step, 'do'), 'done')
  assert.deepEqual(await made([edit('web')], NOW + 8 * DAY), [])
})

test('a hundred bindings of a tenant that carry the gateway’s marks under other names are neither counted nor touched', async () => {
  await made([edit('web')])
  await made([])
  const marks = cluster.bindings.get(WEB)?.metadata ?? assert.fail()
  const annotations = { ...marks.annotations, 'lotse/unneeded-since': '2020-01-01T00:00:00Z' }
  for (let n = 0; n < 100; n++) {
    const { labels = {} } = marks
    cluster.put(hand({}, { name: n % 2 === 0 ? `of-web-${n}` : `lotse:prod:${n}`, labels, annotations }))
  }
  const { steps, kept } = bindings.plan([], await bindings.observe([], 'all'), NOW + 8 * DAY)
  assert.equal(kept, 1)
  assert.deepEqual(
    steps.map(({ kind, says }) => `${kind} ${says}`),
    ['remove namespace web: edit'],
  )
})

test('what a hand wrote between a look and a change is not written over', async () => {
  await made([edit('web')])
  const late = bindings.plan([], await bindings.observe([], 'all'), NOW)
  const ours = cluster.bindings.get(WEB) ?? assert.fail()
  cluster.put({ ...ours, metadata: { ...ours.metadata, labels: { ...ours.metadata.labels, team: 'web' } } })
  const before = cluster.bindings.get(WEB)
  for (const step of late.steps) await bindings.apply(step, 'do')
  assert.equal(cluster.bindings.get(WEB), before)
})

test('a proxy’s own 404 is no binding that is not there', async () => {
  cluster.before = () => 'proxy'
  await assert.rejects(bindings.observe([edit('web')], 'these'), { kind: 'refused' })
})

test('two who make the same one at once both succeed', async () => {
  const plans = [1, 2].map(async () =>
    bindings.plan([edit('web')], await bindings.observe([edit('web')], 'these'), NOW),
  )
  for (const { steps } of await Promise.all(plans)) for (const step of steps) await bindings.apply(step, 'do')
  assert.equal(cluster.bindings.size, 1)
})

test('a binding of that name without the gateway’s marks is left alone, and is enough where it gives the same', async () => {
  cluster.put(hand())
  assert.deepEqual(await made([edit('web')]), [])
  cluster.put(hand({ subjects: [{ name: 'somebody' }] }))
  const before = cluster.bindings.get(WEB)
  assert.deepEqual(await made([edit('web')]), ['foreign namespace web: edit'])
  assert.deepEqual(await made([], NOW + 99 * DAY), [])
  assert.equal(cluster.bindings.get(WEB), before)
})

test('what lotse print wrote and an operator applied is a hand’s: it has the labels, and is never removed', async () => {
  const labels = { 'app.kubernetes.io/managed-by': 'lotse', 'app.kubernetes.io/part-of': 'prod' }
  cluster.put(hand({}, { labels }))
  assert.deepEqual(await made([edit('web')]), [])
  assert.deepEqual(await made([]), [])
  assert.deepEqual(await made([], NOW + 99 * DAY), [])
})

test('bindings of another target at the same cluster are never touched', async () => {
  await made([edit('web')])
  const ours = cluster.bindings.get(WEB) ?? assert.fail()
  const annotations = { ...ours.metadata.annotations, 'lotse/target': 'other' }
  cluster.put({ ...ours, metadata: { ...ours.metadata, annotations } })
  assert.deepEqual(await made([]), [])
})

test('whom a hand added to a binding of the gateway’s is taken out again, and labels of others stay', async () => {
  await made([edit('web')])
  const ours = cluster.bindings.get(WEB) ?? assert.fail()
  const labels = { ...ours.metadata.labels, team: 'web' }
  cluster.put({
    ...ours,
    subjects: [...(ours.subjects ?? []), { name: 'mallory' }],
    metadata: { ...ours.metadata, labels },
  })
  assert.deepEqual(await made([edit('web')]), ['mend namespace web: edit'])
  const after = cluster.bindings.get(WEB)
  assert.deepEqual(
    after?.subjects?.map(({ name }) => name),
    ['oidc:ns:web:edit'],
  )
  assert.equal(after?.metadata.labels?.['team'], 'web')
})

test('another role in a binding of the gateway’s is put right by a new one, since it cannot be changed', async () => {
  await made([edit('web')])
  const ours = cluster.bindings.get(WEB) ?? assert.fail()
  cluster.put({ ...ours, roleRef: { ...ours.roleRef, name: 'admin' } })
  assert.deepEqual(await made([edit('web')]), ['mend namespace web: edit'])
  assert.equal(cluster.bindings.get(WEB)?.roleRef.name, 'edit')
  assert.notEqual(cluster.bindings.get(WEB)?.metadata.uid, ours.metadata.uid)
})

test('a namespace that is not there is said to be so, also by a try, and is not made', async () => {
  const { steps } = bindings.plan([edit('new')], await bindings.observe([edit('new')], 'these'), NOW)
  for (const how of ['do', 'try'] as const)
    assert.equal(await bindings.apply(steps[0] ?? assert.fail(), how), 'no-place')
  cluster.namespaces.add('new')
  await bindings.apply(steps[0] ?? assert.fail(), 'do')
  assert.equal(cluster.bindings.size, 1)
})

test('a try changes nothing', async () => {
  await made([edit('db')])
  const { steps } = bindings.plan([edit('web')], await bindings.observe([edit('web')], 'all'), NOW)
  assert.deepEqual(
    steps.map(({ kind }) => kind),
    ['make', 'note'],
  )
  const before = [...cluster.bindings.values()]
  for (const step of steps) await bindings.apply(step, 'try')
  assert.deepEqual([...cluster.bindings.values()], before)
})

test('lists of several pages are read whole', async () => {
  const wanted = Array.from({ length: 1100 }, (_, n) => edit(`n${n}`))
  for (const grant of wanted) cluster.namespaces.add('namespace' in grant ? grant.namespace : '')
  await made(wanted)
  assert.equal(bindings.plan(wanted, await bindings.observe(wanted, 'all'), NOW).kept, 1100)
  assert.equal((await made(wanted.slice(0, 1050))).length, 50)
})

test('a list that never ends, since what stands in between ignores where it goes on, is no list', async () => {
  const config = { id: 'prod', groupsPrefix: 'oidc:', apply: { every: 900 } } as unknown as KubernetesConfig
  for (const next of [() => 'again', (asked: number) => `${asked}`]) {
    let asked = 0
    const answer = async () => Response.json({ items: [], metadata: { continue: next(++asked) } })
    const access = { server: 'https://cluster.example', token: async () => 'x', fetch: answer }
    const endless = openBindings(config, access)
    await assert.rejects(endless.observe([edit('web'), view], 'all'), { kind: 'refused', message: /no end/ })
    assert.ok(asked <= 5000)
  }
})

test('without a role over the cluster among what is wanted, the account need not see bindings over the cluster', async () => {
  cluster.before = (request) => (request === 'GET clusterrolebindings' ? 403 : undefined)
  assert.deepEqual(await made([edit('web')]), ['make namespace web: edit'])
  await assert.rejects(made([view]), { kind: 'refused' })
})

test('silence and 503 are an outage, 403 and a strange token are for somebody to look at; no answer is taken for an empty one', async () => {
  for (const [answer, kind] of [
    [503, 'down'],
    [429, 'down'],
    ['hang-up', 'down'],
    [403, 'refused'],
  ] as const) {
    cluster.before = () => answer
    await assert.rejects(bindings.observe([edit('web')], 'all'), { kind })
  }
  cluster.before = () => undefined
  bindings = opened(cluster.kubeconfig.replace(cluster.token, 'another'))
  await assert.rejects(bindings.observe([edit('web')], 'these'), (error: Error) => {
    assert.match(error.message, /401/)
    return !error.message.includes('another')
  })
})
