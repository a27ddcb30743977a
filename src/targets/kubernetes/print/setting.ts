import type { ClientConfig } from '../../../config/clients.ts'
import type { Possible } from '../../../core/possible.ts'
import type { PrintWorld } from '../../target.ts'
import { type KubernetesConfig, openKubernetes } from '../target.ts'

/** Which tokens of the gateway a cluster takes; the first is taken where none is named. */
export const flavours = ['any', 'access-token', 'id-token'] as const
export type Flavour = (typeof flavours)[number]

/** Everything that the files are made of. */
export interface Setting {
  readonly config: KubernetesConfig
  /** Without a slash at the end, as `iss` has it. */
  readonly issuer: string
  readonly flavour: Flavour
  readonly audience: string
  /** The client whose ID tokens are for this cluster: its id is the audience. */
  readonly idClient: ClientConfig | undefined
  /** The clients that may have access tokens for this cluster. */
  readonly accessClients: readonly ClientConfig[]
  /** The clients whose ID tokens are for this cluster, too, where a scope asks for it. */
  readonly scopeClients: readonly ClientConfig[]
  /** Signature algorithms of all these tokens, the target's own first. */
  readonly algs: readonly string[]
  readonly possible: Possible
  /** PEM of who signed the certificates; absent where machines trust them anyway. */
  readonly issuerCa: string | undefined
  readonly clusterCa: string | undefined
  /** All clients, for dashboards beside this cluster. */
  readonly clients: readonly ClientConfig[]
}

/** Whether a client's access tokens are for this cluster without being asked. */
const isOwn = ({ config }: Setting, { target, accessToken }: ClientConfig) =>
  target === config.id && accessToken === 'jwt'

/** What a client that knows nothing but scopes has to ask for so that its tokens are for this cluster; nothing where they are anyway. */
export function audienceScopes(setting: Setting, client: ClientConfig): readonly string[] {
  const { accessClients, audience, idClient } = setting
  if (client === idClient || (isOwn(setting, client) && accessClients.includes(client))) return []
  return [`audience:server:client_id:${audience}`]
}

const isFlavour = (text: string): text is Flavour => (flavours as readonly string[]).includes(text)

/** What the configuration says about this cluster and about the clients that speak to it. */
export function settingOf(config: KubernetesConfig, world: PrintWorld): Setting {
  const { audience, alg } = openKubernetes(config)
  const flavour = world.flavour !== undefined && isFlavour(world.flavour) ? world.flavour : flavours[0]
  const own = world.clients.find(({ id, target }) => id === audience && target === config.id)
  const idClient = flavour === 'access-token' ? undefined : own
  const mayAsk = ({ target, targets }: ClientConfig) => target === config.id || targets.includes(config.id)
  const asking = world.clients.filter(mayAsk).sort((one, other) => (one.id < other.id ? -1 : 1))
  const accessClients = flavour === 'id-token' ? [] : asking
  const scopeClients = flavour === 'access-token' ? [] : asking.filter(({ id }) => id !== audience)
  return {
    config,
    issuer: world.issuer.origin,
    flavour,
    audience,
    idClient,
    accessClients,
    scopeClients,
    algs: [...new Set([...(asking.length > 0 ? [alg] : []), ...(idClient ? [idClient.idTokenAlg] : [])])],
    possible: world.possible ?? { grants: [], open: [], openRoles: [] },
    issuerCa: world.authorities?.issuer,
    clusterCa: world.authorities?.consumer,
    clients: world.clients,
  }
}

/** The folder of a control-plane machine where the files of this gateway stand. */
export const FOLDER = '/etc/kubernetes/lotse'
export const AUTHENTICATION = `${FOLDER}/authentication.yaml`
export const ISSUER_CA = `${FOLDER}/issuer-ca.pem`

/** The lines with which each file begins: of what it was made, and that nobody should write into it. */
export function made({ config, issuer, flavour }: Setting, ...what: readonly string[]): string {
  const command = `lotse print ${config.id}${flavour === 'any' ? '' : ` --flavour ${flavour}`}`
  return [
    ...what,
    `Made by \`${command}\` of target ${config.id} at the gateway ${issuer}.`,
    'Generated: change the configuration of the gateway and print again; what is written here by hand is lost.',
  ]
    .map((line) => `# ${line}\n`)
    .join('')
}
