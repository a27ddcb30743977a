import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Decision } from '../core/decision.ts'
import type { Proof } from '../core/subject.ts'
import { groupOf, REFUSED, type StoredProof, type Via } from '../lifecycle/proofs.ts'
import type { Parts } from './parts.ts'

/** A stored proof and what the rules of this moment say about it. */
export interface Bound {
  readonly id: string
  readonly proof: StoredProof
  readonly decision: Decision
  /** Unix seconds: the end of the proof or of the decision, whichever is first. */
  readonly until: number
}

/** Reads proofs and decides on them; at most once for one request. */
export interface Proofs {
  /**
   * Undefined where the proof is gone or its time is over.
   * @param how `fresh`: the upstream is asked again where the proof is older than its connector wants
   * @throws {LoginError} `upstream_unavailable`, with `fresh`
   */
  of(ctx: object, id: string | undefined, how: 'stored' | 'fresh'): Promise<Bound | undefined>
  /** What `of` found last for this request. */
  seen(ctx: object): Bound | undefined
  /**
   * Stores the proof of a sign-in, and goes on with it for this request. False: it, or the person, was ended since it began.
   * @param via how she came, and when the sign-in began
   */
  keep(ctx: object, id: string, proof: Proof, via: Via & { readonly begunAt: number }): Promise<boolean>
}

/** The proof, not the verdict, is stored: a changed rule acts at the next token. */
export function openProofs(parts: Pick<Parts, 'store' | 'proofs' | 'rechecks' | 'now' | 'decide'>): Proofs {
  // Not in a WeakMap: quick collections take what its values refer to for used, so that these end with a full one.
  const BOUND = Symbol('bound')
  const seen = (ctx: object) => (ctx as { readonly [BOUND]?: Bound })[BOUND]
  const bindTo = (ctx: object, found: Bound) => Object.assign(ctx, { [BOUND]: found })

  const bind = (id: string, proof: StoredProof): Bound | undefined => {
    const now = parts.now()
    if (proof.goodUntil <= now) return undefined
    const decision = parts.decide(proof.subject, now)
    return { id, proof, decision, until: Math.floor(Math.min(proof.goodUntil, decision.until)) }
  }

  return {
    async of(ctx, id, how) {
      const before = seen(ctx)
      if (before && before.id === id) return before
      if (id === undefined) return undefined
      const stored = await parts.proofs.get(id)
      if (!stored || stored.goodUntil <= parts.now()) return undefined
      const proof = how === 'fresh' ? await parts.rechecks.fresh(id, stored) : stored
      const found = proof && bind(id, proof)
      if (found) bindTo(ctx, found)
      return found
    },
    seen,
    async keep(ctx, id, proof, { begunAt, ...via }) {
      const stored = { ...proof, signedInAt: proof.provenAt, via }
      if (!(await parts.proofs.put(id, stored))) return false
      // First written, then looked: an end in between finds it, and one before is found here.
      if ((await parts.proofs.endedAt(proof)) > begunAt) {
        await parts.store.revoke(groupOf.proof(id), REFUSED)
        return false
      }
      const made = bind(id, stored)
      if (made) bindTo(ctx, made)
      return true
    },
  }
}

/** Whether a decision gives something at a target, or admits the person without a grant (law 5). */
export function reaches(decision: Decision, target: string): boolean {
  if (!decision.allowed) return false
  return (
    decision.grants.some((grant) => grant.target === target) ||
    decision.because.some(({ effect, targets }) => effect === 'admitted' && (targets?.includes(target) ?? true))
  )
}

/** Whether a decision gives something at one of the targets; with none named, whether it allows the person at all. */
export function reachesAny(decision: Decision, targets: readonly string[]): boolean {
  return targets.length === 0 ? decision.allowed : targets.some((target) => reaches(decision, target))
}

/** The proof id that a Grant or a Session of the library carries (see tokens.ts, `carryProof`). */
export function proofIdOf(model: unknown): string | undefined {
  const id = (model as { proof?: unknown } | undefined)?.proof
  return typeof id === 'string' ? id : undefined
}

/** When and by which connector the person of a session signed in; carried by the session itself. */
export interface SignedIn {
  /** Unix seconds. */
  readonly at: number
  readonly connector: string
}

export function signedInOf(session: unknown): SignedIn | undefined {
  return (session as { signedIn?: SignedIn } | undefined)?.signedIn
}

export type Context = KoaContextWithOIDC
