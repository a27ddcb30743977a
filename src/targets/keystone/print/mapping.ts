import { mappingText } from '../../quote.ts'
import { type KeystoneConfig, schemaOf } from '../options.ts'

/** Everything that Apache hands on and the mapping reads: a name without `OIDC-` in front could be sent by anybody as a header. */
type Variable = `OIDC-${string}`

interface Remote {
  readonly type: Variable
  readonly any_one_of?: readonly string[]
}

interface Domain {
  readonly name: string
}

interface Local {
  readonly user?: {
    readonly id: string
    readonly name: string
    readonly domain: Domain
    readonly email?: string
  }
  readonly groups?: string
  readonly projects_json?: string
  readonly domain?: Domain
}

export interface MappingRule {
  readonly local: readonly Local[]
  readonly remote: readonly Remote[]
}

/** A mapping as Keystone's API takes it; the version is left out where it is the oldest, which old Keystones do not know. */
export interface Mapping {
  readonly rules: readonly MappingRule[]
  readonly schema_version?: '2.0' | '3.0'
}

interface Wish {
  readonly config: KeystoneConfig
  readonly guards: readonly Remote[]
}

/**
 * How this Keystone is to read what the gateway says; with `reconcile` who it is and nothing more. In every rule stand the issuer and the
 * audience, since the Apache modules check neither, and a domain, without which schema 2.0 answers 400 to everybody.
 */
export function keystoneMapping(config: KeystoneConfig, issuer: URL): Mapping {
  const version = schemaOf(config)
  const guards: readonly Remote[] = [
    { type: 'OIDC-iss', any_one_of: [issuer.origin] },
    { type: 'OIDC-aud', any_one_of: [config.audience ?? config.id] },
  ]
  const wish = { config, guards }
  // A variable that is absent makes its whole rule not apply, and of several users the first counts: with an address, then without.
  const rules = [
    person(wish, 'OIDC-email'),
    person(wish),
    // No groups, no claim: the person gets in by the rules above.
    ...(config.reconcile === undefined ? [groups(wish)] : []),
  ]
  return version === '1.0' ? { rules } : { schema_version: version, rules }
}

function person({ config, guards }: Wish, email?: Variable): MappingRule {
  const named: Variable[] = ['OIDC-sub', 'OIDC-preferred_username']
  const next = (variable: Variable) => `{${named.push(variable) - 1}}`
  const domain = domainOf(config, next)
  // In the rule of the person: without it she is nobody (401), where a rule of its own would take every project away from her.
  const projects = schemaOf(config) === '3.0' ? [{ projects_json: next('OIDC-openstack_projects'), domain }] : []
  const address = email === undefined ? {} : { email: next(email) }
  return {
    local: [{ user: { id: '{0}', name: '{1}', domain, ...address } }, ...projects],
    remote: [...named.map((type) => ({ type })), ...guards],
  }
}

function groups({ config, guards }: Wish): MappingRule {
  const named: Variable[] = ['OIDC-groups']
  const domain = domainOf(config, (variable) => `{${named.push(variable) - 1}}`)
  return { local: [{ groups: '{0}', domain }], remote: [...named.map((type) => ({ type })), ...guards] }
}

/** Schema 1.0 puts everybody into the domain of the identity provider; later ones take the person's own. */
function domainOf(config: KeystoneConfig, next: (variable: Variable) => string): Domain {
  return { name: schemaOf(config) === '1.0' ? mappingText(config.domain) : next('OIDC-openstack_user_domain') }
}
