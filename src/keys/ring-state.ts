import type { SigningAlg } from '../core/ports.ts'
import { signingAlgs } from './keypair.ts'
import type { KeyInfo } from './rings.ts'

/** One key as it stands in the store. */
export interface StoredKey extends Omit<KeyInfo, 'ring'> {
  /** The private JWK, sealed for this ring. */
  readonly sealed: string
  /** For a next key: promote it as soon as it was published for the lead time, whatever the age of the current one. */
  readonly soon: boolean
}

/** One ring as it stands in the store. */
export interface RingState {
  readonly keys: readonly StoredKey[]
  /** Kids that were here, newest last: none of them comes back. */
  readonly gone: readonly string[]
}

/** Seconds. */
export interface Timing {
  /** Age at which a current key that was made here makes way; imported ones wait for their operator. */
  readonly rotateEvery: number
  /** How long a next key is published before it signs; longer than any consumer caches `/jwks`. */
  readonly lead: number
  /** How long a retired key stays published: until the last token that it signed is dead. */
  readonly retireFor: number
}

/** A key that has to be made, and what it will be. */
export interface Wanted {
  readonly alg: SigningAlg
  readonly state: 'current' | 'next'
  readonly soon: boolean
}

/** One key that began to sign: what the audit log hears. */
export interface KeyChange {
  readonly ring: string
  readonly alg: SigningAlg
  readonly kid: string
  readonly how: 'first' | 'due' | 'orderly' | 'now' | 'emergency'
}

export const emptyRing: RingState = { keys: [], gone: [] }

const REMEMBERED = 1000

/** @throws where the text is not what `writeRing` wrote */
export function readRing(name: string, text: string | undefined): RingState {
  if (text === undefined) return emptyRing
  const value: unknown = JSON.parse(text)
  if (!isRing(value)) throw new Error(`the stored ring ${name} is not of a version that this program knows`)
  return { keys: value.keys, gone: value.gone }
}

export function writeRing(state: RingState): string {
  return JSON.stringify({ v: 1, keys: state.keys, gone: state.gone })
}

function isRing(value: unknown): value is RingState & { v: 1 } {
  if (typeof value !== 'object' || value === null) return false
  if (!('v' in value) || value.v !== 1 || !('gone' in value) || !Array.isArray(value.gone)) return false
  return 'keys' in value && Array.isArray(value.keys) && value.keys.every((key) => signingAlgs.includes(key?.alg))
}

/** The current or the next key of an algorithm. */
export function keyIn(state: RingState, alg: SigningAlg, which: 'current' | 'next'): StoredKey | undefined {
  return state.keys.find((key) => key.alg === alg && key.state === which)
}

/** Adds a key. */
export function add(state: RingState, key: StoredKey): RingState {
  return { ...state, keys: [...state.keys, key] }
}

/** Takes the keys that pass the test away for good. */
export function drop(state: RingState, test: (key: StoredKey) => boolean): RingState {
  const away = state.keys.filter(test)
  if (away.length === 0) return state
  return {
    keys: state.keys.filter((key) => !test(key)),
    gone: [...state.gone, ...away.map((key) => key.kid)].slice(-REMEMBERED),
  }
}

/** The next key becomes current, the current one retired. */
export function promote(state: RingState, alg: SigningAlg, now: number): RingState {
  const keys = state.keys.map((key): StoredKey => {
    if (key.alg !== alg || key.state === 'retired') return key
    return { ...key, state: key.state === 'next' ? 'current' : 'retired', stateSince: now, soon: false }
  })
  return { ...state, keys }
}

/** Whether a next key was published for long enough that every consumer has it. */
export function isRipe(key: StoredKey, timing: Timing, now: number): boolean {
  return now >= key.stateSince + timing.lead
}

/** When something is due. */
export interface Moment {
  /** Unix seconds. */
  readonly now: number
  /** Next keys that a process which serves does not have yet: they do not replace one that signs. */
  readonly awaited: ReadonlySet<string>
  /** What becomes of algorithms that are not asked for: they stay while another process may ask for them. */
  readonly unasked: 'retire' | 'keep'
}

/** What is due for a ring at a moment: its state after promotions and removals, the keys to make, and who began to sign. Pure. */
export function due(
  state: RingState,
  algs: readonly SigningAlg[],
  timing: Timing,
  { now, awaited, unasked }: Moment,
): { state: RingState; wanted: readonly Wanted[]; promoted: readonly StoredKey[] } {
  let after = drop(state, (key) => key.state === 'retired' && now >= key.stateSince + timing.retireFor)
  if (unasked === 'retire') after = retireUnasked(after, algs, now)
  const wanted: Wanted[] = []
  const promoted: StoredKey[] = []
  for (const alg of algs) {
    const current = keyIn(after, alg, 'current')
    const next = keyIn(after, alg, 'next')
    const dueAt = current && !current.imported ? current.stateSince + timing.rotateEvery : Infinity
    if (!current && !next) wanted.push({ alg, state: 'current', soon: false })
    else if (
      next &&
      (!current || (isRipe(next, timing, now) && !awaited.has(next.kid) && (next.soon || now >= dueAt)))
    ) {
      after = promote(after, alg, now)
      promoted.push(next)
    } else if (!next && now >= dueAt - timing.lead) wanted.push({ alg, state: 'next', soon: false })
  }
  return { state: after, wanted, promoted }
}

/** An algorithm that the configuration no longer asks for signs no more; its tokens stay good until they end. */
function retireUnasked(state: RingState, algs: readonly SigningAlg[], now: number): RingState {
  const unasked = (key: StoredKey) => !algs.includes(key.alg) && key.state !== 'retired'
  if (!state.keys.some(unasked)) return state
  const without = drop(state, (key) => unasked(key) && key.state === 'next')
  const keys = without.keys.map((key): StoredKey => {
    return unasked(key) ? { ...key, state: 'retired', stateSince: now, soon: false } : key
  })
  return { ...without, keys }
}
