import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { clusterAccess } from '../../../src/live-targets.ts'
import { openBindings } from '../../../src/targets/kubernetes/live/live.ts'
import type { KubernetesConfig } from '../../../src/targets/kubernetes/target.ts'
import { selfSigned } from '../../support/certificate.ts'
import { kubeconfigOf } from '../../support/cluster-stand-in.ts'
import { freePort } from '../../support/gateway.ts'
import { people, standardEnv } from '../../support/standard.ts'
import { type Cluster, startCluster, startEtcd } from './cluster.ts'
import { atEach, programs, type World } from './world.ts'

/** The gateway and its commands read this; what a cluster knows the gateway by is known only once it runs. */
const account = (kubeconfig: string) => Object.assign(standardEnv, { STRUCTURED_KUBECONFIG: kubeconfig })
account(kubeconfigOf('https://127.0.0.1:1', { token: 'none-yet' }))

const APPLY = '{ kubeconfig: { env: STRUCTURED_KUBECONFIG }, every: 1s, keep: 2s }'
const kept = (usual: string) => usual.replace(/(id: structured, type: kubernetes)/, `$1, apply: ${APPLY}`)
const WEB = 'lotse:structured:edit'

atEach(
  ['structured'],
  (world) => {
    const at = (): Cluster => world().cluster('structured')
    const lotse = (line: string) =>
      world().operator.lotse(line, `--config ${join(world().gateway.folder, 'gateway.yaml')}`)
    const may = async (person: string, ...question: string[]) =>
      (await at().kubectl(await world().accessToken('structured', person), 'auth', 'can-i', ...question)).trim()
    const bindings = async (...more: string[]) =>
      (
        await at().admin(
          'get',
          'rolebindings',
          '-A',
          '-o',
          'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name} {end}',
          ...more,
        )
      )
        .split(' ')
        .filter((name) => name.includes('lotse:'))

    before(async () => {
      await at().admin('create', 'namespace', 'web')
      await filled(at(), 'edit', 'pods,pods/exec,secrets,deployments.apps')
      await filled(at(), 'view', 'pods')
      await at().admin('create', 'namespace', 'lotse')
      await at().admin('apply', '-f', join(world().printed('structured'), 'gateway', 'account.yaml'))
      const token = (await at().admin('create', 'token', 'lotse', '-n', 'lotse')).trim()
      const ca = { 'certificate-authority-data': Buffer.from(at().ca).toString('base64') }
      account(kubeconfigOf(at().url, { token }, ca))
      await world().gateway.reload(await configOf(world()))
    })

    test('the printed account is taken by a dry run, and has just the rights that check --live asks for', async () => {
      await at().admin(
        'apply',
        '--dry-run=server',
        '-f',
        join(world().printed('structured'), 'gateway', 'account.yaml'),
      )
      const { code, out } = await lotse('check --live structured')
      assert.equal(code, 0, out.join('\n'))
      await at().admin('delete', 'clusterrolebinding', 'lotse-gateway:structured')
      const without = await lotse('check --live structured')
      assert.equal(without.code, 1)
      assert.match(without.out.join('\n'), /it may not: bind clusterroles admin/)
      await at().admin('apply', '-f', join(world().printed('structured'), 'gateway', 'account.yaml'))
    })

    test('the first kubectl of the first person with a grant finds its binding', async () => {
      assert.deepEqual(await bindings(), [])
      assert.equal(await may('ada', 'create', 'deployments.apps', '-n', 'web'), 'yes')
      assert.equal(await may('ada', 'list', 'pods', '-A'), 'no')
      assert.deepEqual(await bindings(), [`web/${WEB}`])
      const shown = JSON.parse(await at().admin('get', 'rolebinding', WEB, '-n', 'web', '-o', 'json'))
      assert.equal(shown.metadata.annotations['lotse/grant'], 'namespace web: edit')
      assert.deepEqual(
        shown.subjects.map(({ name }: { name: string }) => name),
        ["it's:ns:web:edit"],
      )
    })

    test('whoever has the gateway’s account gives nobody a role that rules cannot give, and touches no other binding', async () => {
      const token = (await at().admin('create', 'token', 'lotse', '-n', 'lotse')).trim()
      const can = async (...words: string[]) => (await at().kubectl(token, 'auth', 'can-i', ...words)).trim()
      assert.equal(await can('get', 'secrets', '-n', 'web'), 'no')
      assert.equal(await can('delete', 'rolebindings', '-n', 'web'), 'no')
      assert.equal(await can('delete', `rolebindings/${WEB}`, '-n', 'web'), 'yes')
      const made = (role: string) =>
        at().kubectl(token, 'create', 'rolebinding', `try-${role}`, `--clusterrole=${role}`, '--group=x', '-n', 'web')
      assert.equal(await made('cluster-admin'), '')
      assert.match(await made('view'), /created/)
      await at().admin('delete', 'rolebinding', 'try-view', '-n', 'web')
    })

    test('explain --live says what kubectl auth can-i says to a token of the person', async () => {
      const words = Object.entries(people.find(({ sub }) => sub === 'ada')?.claims ?? {}).flatMap(([name, value]) =>
        [value].flat().map((each) => `--claim ${name}=${String(each).replaceAll(' ', '_')}`),
      )
      const { code, out, err } = await lotse(
        `explain --live --json --connector corp --subject ada --target structured ${words.join(' ')}`,
      )
      assert.equal(code, 0, err.join('\n'))
      const { may: deeds } = JSON.parse(out.join('\n')).targets[0].cluster as { may: readonly Asked[] }
      assert.equal(deeds.length, 10)
      for (const deed of deeds) {
        const resource = deed.group && deed.group !== '*' ? `${deed.resource}.${deed.group}` : deed.resource
        const sub = deed.subresource ? [`--subresource=${deed.subresource}`] : []
        const where = deed.namespace ? ['-n', deed.namespace] : ['-A']
        assert.equal(await may('ada', deed.verb, resource, ...sub, ...where), deed.allowed ? 'yes' : 'no', deed.says)
      }
      assert.ok(deeds.some(({ allowed }) => allowed) && deeds.some(({ allowed }) => !allowed))
    })

    test('a namespace that is not there hinders nobody, and gets its bindings when it is', async () => {
      assert.equal((await at().whoami(await world().accessToken('structured', 'bob'))).status, 201)
      const look = await lotse('reconcile structured --dry-run')
      assert.equal(look.code, 0, look.err.join('\n'))
      assert.match(look.out.join('\n'), /make \(no namespace\) +namespace db: admin/)
      await at().admin('create', 'namespace', 'db')
      assert.match((await lotse('reconcile structured --dry-run')).out.join('\n'), /make +namespace db: admin/)
      assert.ok(!(await bindings()).some((name) => name.startsWith('db/')))
      const { code, err } = await lotse('reconcile structured')
      assert.equal(code, 0, err.join('\n'))
      assert.deepEqual(await bindings('--sort-by=.metadata.name'), [
        'db/lotse:structured:admin',
        `web/${WEB}`,
        'db/lotse:structured:view',
      ])
      assert.equal(await may('bob', 'list', 'pods', '-A'), 'yes')
    })

    test('what a hand took away or changed is put right, also another role; what a hand made is left alone', async () => {
      await at().admin('delete', 'rolebinding', WEB, '-n', 'web')
      await at().admin('create', 'rolebinding', WEB, '-n', 'web', '--clusterrole=view', '--group=somebody')
      const foreign = await lotse('reconcile structured')
      assert.equal(foreign.code, 3)
      assert.match(foreign.out.join('\n'), /foreign +namespace web: edit/)
      await at().admin('delete', 'rolebinding', WEB, '-n', 'web')
      assert.equal((await lotse('reconcile structured')).code, 0)
      await at().admin(
        'patch',
        'rolebinding',
        WEB,
        '-n',
        'web',
        '--type=merge',
        '-p',
        '{"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"somebody"}]}',
      )
      const mended = await lotse('reconcile structured')
      assert.match(mended.out.join('\n'), /mend +namespace web: edit/)
      assert.equal(await may('ada', 'create', 'deployments.apps', '-n', 'web'), 'yes')
      // What a binding refers to cannot be changed, so a hand has to make it anew under the gateway's marks.
      const ours = JSON.parse(await at().admin('get', 'rolebinding', WEB, '-n', 'web', '-o', 'json'))
      const { uid: _uid, resourceVersion: _version, ...metadata } = ours.metadata
      const file = join(world().gateway.folder, 'another-role.json')
      await writeFile(file, JSON.stringify({ ...ours, metadata, roleRef: { ...ours.roleRef, name: 'cluster-admin' } }))
      await at().admin('replace', '--force', '-f', file)
      assert.match((await lotse('reconcile structured')).out.join('\n'), /mend +namespace web: edit/)
      const { roleRef } = JSON.parse(await at().admin('get', 'rolebinding', WEB, '-n', 'web', '-o', 'json'))
      assert.equal(roleRef.name, 'edit')
      assert.equal((await lotse('reconcile structured --dry-run')).out.join(''), '')
    })

    test('what nobody needs any more is noted, and removed when its time is over; what rules give whoever comes stays', async () => {
      await world().gateway.ends.end({ kind: 'connector', id: 'corp' }, 'operator', { reference: 'test' })
      assert.match((await lotse('reconcile structured')).out.join('\n'), /note +namespace web: edit/)
      assert.ok((await bindings()).includes(`web/${WEB}`))
      const from = Date.now()
      while ((await bindings()).length > 0 && Date.now() < from + 20_000) await lotse('reconcile structured')
      assert.deepEqual(await bindings(), [])
      assert.match(await at().admin('get', 'clusterrolebindings'), /lotse:structured:view/)
    })

    test('somebody who comes back has her binding again', async () => {
      await world().gateway.app.reconcile()
      await world().gateway.app.idle()
      assert.equal(await may('ada', 'create', 'deployments.apps', '-n', 'web'), 'yes')
    })
  },
  { config: kept },
)

for (const version of programs)
  test(`Kubernetes ${version.version}: a client certificate is an account as well as a token is`, async () => {
    await using opened = new AsyncDisposableStack()
    const work = await mkdtemp(join(tmpdir(), 'lotse-certificate-'))
    opened.defer(() => rm(work, { recursive: true, force: true }))
    // It is its own authority, and its name is the user's.
    const { key, cert } = selfSigned('lotse-gateway')
    await writeFile(join(work, 'clients.crt'), cert)
    const etcd = await startEtcd(version, work)
    opened.defer(() => etcd.stop())
    const cluster = await startCluster({
      name: 'certificates',
      programs: version,
      work,
      etcd: etcd.url,
      port: await freePort(),
      flags: [`--client-ca-file=${join(work, 'clients.crt')}`],
    })
    opened.defer(() => cluster.stop())
    const base64 = (text: string) => Buffer.from(text).toString('base64')
    const user = { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) }
    const kubeconfig = kubeconfigOf(cluster.url, user, { 'certificate-authority-data': base64(cluster.ca) })
    const config = { id: 'prod', groupsPrefix: '', apply: { kubeconfig, every: 900, keep: 9000, atOnce: {} } }
    const bindings = openBindings(
      config as unknown as KubernetesConfig,
      clusterAccess(config as unknown as KubernetesConfig),
    )
    const wanted = [{ target: 'prod', namespace: 'web', roles: ['edit'] }]
    await assert.rejects(bindings.observe(wanted, 'all'), { kind: 'refused', message: /User \\?"lotse-gateway/ })
    await cluster.admin(
      'create',
      'clusterrolebinding',
      'gateway',
      '--clusterrole=cluster-admin',
      '--user=lotse-gateway',
    )
    assert.equal(bindings.plan(wanted, await bindings.observe(wanted, 'all'), 0).steps.length, 1)
  })

interface Asked {
  readonly says: string
  readonly namespace?: string
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly subresource?: string
  readonly allowed: boolean
}

/** What a controller-manager does: without one the cluster's own roles are empty. */
async function filled(cluster: Cluster, role: string, resources: string): Promise<void> {
  const rules = resources.split(',').map((each) => {
    const [resource = '', group = ''] = each.split('.')
    return { apiGroups: [group], resources: [resource], verbs: ['get', 'list', 'create'] }
  })
  await cluster.admin('patch', 'clusterrole', role, '--type=merge', '-p', JSON.stringify({ rules }))
}

/** What the operator of this world wrote, without the lines that are put in front of it. */
async function configOf({ gateway }: World): Promise<string> {
  const text = await readFile(join(gateway.folder, 'gateway.yaml'), 'utf8')
  return text.slice(text.indexOf('\nbrand:') + 1)
}
