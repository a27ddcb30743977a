import { type Decision, type Grant, grantKind, grantsAt } from '../../core/decision.ts'
import { LoginError } from '../../core/errors.ts'
import { ISSUER_RING } from '../../core/ports.ts'
import { bounded, impossibleName, sortedUnique, systemName } from '../names.ts'
import type { Target } from '../target.ts'
import type { OidcOptions } from './options.ts'

export type OidcConfig = OidcOptions & { readonly id: string; readonly label?: string | undefined }

/** Any other OpenID Connect application: names, e-mail and an array of plain group names in a claim of its choice. */
export function openOidc(config: OidcConfig): Target {
  return {
    id: config.id,
    label: config.label ?? config.id,
    audience: config.audience ?? config.id,
    ring: ISSUER_RING,
    alg: config.alg,
    ttl: config.ttl,
    carries: new Set(['group']),
    namesUsers: true,
    refuse,
    claimNames: ['preferred_username', 'email', 'email_verified', 'name', config.groupsClaim],
    claims: (decision) => bounded(config.label ?? config.id, claims(config, decision)),
    describe: (decision) => groupsOf(config, decision).map((group) => `${config.groupsClaim}: ${group}`),
  }
}

function refuse(grant: Grant): string | undefined {
  if (!('group' in grant)) return `an application takes groups, no ${grantKind(grant)} roles`
  if (grant.domain !== undefined)
    return 'an application knows no domains, so a group of one domain would be everybody’s'
  // Dashboards such as Headlamp hand their token on to a cluster.
  if (systemName(grant.group)) return `the group ${grant.group} is reserved by Kubernetes`
  return impossibleName('group', grant.group, 256)
}

function groupsOf(config: OidcConfig, decision: Decision): readonly string[] {
  const mine = grantsAt(decision, config.id).filter((grant) => refuse(grant) === undefined)
  return sortedUnique(mine.flatMap((grant) => ('group' in grant ? [grant.group] : [])))
}

function claims(config: OidcConfig, decision: Decision): Record<string, unknown> {
  const { username, email, emailVerified, name } = decision.identity
  if (systemName(username))
    throw new LoginError('claims_unusable', `the user name at target ${config.id} is reserved by Kubernetes`)
  return {
    preferred_username: username,
    ...(email === undefined ? {} : { email, email_verified: emailVerified === true }),
    ...(name === undefined ? {} : { name }),
    [config.groupsClaim]: groupsOf(config, decision),
  }
}
