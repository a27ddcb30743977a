import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { type ClientConfig, clientSchema } from '../../src/config/clients.ts'
import { targetFields } from '../../src/config/schema.ts'
import type { Grant } from '../../src/core/decision.ts'
import { kubernetesOptions } from '../../src/targets/kubernetes/options.ts'
import { flavours, printFiles, printProblems } from '../../src/targets/kubernetes/print/print.ts'
import { type KubernetesConfig, openKubernetes } from '../../src/targets/kubernetes/target.ts'
import type { PrintWorld } from '../../src/targets/target.ts'
import { decision } from './world.ts'

type Written = Readonly<Record<string, unknown>>

const cluster = (more: Written = {}): KubernetesConfig =>
  z
    .strictObject({ ...targetFields, ...kubernetesOptions })
    .parse({ id: 'prod', server: 'https://10.0.0.1:6443', audience: 'k8s-prod', ...more })

const client = (written: Written): ClientConfig => clientSchema.parse(written)
const kubectl = client({
  id: 'kubectl',
  native: true,
  target: 'prod',
  redirectUris: ['http://localhost:8000'],
  grants: ['code', 'device', 'refresh'],
  alwaysRefresh: true,
})
const many = client({
  id: 'many',
  native: true,
  targets: ['prod'],
  redirectUris: ['http://localhost'],
  grants: ['code', 'refresh'],
})
/** The client whose ID tokens are for the cluster. */
const own = client({ ...kubectl, id: 'k8s-prod', idTokenAlg: 'RS256' })

const grants: readonly Grant[] = [
  { target: 'prod', namespace: 'web', roles: ['edit', 'deployer'] },
  { target: 'prod', cluster: true, roles: ['view'] },
  { target: 'prod', group: 'corp:ops' },
]

const CA = '-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n'
const world = (more: Partial<PrintWorld> = {}): PrintWorld => ({
  issuer: new URL('https://login.example'),
  clients: [many, kubectl],
  possible: { grants, open: [], openRoles: [] },
  ...more,
})

const texts = (config = cluster(), more: Partial<PrintWorld> = {}) =>
  new Map(printFiles(config, world(more)).map(({ path, content }) => [path, content]))

const textOf = (path: string, ...given: Parameters<typeof texts>) =>
  texts(...given).get(path) ?? assert.fail(`no file ${path}`)

/** What any YAML file says, as far as tests look. */
const read = (text: string) => parse(text) as Record<string, never>

test('printing twice gives the same bytes, and every YAML file is read by 1.1 and 1.2 alike', () => {
  for (const flavour of ['any', 'access-token'])
    for (const config of [cluster(), cluster({ usernamePrefix: '', groupsPrefix: "o'x\\" })]) {
      assert.deepEqual(texts(config, { flavour }), texts(config, { flavour }))
      for (const [path, text] of texts(config, { flavour, authorities: { issuer: CA, consumer: CA } })) {
        if (!path.endsWith('.yaml')) continue
        const values = (['1.1', '1.2'] as const).map((version) => parseAllDocuments(text, { version }))
        assert.deepEqual(
          values.flat().flatMap((document) => document.errors),
          [],
        )
        const [old, now] = values.map((documents) => documents.map((document) => document.toJS()))
        assert.deepEqual(old, now, path)
        assert.match(text, /Made by `lotse print prod/)
      }
    }
})

test('both versions of the structured configuration say the same, and pin client, kind and life', () => {
  const [v1, beta] = ['v1', 'v1beta1'].map((version) => read(textOf(`authentication/${version}.yaml`)))
  assert.equal(v1?.['apiVersion'], 'apiserver.config.k8s.io/v1')
  assert.equal(beta?.['apiVersion'], 'apiserver.config.k8s.io/v1beta1')
  assert.deepEqual(v1?.['jwt'], beta?.['jwt'])
  const rules = expressions(textOf('authentication/v1.yaml'))
  const scoped =
    "(has(claims.azp) && claims.azp in ['kubectl', 'many'] && type(claims.aud) == list && dyn(claims.aud).all(a, a == 'k8s-prod' || a == claims.azp))"
  assert.ok(rules.includes(`has(claims.client_id) || ${scoped}`), 'ID tokens that a scope made for it')
  assert.ok(rules.includes("!has(claims.client_id) || claims.client_id in ['kubectl', 'many']"))
  assert.ok(rules.includes('has(claims.iat) && claims.exp - claims.iat <= 600'))
})

interface Jwt {
  readonly issuer: {
    readonly url: string
    readonly audiences: readonly string[]
    readonly certificateAuthority?: string
  }
  readonly claimValidationRules: readonly { readonly expression: string }[]
  readonly userValidationRules: readonly { readonly expression: string }[]
  readonly claimMappings: {
    readonly username: { expression: string }
    readonly extra: readonly { readonly key: string }[]
  }
}

const jwtOf = (text: string) => (read(text)['jwt'] as unknown as readonly Jwt[])[0] ?? assert.fail('no jwt')
const expressions = (text: string) => jwtOf(text).claimValidationRules.map(({ expression }) => expression)

test('ID tokens are taken of the client that is called as the audience, and of those that ask for it by scope', () => {
  const rulesOf = (clients: readonly ClientConfig[], flavour: string) =>
    expressions(textOf('authentication/v1.yaml', cluster(), { clients, flavour }))
  assert.ok(rulesOf([own], 'any').includes("has(claims.client_id) || claims.aud == 'k8s-prod'"))
  const any = rulesOf([own, kubectl], 'any')
  assert.ok(
    any.some((rule) => rule.startsWith("has(claims.client_id) || claims.aud == 'k8s-prod' || (has(claims.azp)")),
  )
  assert.ok(
    any.some((rule) => rule.includes("claims.azp in ['kubectl']")),
    'the audience itself asks for nothing',
  )
  assert.ok(!any.includes('has(claims.client_id)') && !any.includes('!has(claims.client_id)'))
  const only = rulesOf([own, kubectl], 'id-token')
  assert.ok(only.includes('!has(claims.client_id)'))
  assert.ok(!only.some((rule) => rule.includes('claims.client_id in')))
  const none = rulesOf([own, kubectl], 'access-token')
  assert.ok(none.includes('has(claims.client_id)'))
  assert.ok(!none.some((rule) => rule.includes('claims.aud')))
})

test('whichever tokens a cluster takes: no logout token, none of another client, no reserved name, and nobody without a name', () => {
  for (const flavour of flavours)
    for (const version of ['v1', 'v1beta1']) {
      const text = textOf(`authentication/${version}.yaml`, cluster(), { clients: [own, kubectl], flavour })
      const rules = expressions(text)
      for (const rule of [
        '!has(claims.events)',
        '!has(claims.azp) || !has(claims.client_id) || claims.azp == claims.client_id',
        "has(claims.preferred_username) && claims.preferred_username != ''",
      ])
        assert.ok(rules.includes(rule), `${flavour} ${version}: ${rule}`)
      assert.deepEqual(
        jwtOf(text).userValidationRules.map(({ expression }) => expression),
        [
          "!user.username.startsWith('system:') && !user.username.startsWith('kubeadm:')",
          "user.groups.all(g, !g.startsWith('system:') && !g.startsWith('kubeadm:'))",
        ],
      )
    }
})

test('names that are syntax in CEL stay literals', () => {
  const text = textOf('authentication/v1.yaml', cluster({ usernamePrefix: "a'+\\" }), {
    clients: [{ ...kubectl, id: "x'] || true" }],
  })
  assert.equal(jwtOf(text).claimMappings.username.expression, String.raw`'a\'+\\' + claims.preferred_username`)
  assert.ok(expressions(text).includes(String.raw`!has(claims.client_id) || claims.client_id in ['x\'] || true']`))
})

test('keys of extra are below no domain of Kubernetes', () => {
  const keys = (host: string) =>
    jwtOf(textOf('authentication/v1.yaml', cluster(), { issuer: new URL(`https://${host}`) })).claimMappings.extra.map(
      ({ key }) => key,
    )
  assert.deepEqual(keys('login.example:8443'), ['login.example/session', 'login.example/client'])
  for (const host of ['k8s.io', 'login.kubernetes.io', '[::1]']) assert.equal(keys(host)[0], 'lotse.invalid/session')
})

const flagsOf = (...given: Parameters<typeof texts>) =>
  textOf('authentication/flags.txt', ...given)
    .split('\n')
    .filter((line) => line.startsWith('--'))

test('stock flags say the prefixes as the cluster has them, and the algorithms only where they are not the stock one', () => {
  assert.deepEqual(flagsOf(), [
    '--oidc-issuer-url=https://login.example',
    '--oidc-client-id=k8s-prod',
    '--oidc-username-claim=preferred_username',
    '--oidc-username-prefix=oidc:',
    '--oidc-groups-claim=groups',
    '--oidc-groups-prefix=oidc:',
  ])
  const bare = flagsOf(cluster({ usernamePrefix: '', groupsPrefix: '', alg: 'ES256' }), { authorities: { issuer: CA } })
  assert.ok(bare.includes('--oidc-username-prefix=-') && !bare.some((flag) => flag.includes('groups-prefix')))
  assert.ok(
    bare.includes('--oidc-signing-algs=ES256') && bare.includes('--oidc-ca-file=/etc/kubernetes/lotse/issuer-ca.pem'),
  )
  // A client signs its ID tokens as it says itself.
  const mixed = flagsOf(cluster(), { clients: [{ ...own, idTokenAlg: 'ES256' }] })
  assert.ok(mixed.includes('--oidc-signing-algs=RS256,ES256'))
})

test('kubeadm and Cluster API get the same flags, and what they name is a file there', () => {
  const given = [cluster(), { authorities: { issuer: CA } }] as const
  const stock = flagsOf(...given).map((flag) => /^--([^=]+)=(.*)$/.exec(flag)?.slice(1))
  interface ApiServer {
    readonly extraArgs: readonly { readonly name: string; readonly value: string }[]
    readonly extraVolumes: readonly { readonly mountPath: string }[]
  }
  const argsOf = ({ extraArgs }: ApiServer) => extraArgs.map(({ name, value }) => [name, value])
  const kubeadm = read(textOf('kubeadm/flags.yaml', ...given))['apiServer'] as unknown as ApiServer
  assert.deepEqual(argsOf(kubeadm), stock)
  assert.equal(kubeadm.extraVolumes[0]?.mountPath, '/etc/kubernetes/lotse')
  const spec = (name: string) =>
    (
      read(textOf(`cluster-api/${name}.yaml`, ...given))['spec'] as unknown as {
        readonly kubeadmConfigSpec: {
          readonly files: readonly { readonly path: string; readonly content: string }[]
          readonly clusterConfiguration: { readonly apiServer: ApiServer }
        }
      }
    ).kubeadmConfigSpec
  assert.deepEqual(argsOf(spec('flags').clusterConfiguration.apiServer), stock)
  assert.deepEqual(spec('flags').files[0]?.content, CA)
  const [file] = spec('structured').files
  assert.deepEqual(argsOf(spec('structured').clusterConfiguration.apiServer), [['authentication-config', file?.path]])
  assert.equal(file?.content, textOf('authentication/v1.yaml', ...given))
})

test('a cluster stack gets what it can say, and nothing where it would refuse every token', () => {
  const [variable] = parse(textOf('cluster-stack/oidcConfig.yaml')) as readonly {
    readonly name: string
    readonly value: object
  }[]
  assert.deepEqual(variable, {
    name: 'oidcConfig',
    value: {
      clientID: 'k8s-prod',
      issuerURL: 'https://login.example',
      usernameClaim: 'preferred_username',
      groupsClaim: 'groups',
      usernamePrefix: 'oidc:',
      groupsPrefix: 'oidc:',
    },
  })
  assert.ok(!texts(cluster({ alg: 'ES256' })).has('cluster-stack/oidcConfig.yaml'))
  assert.ok(!texts(cluster(), { authorities: { issuer: CA } }).has('cluster-stack/oidcConfig.yaml'))
})

interface Binding {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly subjects: readonly { readonly name: string }[]
  readonly roleRef: { readonly kind: string; readonly name: string }
}

const documents = (path: string) => parseAllDocuments(textOf(path)).map((document) => document.toJS() as Binding)

test('every role that rules can give is bound to the group that a token names for it, and nothing else is bound', () => {
  const rbac = [...texts().keys()].filter((path) => path.startsWith('rbac/'))
  assert.deepEqual(rbac, ['rbac/namespace-web.yaml', 'rbac/cluster.yaml'])
  const bound = rbac.flatMap(documents)
  const named = openKubernetes(cluster()).describe(decision(grants.slice(0, 2)))
  assert.deepEqual(
    bound.flatMap(({ subjects }) => subjects.map(({ name }) => `Group ${name}`)).sort(),
    named.filter((line) => line.startsWith('Group')).toSorted(),
  )
  assert.deepEqual(
    bound.map(({ kind, metadata, roleRef }) => [kind, metadata.namespace, roleRef.kind, roleRef.name]),
    [
      ['RoleBinding', 'web', 'ClusterRole', 'edit'],
      ['RoleBinding', 'web', 'ClusterRole', 'deployer'],
      ['ClusterRoleBinding', undefined, 'ClusterRole', 'view'],
    ],
  )
})

test('roles that nobody fills without a controller-manager are written out, under names of their own', () => {
  const [role, binding, custom] = documents('rbac-explicit/namespace-web.yaml')
  assert.deepEqual([role?.kind, role?.metadata.name], ['Role', 'lotse:prod:edit'])
  assert.deepEqual([binding?.roleRef.kind, binding?.roleRef.name], ['Role', 'lotse:prod:edit'])
  assert.deepEqual([custom?.roleRef.kind, custom?.roleRef.name], ['ClusterRole', 'deployer'])
  const plain = new Set(documents('rbac/namespace-web.yaml').map(({ metadata }) => metadata.name))
  assert.ok(!plain.has(binding?.metadata.name ?? ''), 'what a binding refers to cannot be changed')
})

interface Kubeconfig {
  readonly users: readonly { readonly user: { readonly exec: { readonly args: readonly string[] } } }[]
}
const argsOf = (path: string, ...given: Parameters<typeof texts>) =>
  (read(textOf(path, ...given)) as unknown as Kubeconfig).users[0]?.user.exec.args ?? []

test('kubelogin uses access tokens, asks for the cluster by name where it is not the client’s own, and for a refresh token where it must', () => {
  const code = argsOf('kubeconfig/kubelogin-code.yaml')
  assert.ok(code.includes('--oidc-client-id=kubectl') && code.includes('--oidc-use-access-token'))
  assert.ok(!code.some((arg) => /resource|prompt|offline/.test(arg)))
  assert.ok(argsOf('kubeconfig/kubelogin-device.yaml').includes('--grant-type=device-code'))
  const shared = argsOf('kubeconfig/kubelogin-code.yaml', cluster(), { clients: [many] })
  for (const arg of ['--oidc-extra-scope=offline_access', '--oidc-auth-request-extra-params=prompt=consent'])
    assert.ok(shared.includes(arg), arg)
  assert.ok(shared.includes('--oidc-extra-scope=audience:server:client_id:k8s-prod'))
  const device = client({ ...many, grants: ['device'], redirectUris: [] })
  const words = argsOf('kubeconfig/kubelogin-device.yaml', cluster(), { clients: [device] })
  assert.ok(words.includes('--oidc-extra-scope=audience:server:client_id:k8s-prod'))
  assert.ok(words.includes('--oidc-use-access-token'))
  const only = argsOf('kubeconfig/kubelogin-code.yaml', cluster(), { clients: [kubectl], flavour: 'id-token' })
  assert.ok(only.includes('--oidc-extra-scope=audience:server:client_id:k8s-prod'))
  assert.ok(!only.includes('--oidc-use-access-token'))
  const ids = argsOf('kubeconfig/kubelogin-device.yaml', cluster(), { clients: [own] })
  assert.ok(ids.includes('--oidc-client-id=k8s-prod') && !ids.includes('--oidc-use-access-token'))
})

test('our own plugin is the client that reaches most targets, and hears from the cluster which one is meant', () => {
  const all = client({
    id: 'all',
    native: true,
    targets: ['prod', 'cloud'],
    redirectUris: ['http://127.0.0.1/back'],
    grants: ['code', 'refresh'],
  })
  const text = textOf('kubeconfig/lotse.yaml', cluster(), { clients: [kubectl, all] })
  assert.deepEqual(argsOf('kubeconfig/lotse.yaml', cluster(), { clients: [kubectl, all] }), [
    'kubectl-credential',
    '--issuer=https://login.example',
    '--client=all',
    '--redirect=http://127.0.0.1/back',
  ])
  const [shown] = read(text)['clusters'] as unknown as readonly { readonly cluster: { readonly extensions: unknown } }[]
  assert.deepEqual(shown?.cluster.extensions, [
    { name: 'client.authentication.k8s.io/exec', extension: { target: 'prod', audience: 'k8s-prod' } },
  ])
  const elsewhere = client({ ...all, id: 'elsewhere', target: 'cloud', targets: ['prod', 'more', 'still-more'] })
  assert.ok(
    !texts(cluster(), { clients: [elsewhere] }).has('kubeconfig/lotse.yaml'),
    'its sign-ins are for cloud alone',
  )
  const coded = client({ id: 'coded', target: 'prod', grants: ['device', 'refresh'] })
  assert.ok(argsOf('kubeconfig/lotse.yaml', cluster(), { clients: [coded] }).includes('--device'))
  assert.ok(!texts(cluster(), { clients: [own], flavour: 'id-token' }).has('kubeconfig/lotse.yaml'))
})

test('dashboards are known by where they take answers; for others a client is written down', () => {
  const argo = client({ id: 'argo', target: 'prod', redirectUris: ['https://cd.example/auth/callback'] })
  const text = textOf('argocd/argocd-cm.yaml', cluster(), { clients: [kubectl, argo] })
  assert.deepEqual((read(text)['data'] as unknown as { url: string }).url, 'https://cd.example')
  assert.match(text, /clientID: argo\n/)
  const flux = textOf('flux/web-config.yaml', cluster({ groupsPrefix: "it's:" }))
  assert.match(flux, /groups: "claims\.groups\.map\(g, 'it\\\\'s:' \+ g\)"/)
  const headlamp = textOf('headlamp/values.yaml')
  assert.match(headlamp, /useAccessToken: true/)
  const board = client({ id: 'board', targets: ['prod'], redirectUris: ['https://h.example/oidc-callback'] })
  const values = (flavour: string) => textOf('headlamp/values.yaml', cluster(), { clients: [board], flavour })
  assert.match(values('any'), /scopes: "?openid,profile,email,groups,audience:server:client_id:k8s-prod"?/)
  assert.ok(!values('any').includes('useAccessToken'))
  assert.match(values('access-token'), /useAccessToken: true/)
  assert.match(headlamp, /^# No client takes answers at …\/oidc-callback; write in clients: - \{ id: headlamp, /m)
})

test('an issuer without TLS, no client, and ID tokens of nobody are told with what to write', () => {
  assert.deepEqual(printProblems(cluster(), world()), [])
  const problems = (more: Partial<PrintWorld>) => printProblems(cluster(), world(more)).join('\n')
  assert.match(problems({ issuer: new URL('http://127.0.0.1:1') }), /is not https/)
  assert.match(problems({ clients: [] }), /no client may have tokens for it; write in clients:/)
  assert.deepEqual(problems({ flavour: 'id-token' }), '', 'they ask by scope')
  assert.match(problems({ flavour: 'id-token', clients: [] }), /- \{ id: k8s-prod, target: prod/)
  assert.deepEqual([...flavours], ['any', 'access-token', 'id-token'])
})

test('with apply the gateway’s own account may bind the roles that rules can give, touch bindings of its own names, and nothing else', () => {
  const possible = { grants, open: ['<team>'], openRoles: ['admin', 'edit'] }
  assert.equal(texts().has('gateway/account.yaml'), false)
  const config = cluster({ apply: { kubeconfig: 'in-cluster' } })
  const documents = parseAllDocuments(textOf('gateway/account.yaml', config, { possible })).map(
    (each) => each.toJS() as Record<string, never>,
  )
  assert.deepEqual(
    documents.map(({ kind }) => kind),
    ['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding'],
  )
  const rules = documents[1]?.['rules'] as unknown as Record<string, readonly string[] | undefined>[]
  const namesOf = (resource: string, verb: string) =>
    rules.find(({ resources, verbs }) => resources?.[0] === resource && verbs?.includes(verb))?.['resourceNames']
  assert.deepEqual(namesOf('rolebindings', 'patch'), ['lotse:prod:admin', 'lotse:prod:deployer', 'lotse:prod:edit'])
  assert.deepEqual(namesOf('clusterrolebindings', 'delete'), ['lotse:prod:view'])
  assert.deepEqual(namesOf('clusterroles', 'bind'), ['admin', 'deployer', 'edit', 'view'])
  for (const { apiGroups, resources, verbs, resourceNames } of rules) {
    assert.ok(![apiGroups, resources, verbs, resourceNames].some((all) => all?.includes('*')))
    // No names would mean all of them.
    assert.notEqual(resourceNames?.length, 0)
  }
})

test('where rules give no role, the account may bind and touch nothing, and outside of the cluster it gets a token', () => {
  const config = cluster({ apply: { kubeconfig: { env: 'KUBE' } } })
  const possible = { grants: [{ target: 'prod', group: 'corp:ops' }], open: [], openRoles: [] }
  const text = textOf('gateway/account.yaml', config, { possible })
  assert.match(text, /kubernetes\.io\/service-account-token/)
  for (const never of ['bind', 'rolebindings', 'clusterroles'])
    assert.doesNotMatch(text, new RegExp(`- ${never}$`, 'm'))
})

test('the page tells the operator of a cluster to apply its bindings, or with apply the account that makes them, and never both', () => {
  const given = 'kubectl apply -f rbac/'
  const account = 'kubectl apply -f gateway/account.yaml'
  const says = (config: KubernetesConfig) =>
    [given, account].filter((words) => textOf('README.md', config).includes(words))
  assert.deepEqual(says(cluster()), [given])
  assert.deepEqual(says(cluster({ apply: { kubeconfig: 'in-cluster' } })), [account])
})
