import type { Decision } from '../../../core/decision.ts'
import type { KeystoneConfig } from '../options.ts'
import { openKeystone } from '../target.ts'
import { environmentOf, type Module, readBy } from './apache.ts'
import { evaluate, refusal } from './evaluate.ts'
import { PythonError } from './python.ts'
import type { MappingLike, Outcome, Release } from './rules.ts'
import { type Seen, signIn } from './sign-in.ts'

/** Whom to follow. */
export interface Asked {
  readonly decision: Decision
  readonly sub: string
  readonly issuer: URL
}

/** By browser or by bearer token, and through which module. */
export interface Way {
  readonly way: 'websso' | 'bearer'
  readonly module: Module
}

/** What comes of one way. */
export interface Arrival extends Way {
  /** The variables that the mapping reads, as Keystone reads them. */
  readonly environment: Readonly<Record<string, string>>
  readonly seen?: Seen
  /** Keystone's answer where it lets nobody in. */
  readonly refused?: string
}

/** Every way by which a person comes to a Keystone. */
export const ways: readonly Way[] = [
  { way: 'websso', module: 'mod_auth_openidc' },
  { way: 'bearer', module: 'mod_auth_openidc' },
  { way: 'bearer', module: 'mod_oauth2' },
]

export interface Arriving {
  readonly way: Way
  readonly mapping: MappingLike
  readonly release: Release
}

/**
 * What comes of one way: claims, environment, mapping, sign-in.
 * @throws {LoginError} as the target's `claims` does
 */
export function arrive(config: KeystoneConfig, asked: Asked, { way, mapping, release }: Arriving): Arrival {
  const passed = environmentOf(tokenClaims(config, asked, way), way.module)
  if (passed === undefined) return { ...way, environment: {}, refused: 'Apache takes no claim that holds U+0000' }
  const read = readBy(release, passed)
  const names = new Set(mapping.rules.flatMap(({ remote }) => remote.map(({ type }) => type)))
  const environment = Object.fromEntries(Object.entries(read).filter(([name]) => names.has(name)))
  // mod_auth_openidc's defaults: by browser with the issuer behind it, by bearer token without.
  const remoteUser = way.way === 'websso' ? `${asked.sub}@${asked.issuer.host}` : asked.sub
  const outcome = evaluate(mapping, read, { release })
  return { ...way, environment, ...ending(outcome, { release, home: config.domain, remoteUser }) }
}

function ending(outcome: Outcome, signingIn: Parameters<typeof signIn>[1]): Pick<Arrival, 'seen' | 'refused'> {
  if (outcome.kind === 'not-covered') return { refused: `this simulator does not know ${outcome.why}` }
  if (outcome.kind === 'refused') return { refused: inWords(outcome) }
  try {
    return { seen: signIn(outcome.mapped, signingIn) }
  } catch (error) {
    if (!(error instanceof PythonError)) throw error
    return { refused: inWords(refusal(error)) }
  }
}

const inWords = ({ status, error, says }: Extract<Outcome, { kind: 'refused' }>) =>
  `Keystone answers ${status} (${error}: ${says})`

/** The token's claims: those of the target, and those of the protocol that a mapping may read. */
function tokenClaims(config: KeystoneConfig, { decision, sub, issuer }: Asked, { way }: Way) {
  const { claims, audience } = openKeystone(config)
  const said = claims(decision, way === 'websso' ? 'id_token' : 'access_token')
  return { ...said, sub, iss: issuer.origin, aud: audience }
}
