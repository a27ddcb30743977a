import { z } from 'zod'
import { targetFields } from '../../src/config/schema.ts'
import type { Grant, Identity } from '../../src/core/decision.ts'
import { mergeGrants } from '../../src/core/grants.ts'
import { openLiveKeystone } from '../../src/targets/keystone/live/live.ts'
import { type KeystoneConfig, keystoneOptions, type ReconcileOptions } from '../../src/targets/keystone/options.ts'
import type { Account, Live, Question, Wanted } from '../../src/targets/live.ts'
import { type KeystoneStandIn, type StandInOptions, startKeystoneStandIn } from '../support/keystone-stand-in.ts'

const now = () => Math.floor(Date.now() / 1000)

export interface World {
  readonly keystone: KeystoneStandIn
  readonly live: Live
  readonly logs: string[]
}

/** A target as the loader leaves it: with secrets in the place of references. */
export function keystoneConfig(
  url: string,
  user: NonNullable<ReconcileOptions['user']>,
  more: Readonly<Record<string, unknown>> = {},
): KeystoneConfig {
  const written = { id: 'cloud', url, reconcile: { perSecond: 1000, ...more } }
  const config = z.strictObject({ ...targetFields, ...keystoneOptions }).parse(written)
  Object.assign(config.reconcile ?? {}, { user })
  return config
}

/** What stands between the gateway and Keystone, beside its sign-ins. @param ask asks Keystone */
export type Between = (url: URL, ask: () => Promise<Response>, method: string) => Promise<Response>

export async function start(
  options: StandInOptions = {},
  more: Readonly<Record<string, unknown>> = {},
  between?: Between,
): Promise<World> {
  const keystone = await startKeystoneStandIn(options)
  const { name, password, scope } = keystone.admin
  const user = { name, password, domain: 'Default', scope: { ...scope, projectDomain: 'Default' } }
  const config = keystoneConfig(keystone.url, user, more)
  const logs: string[] = []
  const log = (_level: string, message: string, fields?: unknown) =>
    void logs.push(`${message} ${JSON.stringify(fields)}`)
  const proxied: typeof fetch = (input, init) =>
    between && !String(input).endsWith('/auth/tokens')
      ? between(new URL(String(input)), () => fetch(input, init), init?.method ?? 'GET')
      : fetch(input, init)
  return { keystone, logs, live: openLiveKeystone(config, { now, fetch: proxied, log }) }
}

/** A ledger as the gateway keeps it: what is given is noted before, what is taken struck off after. */
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
          const { kind, lease = '', says } = step
          if (kind === 'give') account = { ...account, leases: { ...account.leases, [lease]: says } }
          if (kind === 'lock') account = { ...account, locked: true }
          if (done === stop) throw new Error('killed')
          await live.apply(step)
          done++
          const { [lease]: _taken, ...rest } = account.leases
          if (kind === 'take') account = { ...account, leases: rest }
          if (kind === 'unlock') account = { ...account, locked: false }
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
