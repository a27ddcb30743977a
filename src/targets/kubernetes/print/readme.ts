import type { GeneratedFile } from '../../../core/ports.ts'
import { codeClient, deviceClient, pluginClient } from './kubeconfig.ts'
import { FOLDER, made, type Setting } from './setting.ts'

/** What to do with which of these files, in which order. */
export function readme(setting: Setting, files: readonly GeneratedFile[]): GeneratedFile {
  const steps = [...apiServer(setting, files), ...rights(setting, files), ...people(setting)]
  const content = `# Cluster ${setting.config.id} and the gateway ${setting.issuer}

${made(setting, `How ${setting.config.server} takes tokens for the audience ${setting.audience}.`).replace(/^# /gm, '').trimEnd()}

${steps.map((step, index) => `${index + 1}. ${step}`).join('\n')}

Printed again after a change of the gateway's configuration, only what changed is different: keep this folder in version control.
`
  return { path: 'README.md', content }
}

const has = (files: readonly GeneratedFile[], start: string) => files.some(({ path }) => path.startsWith(start))

function apiServer(setting: Setting, files: readonly GeneratedFile[]): readonly string[] {
  const { issuer, issuerCa, algs, config } = setting
  const ca =
    issuerCa === undefined
      ? `Machines have to trust the certificate of ${issuer}; for an authority of your own print with \`--issuer-ca FILE\`.`
      : `\`authentication/issuer-ca.pem\` takes the place of the authorities that machines trust.`
  const stack = has(files, 'cluster-stack/')
    ? 'SCS cluster stacks: `cluster-stack/oidcConfig.yaml`.'
    : `SCS cluster stacks know RS256 and publicly trusted certificates alone; here it is ${algs.join(' and ')}${issuerCa === undefined ? '' : ' and an own authority'}, so there is no oidcConfig.`
  return [
    `The kube-apiserver, by one of the two, never both. **Structured** (Kubernetes 1.30 or newer; it pins issuer, audience, client, kind and
   life of a token, and is read again within seconds of a change): \`authentication/v1.yaml\` or, before 1.34, \`authentication/v1beta1.yaml\`.
   **Stock flags**: \`authentication/flags.txt\`. ${ca}`,
    `kubeadm: \`kubeadm/structured.yaml\` or \`kubeadm/flags.yaml\`, with the files in \`${FOLDER}\`. Cluster API:
   \`cluster-api/structured.yaml\` or \`cluster-api/flags.yaml\`. ${stack}`,
    `A cluster never revokes a token: whoever lost a right keeps it for ${config.ttl} seconds at most, and 10 seconds more.`,
  ]
}

function rights({ possible, config }: Setting, files: readonly GeneratedFile[]): readonly string[] {
  const named = `Groups are named as \`lotse explain --target ${config.id}\` prints them.`
  if (config.apply !== undefined)
    return [
      `Rights: the gateway keeps the bindings by itself (\`apply\`), also where no file has them; the namespaces have to exist.
   \`kubectl create namespace lotse\`, then \`kubectl apply -f gateway/account.yaml\`, which is applied again when rules give other roles;
   \`rbac/\` is not needed. ${named} Where no controller-manager runs, the roles \`view\`, \`edit\` and \`admin\` are empty.`,
    ]
  const open = possible.open.map((text) => `\`${text}\``).join(', ')
  const unended =
    open === ''
      ? ''
      : ` Rules give roles in namespaces that a claim completes (${open}): say which by \`--namespaces A,B\`,
   or \`--seen\` for those of everybody who is signed in now.`
  if (!has(files, 'rbac/')) return [`Rules give no role in a namespace or over the cluster that has an end.${unended}`]
  const explicit = has(files, 'rbac-explicit/')
    ? ' Where no controller-manager runs, the roles `view`, `edit` and `admin` are empty: take `rbac-explicit/` instead.'
    : ''
  return [
    `Rights: \`kubectl apply -f rbac/\`; the namespaces have to exist. ${named}
   ${explicit.trim()}${unended}`.trimEnd(),
  ]
}

function people(setting: Setting): readonly string[] {
  const { clusterCa } = setting
  const none = 'native: true, redirectUris: [http://localhost:8000], grants: [code, device, refresh]'
  const flows = [
    ...(codeClient(setting) ? ['`kubeconfig/kubelogin-code.yaml` opens the browser'] : []),
    ...(deviceClient(setting) ? ['`kubeconfig/kubelogin-device.yaml` shows a code for a browser elsewhere'] : []),
  ]
  const ways = pluginClient(setting)
    ? ['`kubeconfig/lotse.yaml` uses the command lotse, with one sign-in for all clusters', ...flows]
    : flows
  const kubectl =
    ways.length === 0
      ? `No public client fits \`lotse kubectl-credential\` or kubelogin; one with \`${none}\` and this target would.`
      : `${ways.join('; ')}.`
  const ca =
    clusterCa === undefined
      ? ' They trust the system’s authorities for the cluster; print with `--cluster-ca FILE` for its own.'
      : ''
  return [
    `People: ${kubectl}${ca}`,
    'Dashboards: `argocd/`, `headlamp/` and `flux/` have what each needs; the first lines say which client is meant.',
  ]
}
