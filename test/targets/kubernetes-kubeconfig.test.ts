import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { clusterAccess } from '../../src/live-targets.ts'
import { openClusterApi } from '../../src/targets/kubernetes/access.ts'
import { readKubeconfig } from '../../src/targets/kubernetes/kubeconfig.ts'
import type { KubernetesConfig } from '../../src/targets/kubernetes/target.ts'
import { kubeconfigOf, startClusterStandIn } from '../support/cluster-stand-in.ts'

const SERVER = 'https://10.0.0.1:6443'
const base64 = (text: string) => Buffer.from(text).toString('base64')

test('a token, or a client certificate, and the authority of the cluster are read from the current context', () => {
  const ca = { 'certificate-authority-data': base64('CA') }
  assert.deepEqual(readKubeconfig(kubeconfigOf(`${SERVER}/`, { token: 't' }, ca)), {
    server: SERVER,
    ca: 'CA',
    token: 't',
  })
  const user = { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') }
  assert.deepEqual(readKubeconfig(kubeconfigOf(SERVER, user)), {
    server: SERVER,
    identity: { cert: 'CERT', key: 'KEY' },
  })
})

test('what would run a program, read another file, act as somebody or weaken TLS is refused, and says what to do', () => {
  for (const [user, cluster, says] of [
    [{ exec: { command: 'aws' } }, {}, /runs no programs/],
    [{ 'auth-provider': { name: 'gcp' } }, {}, /auth-provider/],
    [{ username: 'a', password: 'b' }, {}, /passwords/],
    [{ token: 't', as: 'root' }, {}, /acts as itself/],
    [{ tokenFile: '/run/token' }, {}, /--flatten/],
    [{ 'client-certificate': '/a', 'client-key': '/b' }, {}, /--flatten/],
    [{ token: 't' }, { 'certificate-authority': '/ca' }, /--flatten/],
    [{ token: 't' }, { 'insecure-skip-tls-verify': true }, /anybody/],
    [{ token: 't' }, { 'proxy-url': 'http://p' }, /proxy/],
    [{}, {}, /neither a token/],
    [{ 'client-certificate-data': base64('CERT') }, {}, /without its key/],
  ] as const)
    assert.match(String(readKubeconfig(kubeconfigOf(SERVER, user, cluster))), says)
})

test('what is no kubeconfig is refused without a word of it, since it holds secrets', () => {
  for (const text of [
    'hunter2: [',
    'hunter2',
    '',
    '{}',
    'clusters: hunter2',
    'a: &hunter2 { b: 1 }\nc: *hunter2\n',
    'a: *hunter2',
    kubeconfigOf('http://cluster.example', { token: 'hunter2' }),
    kubeconfigOf(SERVER, { token: 'hunter2\n' }),
  ]) {
    const read = readKubeconfig(text)
    assert.equal(typeof read, 'string')
    assert.doesNotMatch(String(read), /hunter2/)
  }
  assert.match(
    String(readKubeconfig(kubeconfigOf(SERVER, { token: 't' }).replace('"here"', '"there"'))),
    /no context "there"/,
  )
})

test('insecure-skip-tls-verify: false says nothing, and is no reason to refuse', () => {
  assert.equal(
    typeof readKubeconfig(kubeconfigOf(SERVER, { token: 't' }, { 'insecure-skip-tls-verify': false })),
    'object',
  )
})

test('in a pod its service account is used, with the token as it stands there now; outside of one that is said', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-pod-'))
  const cluster = await startClusterStandIn()
  try {
    const config = { id: 'prod', apply: { kubeconfig: 'in-cluster' } } as KubernetesConfig
    const api = openClusterApi('prod', clusterAccess(config, { folder, server: cluster.url }))
    const ask = () => api.send('GET', '/apis/rbac.authorization.k8s.io/v1/rolebindings')
    await assert.rejects(ask(), { kind: 'refused', message: /in no pod/ })
    await writeFile(join(folder, 'ca.crt'), '')
    await writeFile(join(folder, 'token'), 'of yesterday')
    await assert.rejects(ask(), { kind: 'refused', message: /401/ })
    await writeFile(join(folder, 'token'), `${cluster.token}\n`)
    assert.equal((await ask()).status, 200)
  } finally {
    await cluster.close()
    await rm(folder, { recursive: true })
  }
})
