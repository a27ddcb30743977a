import type { SigningAlg } from '../core/ports.ts'
import type { Timing } from './ring-state.ts'

/** A set of signing keys for one kind of audience; one current key for each algorithm. */
export interface RingSpec {
  readonly name: string
  readonly algs: readonly SigningAlg[]
  /** Instead of the installation's. */
  readonly timing?: Timing
  /** Its keys are known by self-signed certificates in this name, and are published in no key set. */
  readonly certifiedAs?: string
}

export interface KeyInfo {
  readonly ring: string
  readonly kid: string
  readonly alg: SigningAlg
  /** next: published, not used yet · current: signs · retired: published until the last token that it signed is dead. */
  readonly state: 'next' | 'current' | 'retired'
  /** Unix seconds. */
  readonly createdAt: number
  readonly stateSince: number
  readonly imported: boolean
}

/** A key of a ring whose keys have certificates, for whoever signs and decrypts by other means than JOSE. */
export interface CertifiedKey extends KeyInfo {
  /** PEM, PKCS#8. */
  readonly privateKey: string
  /** Base64 of DER, without line breaks; byte for byte equal in all processes. */
  readonly certificate: string
}

/** A private signing key as oidc-provider takes it: `key_ops: ['verify']` keeps next and retired keys out of signing. */
export type KeystoreKey = Readonly<Record<string, unknown>> & { readonly kid: string; readonly alg: string }

/**
 * How a key makes way. `orderly`: by one that was published for the lead time, else one is published and promoted after it.
 * `now`: at once, the old one retired. `emergency`: at once by a new one, and every other key of the algorithm is dropped.
 */
export type Rotation = 'orderly' | 'now' | 'emergency'

/** The rings as this process sees them: reads are synchronous and from memory, so `/jwks` works while the store is down. */
export interface Rings {
  /**
   * A compact JWS by the ring's current key of this algorithm.
   * @throws where the ring has no such key
   */
  sign(ring: string, alg: SigningAlg, typ: string, payload: Readonly<Record<string, unknown>>): string
  /** The payload of a JWS that a published key of this ring signed; undefined where it is anything else. Checks the signature and `typ`, no claims. */
  verify(ring: string, typ: string, jws: string): Readonly<Record<string, unknown>> | undefined
  /** The public keys as JSON text, byte for byte equal in all processes; undefined where there is no such ring. */
  jwks(ring: string): string | undefined
  /** The issuer ring's private keys for the Provider's own keystore. */
  keystore(): readonly KeystoreKey[]
  /** The keys of a ring that has certificates: current, next, retired. Empty for any other ring. */
  certified(ring: string): readonly CertifiedKey[]
  list(): readonly KeyInfo[]
  /**
   * Replaces the key that signs. `announced`: a next key is published and signs once the lead time has passed.
   * @throws where the ring has no such algorithm
   */
  rotate(ring: string, alg: SigningAlg, how: Rotation): Promise<'promoted' | 'announced'>
  /**
   * Takes an operator's private key in: as the current one where the ring has none of its algorithm yet, else as the next one,
   * which signs once the lead time has passed. An imported key that signs is never rotated by itself.
   * @throws where the key is of a kind or size that a consumer cannot read: RSA from 2048 bits, P-256, P-384 only
   */
  import(ring: string, jwk: Readonly<Record<string, unknown>>): Promise<KeyInfo>
  /** Reads what other processes wrote and makes what is due (a next key, its promotion, a removal). True where this process's keys changed. */
  tick(): Promise<boolean>
}
