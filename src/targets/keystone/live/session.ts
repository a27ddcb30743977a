import { type LivePorts, TargetUnavailable } from '../../live.ts'
import type { KeystoneConfig } from '../options.ts'
import { credentialOf } from './credential.ts'
import { type Ask, refusal } from './request.ts'

/** A token of the gateway's own account. */
export interface SignedIn {
  readonly token: string
  /** Unix seconds. */
  readonly until: number
  readonly domain: { readonly id: string; readonly name: string } | undefined
}

export interface Session {
  /** The token that is good now; whoever comes while one is fetched waits for that one. @throws {TargetUnavailable} */
  get(): Promise<SignedIn>
  /** This one is not good any more, whatever its end says. */
  forget(one: SignedIn): void
}

/** Seconds before its end at which a token is not used any more: clocks differ, and a request takes its time. */
const EARLY = 60
/** Seconds for which a refusal is believed: Keystone may lock an account that comes with a wrong password again and again. */
const REFUSED = 30

export function openSession(config: KeystoneConfig, { now }: Pick<LivePorts, 'now'>, ask: Ask): Session {
  let current: SignedIn | undefined
  let fresh: Promise<SignedIn> | undefined
  let refused: { readonly error: TargetUnavailable; readonly until: number } | undefined

  const renew = async (): Promise<SignedIn> => {
    try {
      current = await signIn(config, ask)
      refused = undefined
      return current
    } catch (error) {
      if (error instanceof TargetUnavailable && error.kind === 'refused') refused = { error, until: now() + REFUSED }
      throw error
    } finally {
      fresh = undefined
    }
  }

  return {
    async get() {
      if (current !== undefined && current.until - EARLY > now()) return current
      if (refused !== undefined && now() < refused.until) throw refused.error
      fresh ??= renew()
      return await fresh
    },
    // Of many that meet a dead token only the first finds it here: what another has fetched since stays.
    forget(one) {
      if (current === one) current = undefined
    },
  }
}

async function signIn({ id, reconcile }: KeystoneConfig, ask: Ask): Promise<SignedIn> {
  if (reconcile === undefined) throw new Error(`target ${id} has no reconcile`)
  const { status, headers, body } = await ask('POST', '/auth/tokens', {}, { auth: credentialOf(reconcile) })
  if (status !== 201) throw refusal(id, { asks: "sign in with the gateway's own account", status, body })
  const { token } = body as { token?: { expires_at?: string; domain?: { id: string; name: string } } }
  const until = Math.floor(Date.parse(token?.expires_at ?? '') / 1000)
  const value = headers.get('x-subject-token')
  if (value === null || !Number.isFinite(until))
    throw new TargetUnavailable('refused', `Keystone ${id} gave no token with an end; is its url right?`)
  return { token: value, until, domain: token?.domain }
}
