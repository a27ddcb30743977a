import { setTimeout as delay } from 'node:timers/promises'
import type { BusyIdp } from './busy-idp.ts'
import { anybody } from './crowd.ts'
import type { Place } from './serving.ts'
import { authorization, CALLBACK, toldAt } from './sign-in.ts'

/* A steady load of sign-ins, refreshes and device polls, and whether every answer was right. */

/** What a load met. */
export interface Tally {
  readonly logins: number
  readonly refreshes: number
  readonly polls: number
  /** Answers with 503, and requests that a dying process took with it. */
  readonly unavailable: number
  /** Refresh tokens that were refused after an attempt without an answer, more than ten seconds before: the protocol's own rule. */
  readonly late: number
  /** Milliseconds: the longest request, and the longest time in which none of a sort succeeded. */
  readonly slowest: number
  readonly gap: number
  /** Answers that should not have been. */
  readonly wrong: readonly string[]
}

/** A sign-in that refreshes over and over. */
interface Chain {
  token: string
  /** The token before, and when it was used with an answer; milliseconds. */
  used: { readonly token: string; readonly at: number }[]
  /** When it was first tried without an answer. */
  unsure: number | undefined
  over: boolean
}

export interface Load {
  /** Ends it. @returns what it met since the last look */
  stop(): Promise<void>
  /** What it met since this was last asked. */
  look(): Tally
  /**
   * Uses again what was used, and looks whether what was given still works.
   * @returns tokens and codes that were good twice, and refresh tokens that were acknowledged and are lost
   */
  audit(): Promise<{ readonly twice: number; readonly tried: number; readonly lost: number; readonly alive: number }>
}

export interface LoadOptions {
  readonly at: Place
  readonly idp: BusyIdp
  readonly refreshers: number
  readonly entrants: number
  readonly pollers: number
}

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** Milliseconds after which a refresh token that was used is used again by a thief alone. */
const WINDOW = 10_000
/** Milliseconds between two requests of one caller. */
const PACE = 40

export async function startLoad({ at, idp, refreshers, entrants, pollers }: LoadOptions): Promise<Load> {
  let seen = emptyTally()
  let going = true
  const last = { login: performance.now(), refresh: performance.now(), poll: performance.now() }
  const codes: { readonly code: string; readonly verifier: string }[] = []
  const chains: Chain[] = []

  const succeeded = (what: keyof typeof last) => {
    seen.gap = Math.max(seen.gap, performance.now() - last[what])
    last[what] = performance.now()
  }
  const timed = async <T>(work: () => Promise<T>): Promise<T> => {
    const begun = performance.now()
    try {
      return await work()
    } finally {
      seen.slowest = Math.max(seen.slowest, performance.now() - begun)
    }
  }
  /** Undefined where a process died with the request, or the balancer had nobody to give it to. */
  const posted = (path: string, fields: Record<string, string>): Promise<Answer | undefined> =>
    timed(async () => {
      try {
        const answer = await fetch(at.issuer + path, { method: 'POST', body: new URLSearchParams(fields) })
        if (answer.status === 502) return undefined
        return { status: answer.status, body: (await answer.json()) as Answer['body'] }
      } catch {
        return undefined
      }
    })
  const unavailable = (answer: Answer | undefined) => answer === undefined || answer.status === 503

  const enter = async (): Promise<Chain | undefined> => {
    const who = anybody(at)
    const request = authorization(at, 'portal', { scope: 'openid', connector: 'up' })
    const first = await timed(() => who.get(request.url)).catch(() => undefined)
    const away = first?.headers.get('location') ?? ''
    if (!first || !away.startsWith(idp.issuer)) return void missed(first)
    const page = await timed(() => who.get(idp.answer(new URL(away), 'ada'))).catch(() => undefined)
    if (!page?.headers.get('location')?.startsWith(CALLBACK)) return void missed(page)
    const told = toldAt(page)
    const code = told.get('code')
    if (code === null) return void missedAt(String(told.get('error')))
    const fields = { code, redirect_uri: CALLBACK, client_id: 'portal', code_verifier: request.verifier }
    const answer = await posted('/token', { grant_type: 'authorization_code', ...fields })
    if (unavailable(answer)) return void seen.unavailable++
    if (answer?.status !== 200) return void missedAt(`code: ${answer?.status} ${answer?.body['error']}`)
    seen.logins++
    succeeded('login')
    codes.push({ code, verifier: request.verifier })
    return { token: String(answer.body['refresh_token']), used: [], unsure: undefined, over: false }
  }
  // A sign-in in flight may be lost with what it began in: it begins again. Nothing else may be said.
  const missed = (page: { readonly status: number } | undefined) => {
    if (page === undefined || page.status >= 500 || page.status === 400) seen.unavailable++
    else seen.wrong.push(`sign-in: ${page.status}`)
  }
  const missedAt = (error: string) => {
    if (/temporarily_unavailable|server_error|invalid_grant/.test(error)) seen.unavailable++
    else seen.wrong.push(`sign-in: ${error}`)
  }

  const renew = async (chain: Chain): Promise<void> => {
    const { token } = chain
    const begun = performance.now()
    const answer = await posted('/token', { grant_type: 'refresh_token', client_id: 'portal', refresh_token: token })
    if (unavailable(answer)) {
      seen.unavailable++
      chain.unsure ??= begun
    } else if (answer?.status === 200) {
      seen.refreshes++
      succeeded('refresh')
      chain.used.push({ token, at: performance.now() })
      chain.token = String(answer.body['refresh_token'])
      chain.unsure = undefined
    } else {
      chain.over = true
      if (chain.unsure !== undefined && begun - chain.unsure > WINDOW - 2000) seen.late++
      else seen.wrong.push(`refresh: ${answer?.status} ${answer?.body['error']}`)
    }
  }
  const refresher = async () => {
    let chain: Chain | undefined
    while (going) {
      if (!chain || chain.over) {
        chain = await enter()
        if (chain) chains.push(chain)
      } else await renew(chain)
      await delay(PACE)
    }
  }
  const entrant = async () => {
    while (going) {
      await enter()
      await delay(PACE)
    }
  }
  const poller = async () => {
    let device: string | undefined
    while (going) {
      if (device === undefined) {
        const begun = await posted('/device/auth', { client_id: 'tv', scope: 'openid' })
        if (begun?.status === 200) device = String(begun.body['device_code'])
        else if (unavailable(begun)) seen.unavailable++
        else seen.wrong.push(`device: ${begun?.status} ${begun?.body['error']}`)
      } else {
        const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
        const answer = await posted('/token', { grant_type, client_id: 'tv', device_code: device })
        if (answer === undefined) seen.unavailable++
        else if (answer.body['error'] === 'authorization_pending') {
          seen.polls++
          if (answer.body['error_description'] !== 'the gateway is busy') succeeded('poll')
        } else {
          seen.wrong.push(`poll: ${answer.status} ${answer.body['error']}`)
          device = undefined
        }
      }
      await delay(PACE)
    }
  }
  const workers = [
    ...Array.from({ length: refreshers }, refresher),
    ...Array.from({ length: entrants }, entrant),
    ...Array.from({ length: pollers }, poller),
  ]
  return {
    async stop() {
      going = false
      await Promise.all(workers)
    },
    look() {
      const looked = seen
      seen = emptyTally()
      return looked
    },
    async audit() {
      going = false
      await Promise.all(workers)
      const told = seen
      const counts = { twice: 0, tried: 0, lost: 0, alive: 0 }
      for (const chain of chains.filter(({ over, unsure }) => !over && unsure === undefined)) {
        const before = told.wrong.length
        await renew(chain)
        counts[chain.over || told.wrong.length > before ? 'lost' : 'alive']++
      }
      await delay(WINDOW + 1000)
      for (const { used } of chains) {
        for (const { token } of used.slice(-40)) {
          counts.tried++
          const answer = await posted('/token', {
            grant_type: 'refresh_token',
            client_id: 'portal',
            refresh_token: token,
          })
          if (answer?.status === 200) counts.twice++
        }
      }
      for (const { code, verifier } of codes.slice(-200)) {
        counts.tried++
        const fields = { code, redirect_uri: CALLBACK, client_id: 'portal', code_verifier: verifier }
        const answer = await posted('/token', { grant_type: 'authorization_code', ...fields })
        if (answer?.status === 200) counts.twice++
      }
      return counts
    },
  }
}

const emptyTally = () => ({
  ...{ logins: 0, refreshes: 0, polls: 0, unavailable: 0, late: 0, slowest: 0, gap: 0 },
  wrong: [] as string[],
})
