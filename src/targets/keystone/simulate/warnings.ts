import { CLAIM_BYTES } from '../../names.ts'
import { asciiName } from '../encode.ts'
import { type KeystoneConfig, schemaOf } from '../options.ts'
import { openKeystone } from '../target.ts'
import type { Asked } from './arrival.ts'
import type { Seat, Seen } from './sign-in.ts'
import type { Simulated } from './simulate.ts'

/** Something that would bite at the Keystone, in a sentence that says what to do. */
export interface Warning {
  readonly about:
    | 'refused'
    | 'differs'
    | 'changed'
    | 'size'
    | 'must-exist'
    | 'domain'
    | 'sessions'
    | 'application-credentials'
    | 'deletes'
    | 'written'
  readonly says: string
}

type Made = Omit<Simulated, 'warnings'>
type Check = (config: KeystoneConfig, asked: Asked, made: Made) => readonly (Warning | false)[]

/**
 * Everything that would bite this person at this Keystone, most severe first. Names that are too long, and what no header carries, never come
 * so far: the target refuses or rewrites them.
 */
export function warningsOf(config: KeystoneConfig, asked: Asked, made: Made): readonly Warning[] {
  return checks.flatMap((check) => check(config, asked, made)).filter((found) => found !== false)
}

const seenOf = ({ arrivals }: Made): Seen | undefined => arrivals.find(({ seen }) => seen !== undefined)?.seen

const refusals: Check = (_config, _asked, { arrivals }) =>
  arrivals.flatMap(({ way, module, refused }) =>
    refused === undefined ? [] : [{ about: 'refused', says: `by ${way} through ${module}: ${refused}` }],
  )

/** One person, three ways in: what is known of her must be the same, or her roles depend on how she came. */
const differences: Check = (_config, _asked, { arrivals }) => {
  const kinds = [
    ['users', ({ user }: Seen) => `${user.id} in ${user.domain}`],
    ['names', ({ user }: Seen) => user.name],
    ['sets of groups', ({ groups, groupIds }: Seen) => JSON.stringify([groups, groupIds])],
    ['sets of projects', ({ projects }: Seen) => JSON.stringify(projects)],
  ] as const
  return kinds.map(([what, of]) => {
    const all = new Set(arrivals.flatMap(({ seen }) => (seen === undefined ? [] : [of(seen)])))
    return (
      all.size > 1 && {
        about: 'differs',
        says: `two ${what} of one person, by websso and bearer: ${[...all].join(' | ')}`,
      }
    )
  })
}

const changes: Check = (_config, { decision }) => {
  const { username, email } = decision.identity
  return [
    asciiName(username) !== username && {
      about: 'changed',
      says: `the user name ${username} is shown as ${asciiName(username)}: Apache and older Keystones garble it`,
    },
    email !== undefined &&
      asciiName(email) !== email && {
        about: 'changed',
        says: `the e-mail address ${email} is left out: Apache and older Keystones garble it`,
      },
  ]
}

const sizes: Check = (config, { decision }) => {
  const bytes = Buffer.byteLength(JSON.stringify(openKeystone(config).claims(decision, 'access_token')))
  return [
    bytes > CLAIM_BYTES * 0.75 && {
      about: 'size',
      says: `the claims are ${bytes} bytes; over ${CLAIM_BYTES} the gateway refuses the sign-in (grants_too_large)`,
    },
  ]
}

const inDomain = ({ name, domain }: Seat) => `${name} in ${domain}`

const list = (texts: Iterable<string>): string => [...new Set(texts)].sort().join(', ')

/** What Keystone does not make by itself at a sign-in. */
const prerequisites: Check = (config, _asked, made) => {
  const seen = seenOf(made)
  if (seen === undefined) return []
  const { user, groups, projects } = seen
  const domains = list([user.domain, ...groups.map(({ domain }) => domain), ...projects.map(({ domain }) => domain)])
  const roles = list(projects.flatMap((project) => project.roles))
  const creates = config.reconcile?.create.includes('domain') === true
  return [
    !creates && {
      about: 'must-exist',
      says: `a domain that is missing fails the sign-in (404): ${domains}`,
    },
    roles !== '' && { about: 'must-exist', says: `a role that is missing fails the sign-in (404): ${roles}` },
    groups.length > 0 && {
      about: 'must-exist',
      says: `a group that is missing is passed over in silence: ${list(groups.map(inDomain))}`,
    },
  ]
}

const domains: Check = (config, { decision }, { schema }) => {
  const own = decision.identity.domain
  return [
    schema === '1.0' &&
      own !== undefined &&
      own !== config.domain && {
        about: 'domain',
        says: `schema 1.0 puts everybody into the domain of the identity provider, ${config.domain}, and not into ${own}`,
      },
  ]
}

const groupRights: Check = (_config, _asked, made) => {
  if ((seenOf(made)?.groups.length ?? 0) === 0) return []
  return [
    {
      about: 'sessions',
      says: 'a sign-in whose groups differ from the last one ends her other sessions (Keystone 28.0.1 and newer)',
    },
    {
      about: 'application-credentials',
      says: 'application credentials on rights of groups need authorization_ttl at the identity provider; at 0 they are refused',
    },
  ]
}

const deletions: Check = (config) => [
  config.reconcile === undefined &&
    schemaOf(config) === '3.0' && {
      about: 'deletes',
      says: 'schema 3.0 takes away at each sign-in every direct role in a project that the token does not say, also what an administrator gave by hand',
    },
]

const writing: Check = (config, _asked, { written }) => [
  config.reconcile !== undefined && {
    about: 'written',
    says: `written by the gateway, not by the mapping: ${written.length === 0 ? 'nothing' : written.join('; ')}`,
  },
]

const checks: readonly Check[] = [
  refusals,
  differences,
  sizes,
  changes,
  domains,
  prerequisites,
  deletions,
  groupRights,
  writing,
]
