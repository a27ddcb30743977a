import type { ClientConfig } from '../../../config/clients.ts'
import type { PrintWorld } from '../../target.ts'
import { apiOf, type KeystoneConfig } from '../options.ts'
import { openKeystone } from '../target.ts'

/** The ways in which Apache in front of a Keystone is set up; the first is taken where none is named. */
export const flavours = ['apache', 'kolla', 'mod_oauth2', 'introspection'] as const
export type Flavour = (typeof flavours)[number]

/** Everything that the files are made of. */
export interface Setting {
  readonly config: KeystoneConfig
  /** Without a slash at the end. */
  readonly issuer: string
  readonly flavour: Flavour
  readonly audience: string
  /** Where the keys of this target's own ring are published. */
  readonly jwks: string
  /** The client that Apache itself is; undefined where the configuration has none. */
  readonly apache: ClientConfig | undefined
  /** Clients whose tokens are for this Keystone: command lines and programs. */
  readonly others: readonly ClientConfig[]
  /** Where Apache takes the gateway's answers. */
  readonly redirect: string
  readonly backchannel: string
  /** The address of the Keystone's API, with its version. */
  readonly api: string
  /** The same without: what services and kolla-ansible call Keystone's public URL. */
  readonly publicUrl: string
  /** Paths under which Keystone signs people in: by browser (two of them), and by bearer token. */
  readonly paths: { readonly websso: readonly [string, string]; readonly bearer: string }
  /** What the person chooses at the dashboard. */
  readonly choice: string
  /** Domains in which people live, the target's own first. */
  readonly domains: readonly string[]
}

export const isFlavour = (text: string): text is Flavour => (flavours as readonly string[]).includes(text)

/** What the configuration says about this Keystone and about the clients that speak for it. */
export function settingOf(config: KeystoneConfig, world: PrintWorld): Setting {
  const { audience, ring } = openKeystone(config)
  const { href: api, origin, pathname: v3 } = new URL(apiOf(config))
  const federation = `identity_providers/${config.identityProvider}/protocols/${config.protocol}`
  const redirect = `${origin}/redirect_uri`
  return {
    config,
    issuer: world.issuer.origin,
    flavour: world.flavour !== undefined && isFlavour(world.flavour) ? world.flavour : flavours[0],
    audience,
    jwks: `${world.issuer.origin}/jwks/${ring}`,
    apache: world.clients.find(({ id }) => id === audience),
    others: world.clients.filter(({ id, target }) => target === config.id && id !== audience),
    redirect,
    backchannel: `${redirect}?logout=backchannel`,
    api,
    publicUrl: api.replace(/\/v3$/, ''),
    paths: {
      websso: [`${v3}/auth/OS-FEDERATION/websso/${config.protocol}`, `${v3}/auth/OS-FEDERATION/${federation}/websso`],
      bearer: `${v3}/OS-FEDERATION/${federation}/auth`,
    },
    choice: `Single sign-on (${world.issuer.host})`,
    domains: [...new Set([config.domain, ...(world.domains ?? [])])],
  }
}

/** The lines with which each file begins: of what it was made, and that nobody should write into it. */
export function made({ config, issuer, flavour }: Setting, what: string): readonly string[] {
  return [
    what,
    `Made by \`lotse print ${config.id} --flavour ${flavour}\` of target ${config.id} at the gateway ${issuer}.`,
    'Generated: change the configuration of the gateway and print again; what is written here by hand is lost.',
  ]
}

/** Lines of a file, each a comment where `mark` is put before it. */
export const comments = (lines: readonly string[], mark = '#'): string =>
  lines.map((line) => `${mark} ${line}`.trimEnd()).join('\n')
