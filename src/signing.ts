import type { Audit } from './audit.ts'
import type { GatewayConfig } from './config/gateway.ts'
import { type Clock, ISSUER_RING, SAML_RING, type SigningAlg } from './core/ports.ts'
import type { RingSpec, Rings } from './keys/rings.ts'
import type { Root } from './keys/root.ts'
import { openRings } from './keys/store-rings.ts'
import type { Store } from './store/store.ts'
import { targetTypes } from './targets/index.ts'
import type { Target } from './targets/target.ts'

/** Seconds that a key stays published after the last token that it signed could live, for caches in between. */
const RETIRE_MARGIN = 600

/** The targets of a configuration. */
export function openTargets(config: GatewayConfig): ReadonlyMap<string, Target> {
  return new Map(
    config.targets.map((target) => {
      const type = targetTypes[target.type as keyof typeof targetTypes]
      return [target.id, (type.open as (config: unknown) => Target)(target)]
    }),
  )
}

/** Which rings a configuration needs, with which algorithms. */
export function ringSpecs(config: GatewayConfig, targets: ReadonlyMap<string, Target>): readonly RingSpec[] {
  const algs = new Map<string, Set<SigningAlg>>([[ISSUER_RING, new Set<SigningAlg>(['ES256'])]])
  for (const client of config.clients) algs.get(ISSUER_RING)?.add(client.idTokenAlg)
  for (const target of targets.values()) {
    const ring = algs.get(target.ring) ?? new Set<SigningAlg>()
    algs.set(target.ring, ring.add(target.alg))
  }
  const rings: RingSpec[] = [...algs].map(([name, set]) => ({ name, algs: [...set].sort() }))
  return config.connectors.some(({ type }) => type === 'saml') ? [...rings, samlRing(new URL(config.issuer))] : rings
}

const DAY = 86_400

/**
 * The ring of the gateway as a SAML service provider. Many identity providers were given its certificate by hand, so nothing of it
 * changes by itself: `lotse keys rotate saml` begins a change, which a week later signs, and what was encrypted to the key before is
 * read for a month more. SAML has no algorithm that all sides take but RSA.
 */
export function samlRing(issuer: URL): RingSpec {
  const timing = { rotateEvery: Infinity, lead: 7 * DAY, retireFor: 30 * DAY }
  return { name: SAML_RING, algs: ['RS256'], timing, certifiedAs: issuer.hostname }
}

/** What rings are kept in and sealed with, and who is told of their changes. */
export interface KeyPorts {
  readonly store: Store
  readonly root: Root
  readonly audit: Audit
  readonly now: Clock
  readonly mode?: 'serve' | 'command'
  /** Which keys a process that serves does not have yet; none if absent. */
  readonly awaited?: (kids: readonly string[]) => Promise<ReadonlySet<string>>
  /** Whether all processes that serve use this configuration; true if absent. */
  readonly agreed?: () => Promise<boolean>
  /** Those of the configuration if absent. */
  readonly specs?: readonly RingSpec[]
}

/**
 * The rings of a configuration.
 * @throws where the store or the root secret cannot be used
 */
export function openKeys(ports: KeyPorts, config: GatewayConfig, targets: ReadonlyMap<string, Target>): Promise<Rings> {
  const longest = Math.max(600, ...[...targets.values()].map((target) => target.ttl))
  return openRings({
    store: ports.store,
    root: ports.root,
    mode: ports.mode ?? 'serve',
    now: ports.now,
    specs: ports.specs ?? ringSpecs(config, targets),
    rsaBits: config.keys.rsaBits,
    rotateEvery: config.keys.rotateEvery,
    lead: config.keys.lead,
    retireFor: longest + RETIRE_MARGIN,
    ...(ports.awaited ? { awaited: ports.awaited } : {}),
    ...(ports.agreed ? { agreed: ports.agreed } : {}),
    report: ({ ring, alg, kid, how }) => ports.audit('keys', { event: 'key.rotated', ring, alg, kid, how }),
  })
}
