import { randomBytes } from 'node:crypto'
import type { AuditEvent } from '../../src/audit.ts'
import type { Decision } from '../../src/core/decision.ts'
import { accountId, type Subject } from '../../src/core/subject.ts'
import { type Leases, openLeases } from '../../src/leases/leases.ts'
import { openLedger } from '../../src/leases/ledger.ts'
import type { World } from '../../src/leases/world.ts'
import { type Ends, openEnds } from '../../src/lifecycle/end.ts'
import { openLines } from '../../src/lifecycle/lines.ts'
import { openProofShelf, type StoredProof } from '../../src/lifecycle/proofs.ts'
import { openRechecks, type Recheckable, type Rechecks } from '../../src/lifecycle/recheck.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import type { Store } from '../../src/store/store.ts'
import { type FakeTarget, fakeTarget, leasesIn } from './fake-target.ts'

interface Process {
  readonly leases: Leases
  readonly ends: Ends
  readonly rechecks: Rechecks
}

/** The leases on an embedded store, with a target in memory and rules that give `member` in each project that a claim names. */
export interface Ground {
  now: number
  store: Store
  readonly target: FakeTarget
  readonly events: AuditEvent[]
  readonly logs: { level: string; message: string }[]
  /** Says no to each later audit line. */
  audit: 'takes' | 'full'
  world: World
  /** Aborted where later processes are to stop. */
  stop: AbortSignal
  /** The one upstream; a later process asks it again. */
  upstream?: Recheckable
  /** Leases as one process has them; a second call is another process, or the same after a crash. @param store another view of it */
  process(store?: Store): Process
  /** One that has looked at everybody: until it does so again, what happens is found by marks alone. */
  serving(): Promise<Process>
  /** A sign-in; its proof is good for 1000 s. */
  signIn(proof: string, id: string, projects: readonly string[]): Promise<string>
  /** A sign-in for which the target is made ready. @param proof its id; the person's if absent */
  arrive(leases: Leases, id: string, projects: readonly string[], proof?: string): ReturnType<Leases['arrived']>
  /** What a person has at the target, and what the ledger says of her. */
  state(id: string): Promise<string>
  ledger(id: string): Promise<readonly string[]>
  /** Seconds pass, with what a process does in each; at most `seconds`. */
  pass(leases: Leases, seconds?: number): Promise<void>
  close(): Promise<void>
}

export const subOf = (id: string, connector = 'corp') => accountId({ connector, id })

/** `projects` gives member there; the claim `until` ends all of it; no claim allows nothing. */
export function rules(subject: Subject, now: number): Decision {
  const [until = Number.POSITIVE_INFINITY] = (subject.claims['until'] ?? []).map(Number)
  const projects = now < until ? (subject.claims['projects'] ?? []) : []
  return {
    allowed: projects.length > 0 || subject.claims['admit'] !== undefined,
    identity: { username: subject.id },
    grants: projects.map((project) => ({ target: 'cloud', project, roles: ['member'] })),
    until: now < until ? until : Number.POSITIVE_INFINITY,
    because: [],
  }
}

export async function startGround(target = fakeTarget()): Promise<Ground> {
  const ground: Ground = {
    now: 1_800_000_000,
    store: await openEmbedded({ path: ':memory:', now: () => ground.now }),
    target,
    events: [],
    logs: [],
    stop: new AbortController().signal,
    audit: 'takes',
    world: {
      targets: new Map([['cloud', { id: 'cloud', live: target.live, refuse: () => undefined }]]),
      bound: new Map(),
      decide: rules,
      connectors: new Set(['corp']),
      services: [],
      service: () => undefined,
    },
    process: (store = ground.store) => openProcess(ground, store),
    async serving() {
      const process = ground.process()
      await process.leases.passes()
      await process.leases.idle()
      return process
    },
    async signIn(proof, id, projects) {
      const { now } = ground
      const subject = { connector: 'corp', id, claims: { projects }, records: {}, authTime: now }
      const via = { client: 'cli', address: '::1' }
      const stored: StoredProof = { subject, provenAt: now, goodUntil: now + 1000, signedInAt: now, via }
      await openProofShelf(ground.store, () => ground.now).put(proof, stored)
      return subOf(id)
    },
    async arrive(leases, id, projects, proof = id) {
      return await leases.arrived(await ground.signIn(proof, id, projects), ['cloud'], 'request-1')
    },
    async state(id) {
      const person = target.people.get(subOf(id))
      if (!person) return 'nobody'
      return [person.enabled ? 'open' : 'locked', ...[...person.has].sort()].join(' ')
    },
    async ledger(id) {
      const account = await openLedger(ground.store).get('cloud', subOf(id))
      return [...(account?.locked ? ['locked'] : []), ...leasesIn(account)]
    },
    async pass(leases, seconds = 1) {
      for (let n = 0; n < seconds; n++) {
        ground.now += 1
        await leases.tick()
        await leases.idle()
        await leases.passes()
        await leases.idle()
      }
    },
    close: () => ground.store.close(),
  }
  return ground
}

function openProcess(ground: Ground, store: Store): Process {
  const now = () => ground.now
  const random = () => randomBytes(16).toString('base64url')
  const audit = async (_id: string, event: AuditEvent) => {
    if (ground.audit === 'full') throw new Error('no space left on device')
    ground.events.push(event)
  }
  const log = (level: string, message: string) => void ground.logs.push({ level, message })
  const proofs = openProofShelf(store, now)
  const lines = openLines(store, audit)
  const meter = { due: () => {}, target: () => {}, passed: () => {}, held: () => {} }
  const ports = { store, proofs, lines, audit, log, now, random }
  const gone = async (id: string) => void (await ends.end({ kind: 'proof', id }, 'recheck', { reference: 'recheck' }))
  const renewed: Leases['renewed'] = (before, after) => leases.renewed(before, after)
  const rechecks = openRechecks({ ...ports, connector: () => ground.upstream, gone, renewed })
  const leases = openLeases({ ...ports, meter, rechecks, world: () => ground.world, stop: ground.stop })
  const ends = openEnds({ ...ports, refuseFor: 3600, touched: leases.mark })
  return { leases, ends, rechecks }
}
