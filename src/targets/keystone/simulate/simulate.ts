import { type KeystoneConfig, schemaOf } from '../options.ts'
import { keystoneMapping } from '../print/mapping.ts'
import { openKeystone } from '../target.ts'
import { type Arrival, type Asked, arrive, ways } from './arrival.ts'
import type { MappingLike, Release } from './rules.ts'
import { type Warning, warningsOf } from './warnings.ts'

export interface Simulated {
  readonly release: Release
  readonly schema: '1.0' | '2.0' | '3.0'
  readonly arrivals: readonly Arrival[]
  /** What the gateway writes by itself, and the mapping therefore does not say. */
  readonly written: readonly string[]
  readonly warnings: readonly Warning[]
}

/**
 * Follows a person to the end: the claims that this target says, the environment that Apache makes of them, the mapping that `lotse print`
 * writes, and the user, groups and projects that Keystone then has; with warnings about what would bite. Nothing is asked over a network.
 * @param release whose engine reads the mapping; the oldest known for schema 1.0, else the newest
 * @throws {LoginError} as the target's `claims` does: then the gateway gives no token at all
 */
export function simulate(config: KeystoneConfig, asked: Asked, release = defaultRelease(config)): Simulated {
  // An interface has no index signature of its own; what it holds is texts in any depth.
  const mapping = keystoneMapping(config, asked.issuer) as MappingLike
  const arrivals = ways.map((way) => arrive(config, asked, { way, mapping, release }))
  const written =
    config.reconcile === undefined
      ? []
      : openKeystone(config)
          .describe(asked.decision)
          .filter((line) => !line.startsWith('user '))
  const made = { release, schema: schemaOf(config), arrivals, written }
  return { ...made, warnings: warningsOf(config, asked, made) }
}

const defaultRelease = (config: KeystoneConfig): Release => (schemaOf(config) === '1.0' ? '22' : '30')
