import type { GeneratedFile } from '../../../core/ports.ts'
import { type Yaml, yamlOf } from '../../yaml.ts'
import { authentication } from './authentication.ts'
import { AUTHENTICATION, FOLDER, ISSUER_CA, made, type Setting } from './setting.ts'

/** Name and value of each flag of a kube-apiserver. */
type Flags = readonly (readonly [name: string, value: string])[]

/** How a kube-apiserver hears of the gateway: stock flags or a file, by hand, by kubeadm, by Cluster API, by a cluster stack. */
export function flagFiles(setting: Setting): readonly GeneratedFile[] {
  const structured = [['authentication-config', AUTHENTICATION]] as const
  return [
    { path: 'authentication/flags.txt', content: plain(setting) },
    { path: 'kubeadm/flags.yaml', content: kubeadm(setting, stockFlags(setting)) },
    { path: 'kubeadm/structured.yaml', content: kubeadm(setting, structured) },
    { path: 'cluster-api/flags.yaml', content: clusterApi(setting, stockFlags(setting), caFile(setting)) },
    {
      path: 'cluster-api/structured.yaml',
      content: clusterApi(setting, structured, { [AUTHENTICATION]: authentication(setting, 'v1') }),
    },
    ...clusterStack(setting),
  ]
}

const caFile = ({ issuerCa }: Setting) => (issuerCa === undefined ? {} : { [ISSUER_CA]: issuerCa })

/** The stock `--oidc-*` flags. They pin issuer, audience and signature, and neither the kind nor the life of a token. */
export function stockFlags({ config, issuer, audience, algs, issuerCa }: Setting): Flags {
  const { usernamePrefix, groupsPrefix } = config
  return [
    ['oidc-issuer-url', issuer],
    ['oidc-client-id', audience],
    ['oidc-username-claim', 'preferred_username'],
    // Without the flag it would be the issuer's address.
    ['oidc-username-prefix', usernamePrefix === '' ? '-' : usernamePrefix],
    ['oidc-groups-claim', 'groups'],
    ...(groupsPrefix === '' ? [] : ([['oidc-groups-prefix', groupsPrefix]] as const)),
    ...(isStock(algs) ? [] : ([['oidc-signing-algs', algs.join(',')]] as const)),
    ...(issuerCa === undefined ? [] : ([['oidc-ca-file', ISSUER_CA]] as const)),
  ]
}

/** Whether a kube-apiserver takes them without being told. */
const isStock = (algs: readonly string[]) => algs.length === 1 && algs[0] === 'RS256'

function plain(setting: Setting): string {
  const head = made(
    setting,
    'Stock flags of a kube-apiserver, of any version. They check neither kind nor life of a token: where there is a',
    'choice, take the structured configuration. Both together do not start.',
  )
  return (
    head +
    stockFlags(setting)
      .map(([name, value]) => `--${name}=${value}\n`)
      .join('')
  )
}

const args = (flags: Flags): Yaml => flags.map(([name, value]) => ({ name, value }))

/** kube-apiserver runs in a pod: what it reads has to be mounted. The folder and not the file, since a file would stay the old one. */
const volumes = (flags: Flags): Yaml | undefined =>
  flags.some(([, value]) => value.startsWith(FOLDER))
    ? [{ name: 'lotse', hostPath: FOLDER, mountPath: FOLDER, readOnly: true, pathType: 'DirectoryOrCreate' }]
    : undefined

const apiServer = (flags: Flags): Yaml => ({ extraArgs: args(flags), extraVolumes: volumes(flags) })

function kubeadm(setting: Setting, flags: Flags): string {
  const files = [
    ...(flags.some(([, value]) => value === AUTHENTICATION) ? [`authentication/v1.yaml as ${AUTHENTICATION}`] : []),
    ...(flags.some(([, value]) => value === ISSUER_CA) ? [`authentication/issuer-ca.pem as ${ISSUER_CA}`] : []),
  ]
  const head = made(
    setting,
    'Part of the ClusterConfiguration of kubeadm 1.31 or newer; put it beside what you have.',
    ...files.map((file) => `On each control-plane machine first: ${file}.`),
  )
  return (
    head + yamlOf({ apiVersion: 'kubeadm.k8s.io/v1beta4', kind: 'ClusterConfiguration', apiServer: apiServer(flags) })
  )
}

function clusterApi(setting: Setting, flags: Flags, files: Readonly<Record<string, string>>): string {
  const head = made(
    setting,
    'Merge patch of a KubeadmControlPlane (Cluster API v1beta2, 1.11 or newer): kubectl patch --type merge --patch-file FILE.',
    'Lists are replaced whole: put what you have in files, extraArgs and extraVolumes beside it.',
  )
  const written = Object.entries(files).map(([path, content]) => ({
    path,
    owner: 'root:root',
    permissions: '0644',
    content,
  }))
  return (
    head +
    yamlOf({
      apiVersion: 'controlplane.cluster.x-k8s.io/v1beta2',
      kind: 'KubeadmControlPlane',
      spec: {
        kubeadmConfigSpec: {
          files: written.length === 0 ? undefined : written,
          clusterConfiguration: { apiServer: apiServer(flags) },
        },
      },
    })
  )
}

/** The variable of SCS cluster stacks. It knows neither another algorithm than RS256 nor a certificate authority. */
function clusterStack(setting: Setting): readonly GeneratedFile[] {
  const { config, issuer, audience, algs, issuerCa } = setting
  if (!isStock(algs) || issuerCa !== undefined) return []
  const value = {
    clientID: audience,
    issuerURL: issuer,
    usernameClaim: 'preferred_username',
    groupsClaim: 'groups',
    usernamePrefix: config.usernamePrefix === '' ? '-' : config.usernamePrefix,
    groupsPrefix: config.groupsPrefix,
  }
  const head = made(setting, 'For spec.topology.variables of a Cluster that is made of an SCS cluster stack.')
  return [{ path: 'cluster-stack/oidcConfig.yaml', content: head + yamlOf([{ name: 'oidcConfig', value }]) }]
}
