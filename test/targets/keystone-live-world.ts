import { z } from 'zod'
import { targetFields } from '../../src/config/schema.ts'
import type { Grant, Identity } from '../../src/core/decision.ts'
import { mergeGrants } from '../../src/core/grants.ts'
import { openLiveKeystone } from '../../src/targets/keystone/live/live.ts'
import { type KeystoneConfig, keystoneOptions, type ReconcileOptions } from '../../src/targets/keystone/options.ts'
import type { Account, Live, Question, Step, Wanted } from '../../src/targets/live.ts'
import { type KeystoneStandIn, type StandInOptions, startKeystoneStandIn } from '../support/keystone-stand-in.ts'

type OwnUser = NonNullable<ReconcileOptions['user']>

export interface LiveWorld {
  readonly keystone: KeystoneStandIn
  readonly live: Live
  readonly logs: readonly string[]
}

export interface LiveOptions {
  readonly keystone?: StandInOptions
  /** Of `reconcile`. */
  readonly reconcile?: Readonly<Record<string, unknown>>
  /** Unix seconds; the wall clock by default. */
  readonly now?: () => number
  /** For what the account is signed in; the project admin by default. */
  readonly scope?: OwnUser['scope']
  /** Wraps what the gateway reaches Keystone by. */
  readonly fetch?: (through: typeof fetch) => typeof fetch
}

/** A target as the loader leaves it: with secrets in the place of references. */
export function keystoneConfig(url: string, user: OwnUser, more: LiveOptions['reconcile'] = {}): KeystoneConfig {
  const written = { id: 'cloud', url, reconcile: { perSecond: 1000, ...more } }
  const config = z.strictObject({ ...targetFields, ...keystoneOptions }).parse(written)
  Object.assign(config.reconcile ?? {}, { user })
  return config
}

/** A Keystone in memory, and the side of a target that writes into it; `close` the Keystone. */
export async function startLive(options: LiveOptions = {}): Promise<LiveWorld> {
  const keystone = await startKeystoneStandIn(options.keystone)
  const { name, password, scope } = keystone.admin
  const user = { name, password, domain: 'Default', scope: options.scope ?? { ...scope, projectDomain: 'Default' } }
  const config = keystoneConfig(keystone.url, user, options.reconcile)
  const logs: string[] = []
  const ports = {
    now: options.now ?? (() => Math.floor(Date.now() / 1000)),
    fetch: options.fetch?.(fetch) ?? fetch,
    log: (_level: string, message: string, fields?: unknown) => void logs.push(`${message} ${JSON.stringify(fields)}`),
  }
  return { keystone, logs, live: openLiveKeystone(config, ports) }
}

/** The ledger before a step is done, as the gateway keeps it: what is given, or locked, is noted first. */
function before(account: Account, { kind, lease = '', says }: Step): Account {
  if (kind === 'lock') return { ...account, locked: true }
  return kind === 'give' ? { ...account, leases: { ...account.leases, [lease]: says } } : account
}

/** And after it: what was taken, or unlocked, is struck off. */
function afterwards(account: Account, { kind, lease = '' }: Step): Account {
  if (kind === 'unlock') return { ...account, locked: false }
  const { [lease]: _taken, ...leases } = account.leases
  return kind === 'take' ? { ...account, leases } : account
}

/** One account as a ledger has it. */
export function ledger(sub: string) {
  let account: Account = { sub, leases: {}, locked: false }
  return {
    account: () => account,
    /** Brings one account to what it is to have. @returns how many steps that took @param stop throws before the n-th step, after it was noted */
    async settle(live: Live, wanted: Wanted | 'gone', stop = Number.POSITIVE_INFINITY): Promise<number> {
      let done = 0
      for (let round = 0; round < 6; round++) {
        const question: Question = { account, wanted }
        const steps = live.plan(question, await live.observe([question]))
        if (steps.length === 0) return done
        for (const step of steps) {
          account = before(account, step)
          if (done === stop) throw new Error('killed')
          await live.apply(step)
          done++
          account = afterwards(account, step)
        }
      }
      throw new Error('never done')
    },
  }
}

/** Accounts as a ledger has them, brought to what they are to be all together. */
export function ledgers() {
  const accounts = new Map<string, Account>()
  const of = (sub: string): Account => accounts.get(sub) ?? { sub, leases: {}, locked: false }
  return {
    of,
    /**
     * Looks, plans and applies until no plan has a step. What fails in between is tried again from the beginning, as the queue does.
     * @returns how often something failed
     */
    async settle(live: Live, wishes: ReadonlyMap<string, Wanted | 'gone'>): Promise<number> {
      let failures = 0
      for (let round = 0; round < 60; round++) {
        const questions: readonly Question[] = [...wishes].map(([sub, wanted]) => ({ account: of(sub), wanted }))
        try {
          const observed = await live.observe(questions)
          const plans = questions.map((question) => [question.account.sub, live.plan(question, observed)] as const)
          if (plans.every(([, steps]) => steps.length === 0)) return failures
          for (const [sub, steps] of plans)
            for (const step of steps) {
              accounts.set(sub, before(of(sub), step))
              await live.apply(step)
              accounts.set(sub, afterwards(of(sub), step))
            }
        } catch (error) {
          if ((error as Error).name !== 'TargetUnavailable') throw error
          failures++
        }
      }
      throw new Error('never done')
    },
  }
}

export const federated = (sub: string) => [{ idp_id: 'lotse', protocols: [{ protocol_id: 'openid', unique_id: sub }] }]
export const ada: Identity = { username: 'ada@corp.example', email: 'ada@corp.example', domain: 'corp' }
export const project = (name: string, roles: readonly string[] = ['member'], domain?: string): Grant => ({
  target: 'cloud',
  project: name,
  roles,
  ...(domain === undefined ? {} : { domain }),
})
export const group = (name: string): Grant => ({ target: 'cloud', group: name })
export const wanted = (...grants: Grant[]): Wanted => ({ identity: ada, grants: mergeGrants(grants) })
