import type { SigningAlg } from '../core/ports.ts'
import { type KeyPair, restoreKey } from './keypair.ts'
import type { RingState, StoredKey } from './ring-state.ts'
import type { KeyInfo, KeystoreKey } from './rings.ts'
import type { Root } from './root.ts'

/** One ring, opened: what every read of `Rings` answers from. */
export interface RingView {
  /** The stored text that it was made of. */
  readonly text: string
  readonly current: ReadonlyMap<SigningAlg, KeyPair>
  readonly pairs: readonly KeyPair[]
  /** Digests of what these keys have verified: another set of keys begins anew. */
  readonly verified: Set<string>
  readonly jwks: string
  readonly keystore: readonly KeystoreKey[]
  readonly infos: readonly KeyInfo[]
}

/** A sealed key opens in its own ring only. */
export function sealContext(ring: string): string {
  return `ring:${ring}`
}

/** @throws where a key was sealed with another root secret or for another ring */
export function openView(root: Root, ring: string, state: RingState, text: string): RingView {
  const opened = state.keys.map((stored) => ({ stored, pair: openKey(root, ring, stored) }))
  const isCurrent = ({ stored }: { stored: StoredKey }) => stored.state === 'current'
  const signing = opened.filter(isCurrent)
  const waiting = opened.filter((each) => !isCurrent(each))
  const byKid = opened.map(({ pair }) => pair).sort((one, other) => (one.kid < other.kid ? -1 : 1))
  return {
    text,
    current: new Map(signing.map(({ pair }) => [pair.alg, pair])),
    pairs: byKid,
    verified: new Set(),
    // Sorted by name, not by state: a promotion changes no byte, so no consumer sees another set than before.
    jwks: JSON.stringify({ keys: byKid.map(({ publicJwk }) => publicJwk) }),
    keystore: [
      ...signing.map(({ pair }) => keystoreKey(pair)),
      ...waiting.map(({ pair }) => ({ ...keystoreKey(pair), key_ops: ['verify'] })),
    ],
    infos: state.keys.map(({ sealed: _sealed, soon: _soon, ...info }) => ({ ring, ...info })),
  }
}

function keystoreKey({ privateJwk, kid, alg }: KeyPair): KeystoreKey {
  return { ...privateJwk, kid, alg }
}

function openKey(root: Root, ring: string, { kid, alg, sealed }: StoredKey): KeyPair {
  let text: string
  try {
    text = root.open(sealed, sealContext(ring))
  } catch (cause) {
    throw new Error(
      `ring ${ring} cannot be opened: its keys were sealed with another root secret than the one in keys/ (restore that one)`,
      { cause },
    )
  }
  const pair = restoreKey(alg, JSON.parse(text))
  // Who can write to the store cannot put one sealed key in another's place.
  if (pair.kid !== kid) throw new Error(`ring ${ring} was tampered with: key ${kid} holds another key`)
  return pair
}
