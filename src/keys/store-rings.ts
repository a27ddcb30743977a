import { type Clock, ISSUER_RING, type SigningAlg } from '../core/ports.ts'
import { kinds } from '../store/kinds.ts'
import type { Store } from '../store/store.ts'
import { certifiedKeys } from './certificate.ts'
import { importKey } from './import.ts'
import { signJws, verifyJws } from './jws.ts'
import { generateKey, type KeyPair } from './keypair.ts'
import {
  add,
  drop,
  due,
  isRipe,
  type KeyChange,
  keyIn,
  promote,
  type RingState,
  readRing,
  type StoredKey,
  type Timing,
  type Wanted,
  writeRing,
} from './ring-state.ts'
import { openView, type RingView, sealContext } from './ring-view.ts'
import type { KeyInfo, RingSpec, Rings, Rotation } from './rings.ts'
import type { Root } from './root.ts'

export interface RingOptions extends Timing {
  readonly store: Store
  readonly root: Root
  readonly now: Clock
  readonly specs: readonly RingSpec[]
  /** Bits of an RSA key that is made here. */
  readonly rsaBits: number
  /**
   * `serve` makes, promotes and removes what is due; `command` does only what it is asked to, so that an operator's command with a
   * newer configuration than the running gateway's changes nothing by the way. `serve` if absent.
   */
  readonly mode?: 'serve' | 'command'
  /** Which of these keys a process that serves does not have yet; none where it is the only one. */
  readonly awaited?: (kids: readonly string[]) => Promise<ReadonlySet<string>>
  /** Whether all processes that serve use this configuration; true where it is the only one. */
  readonly agreed?: () => Promise<boolean>
  /** Hears of every key that begins to sign, in the process that made it so: for the audit log. */
  readonly report?: (change: KeyChange) => Promise<void>
}

/** What an edit makes of a ring: its new state, and which keys began to sign. */
interface Edited {
  readonly state: RingState
  readonly changes: readonly KeyChange[]
}

/** Writers that lose this often in a row meet something other than a race. */
const ATTEMPTS = 20

/**
 * The rings of an installation, in the store: all processes on one store share keys and rotation. Makes what is missing.
 * @throws where the store cannot be used, or where its rings were sealed with another root secret
 */
export async function openRings(options: RingOptions): Promise<Rings> {
  const { lead, rotateEvery } = options
  if (lead >= rotateEvery)
    throw new Error(`keys.lead (${lead} s) must be shorter than keys.rotateEvery (${rotateEvery} s)`)
  const rings = compose(options)
  await rings.tick()
  return rings
}

function compose(options: RingOptions): Rings {
  const { specs } = options
  const views = new Map<string, RingView>()
  const oneAtATime = serialised()
  const edit = editor(options, views)

  const specOf = (ring: string, alg?: SigningAlg): RingSpec => {
    const spec = specs.find(({ name }) => name === ring)
    if (!spec) throw new Error(`there is no ring ${ring}; there is ${specs.map(({ name }) => name).join(', ')}`)
    if (alg && !spec.algs.includes(alg)) throw new Error(`ring ${ring} signs ${spec.algs.join(', ')}, not ${alg}`)
    return spec
  }

  const certifiedAs = (ring: string) => specs.find(({ name }) => name === ring)?.certifiedAs

  return {
    sign(ring, alg, typ, payload) {
      const pair = views.get(ring)?.current.get(alg)
      if (!pair) throw new Error(`ring ${ring} has no current key for ${alg}`)
      return signJws(pair, typ, payload)
    },
    verify(ring, typ, jws) {
      const view = views.get(ring)
      return view && verifyJws(view.pairs, typ, jws, view.verified)
    },
    jwks: (ring) => (certifiedAs(ring) === undefined ? views.get(ring)?.jwks : undefined),
    keystore: () => views.get(ISSUER_RING)?.keystore ?? [],
    certified: (ring) => certifiedKeys(views.get(ring), certifiedAs(ring)),
    list: () => specs.flatMap(({ name }) => views.get(name)?.infos ?? []),
    rotate: (ring, alg, how) =>
      oneAtATime(async () => {
        const timing = timingOf(options, specOf(ring, alg))
        let answer: 'promoted' | 'announced' = 'promoted'
        await edit(ring, async (state, make) => {
          const edited = await rotated({ ...options, ...timing }, { ring, alg, how }, state, make)
          answer = edited.changes.length > 0 ? 'promoted' : 'announced'
          return edited
        })
        return answer
      }),
    import: (ring, jwk) => oneAtATime(() => importInto(options, specOf(ring), jwk, edit)),
    tick: () =>
      oneAtATime(async () => {
        const before = specs.map(({ name }) => views.get(name)?.text)
        const failures: unknown[] = []
        // One ring that cannot be read keeps no other one from rotating.
        for (const spec of specs)
          await edit(spec.name, (state, make) => advanced(options, spec, state, make)).catch((error: unknown) =>
            failures.push(error),
          )
        if (failures.length > 0) throw failures[0]
        return specs.some(({ name }, index) => views.get(name)?.text !== before[index])
      }),
  }
}

/** When keys of a ring come and go. */
const timingOf = (options: RingOptions, { timing }: RingSpec): Timing => timing ?? options

/** Runs tasks one after another: two ticks of one process never make the same key twice. */
function serialised(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (task) => {
    const mine = last.then(task, task)
    last = mine.catch(() => undefined)
    return mine
  }
}

/** Makes the key that is wanted, sealed for its ring; asked again for the same, answers with the same. */
type Make = (wanted: Wanted) => Promise<StoredKey>
type Edit = (ring: string, change: (state: RingState, make: Make) => Promise<Edited>) => Promise<void>

/** Reads a ring, changes it, writes it by compare-and-set and again where another process was first, then takes it as this process's view. */
function editor(options: RingOptions, views: Map<string, RingView>): Edit {
  const { store, root, report } = options
  return async (ring, change) => {
    const make = maker(options, ring)
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const text = (await store.get(kinds.Ring, ring))?.value
      const before = readRing(ring, text)
      const { state, changes } = await change(before, make)
      const written = state === before ? (text ?? '') : writeRing(state)
      if (state !== before && !(await store.swap(kinds.Ring, ring, text, written, Infinity))) continue
      if (views.get(ring)?.text !== written) views.set(ring, openView(root, ring, state, written))
      for (const each of changes) await report?.(each)
      return
    }
    throw new Error(`ring ${ring} could not be written: another process changed it ${ATTEMPTS} times meanwhile`)
  }
}

/** Keys are made once for each wish and kept over attempts: RSA takes a second of CPU. */
function maker(options: RingOptions, ring: string): Make {
  const made = new Map<string, Promise<KeyPair>>()
  return async ({ alg, state, soon }) => {
    const wish = made.get(alg) ?? generateKey(alg, options.rsaBits)
    made.set(alg, wish)
    return stored(options, ring, await wish, { state, soon, imported: false })
  }
}

function stored(
  { root, now }: RingOptions,
  ring: string,
  { kid, alg, privateJwk }: KeyPair,
  as: Pick<StoredKey, 'state' | 'soon' | 'imported'>,
): StoredKey {
  const sealed = root.seal(JSON.stringify(privateJwk), sealContext(ring))
  return { kid, alg, createdAt: now(), stateSince: now(), sealed, ...as }
}

/** A key that signs before all processes have it signs what some of them would refuse. */
async function awaitedOf({ awaited }: RingOptions, keys: readonly StoredKey[]): Promise<ReadonlySet<string>> {
  if (keys.length === 0 || !awaited) return new Set()
  return await awaited(keys.map(({ kid }) => kid))
}

async function advanced(options: RingOptions, spec: RingSpec, state: RingState, make: Make): Promise<Edited> {
  if (options.mode === 'command') return { state, changes: [] }
  // Two configurations that ask for different algorithms would retire and make keys in turn, for as long as both serve.
  const others = state.keys.some((key) => key.state !== 'retired' && !spec.algs.includes(key.alg))
  const unasked = others && (await options.agreed?.()) === false ? 'keep' : 'retire'
  const planned = (awaited: ReadonlySet<string>) =>
    due(state, spec.algs, timingOf(options, spec), { now: options.now(), awaited, unasked })
  const ready = planned(new Set())
  // Asked only where a key would begin to sign.
  const awaited = await awaitedOf(options, ready.promoted)
  const plan = awaited.size > 0 ? planned(awaited) : ready
  const ring = spec.name
  const changes = plan.promoted.map(({ alg, kid }): KeyChange => ({ ring, alg, kid, how: 'due' }))
  let after = plan.state
  for (const wanted of plan.wanted) {
    const key = await make(wanted)
    after = add(after, key)
    if (wanted.state === 'current') changes.push({ ring, alg: key.alg, kid: key.kid, how: 'first' })
  }
  return { state: after, changes }
}

async function rotated(
  options: RingOptions,
  { ring, alg, how }: { readonly ring: string; readonly alg: SigningAlg; readonly how: Rotation },
  state: RingState,
  make: Make,
): Promise<Edited> {
  const now = options.now()
  const change = (kid: string): readonly KeyChange[] => [{ ring, alg, kid, how }]
  if (how === 'emergency') {
    // Whoever has the current key may have the others of the same store: none of them is believed any more.
    const key = await make({ alg, state: 'current', soon: false })
    return {
      state: add(
        drop(state, (old) => old.alg === alg),
        key,
      ),
      changes: change(key.kid),
    }
  }
  const next = keyIn(state, alg, 'next')
  const ripe = next && isRipe(next, options, now) && (await awaitedOf(options, [next])).size === 0
  if (next && (how === 'now' || ripe)) return { state: promote(state, alg, now), changes: change(next.kid) }
  if (next) return { state: hurried(state, next), changes: [] }
  const key = await make({ alg, state: 'next', soon: true })
  if (how === 'orderly') return { state: add(state, key), changes: [] }
  return { state: promote(add(state, key), alg, now), changes: change(key.kid) }
}

function hurried(state: RingState, next: StoredKey): RingState {
  if (next.soon) return state
  return { ...state, keys: state.keys.map((key) => (key === next ? { ...key, soon: true } : key)) }
}

async function importInto(
  options: RingOptions,
  { name: ring, algs }: RingSpec,
  jwk: Readonly<Record<string, unknown>>,
  edit: Edit,
): Promise<KeyInfo> {
  const pair = importKey(jwk, algs)
  await refuseElsewhere(options.store, ring, pair.kid)
  let info: KeyInfo | undefined
  await edit(ring, async (state) => {
    if (state.gone.includes(pair.kid)) throw new Error(`key ${pair.kid} was used before and taken away; make a new one`)
    if (state.keys.some(({ kid }) => kid === pair.kid)) throw new Error(`key ${pair.kid} is in ring ${ring} already`)
    const first = !keyIn(state, pair.alg, 'current')
    const key = stored(options, ring, pair, { state: first ? 'current' : 'next', soon: !first, imported: true })
    const { sealed: _sealed, soon: _soon, ...shown } = key
    info = { ring, ...shown }
    const free = drop(state, (old) => old.alg === pair.alg && old.state === 'next')
    return { state: add(free, key), changes: first ? [{ ring, alg: pair.alg, kid: pair.kid, how: 'first' }] : [] }
  })
  if (!info) throw new Error(`key ${pair.kid} was not written`)
  return info
}

/** One key in two rings would make a token for one audience good at another (law 8). */
async function refuseElsewhere(store: Store, ring: string, kid: string): Promise<void> {
  for (const entry of await store.list(kinds.Ring, 10_000)) {
    if (entry.id === ring) continue
    const { keys, gone } = readRing(entry.id, entry.value)
    if (gone.includes(kid) || keys.some((key) => key.kid === kid))
      throw new Error(`key ${kid} belongs to ring ${entry.id}; each ring needs its own keys`)
  }
}
