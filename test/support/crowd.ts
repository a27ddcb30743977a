import { setTimeout as delay } from 'node:timers/promises'
import { type Browser, browser } from './browser.ts'
import type { BusyIdp } from './busy-idp.ts'
import { claimsIn } from './gateway.ts'
import { type Place, place } from './serving.ts'
import { authorization, CALLBACK, toldAt } from './sign-in.ts'

/** Lines of YAML for a gateway between a crowd and its upstreams. */
export interface Crowd {
  /** The upstreams, by the id of their connector: the upstream and more of the connector's options, such as `recheckAfter: 2s`. */
  readonly upstreams: Readonly<Record<string, { readonly idp: BusyIdp; readonly more: string }>>
  /** Native public clients that refresh, by id; the text is more options, such as a back channel. */
  readonly clients: Readonly<Record<string, string>>
}

/** A folder for `lotse serve` with these upstreams and clients; everybody there has a group at the one target. */
export async function crowdedPlace({ upstreams, clients }: Crowd): Promise<Place> {
  const at = await place()
  const connectors = Object.entries(upstreams).map(
    ([id, { idp, more }]) =>
      `  - { id: ${id}, type: oidc, label: ${id}, issuer: ${idp.issuer}, clientId: lotse, clientSecret: { env: UP_SECRET }, domain: ${id}, identity: { prefix: '${id}:' }, upstreamLogout: 'off', ${more} }\n`,
  )
  const own = Object.entries(clients).map(
    ([id, more]) =>
      `  - { id: ${id}, native: true, target: argo, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], alwaysRefresh: true${more && `, ${more}`} }\n`,
  )
  const rule = `  - { name: crowd, from: [${Object.keys(upstreams)}], each: { claim: groups, pattern: '<team>' }, give: [{ target: argo, group: 'all-<team>' }] }\n`
  await at.change('targets:\n', `${connectors.join('')}targets:\n`)
  await at.change('rules:\n', `${own.join('')}rules:\n${rule}`)
  await at.change("path: '-'", 'path: ./audit.jsonl')
  return at
}

/** What a client holds after a sign-in, and the browser that made it. */
export interface Entered {
  readonly who: Browser
  readonly sid: string
  token: string
}

/** How somebody comes in; without `sub` it must be single sign-on. */
export interface Entry {
  readonly client: string
  readonly who?: Browser
  readonly connector?: string
  readonly sub?: string
  readonly idp?: BusyIdp
}

/** Anybody's browser: it stops wherever it is sent away from the gateway. */
export const anybody = (at: Place): Browser => browser({ stopAt: (url) => url.origin !== at.issuer })

/** From the client's request to its tokens. @throws where that does not end with tokens */
export async function enter(at: Place, entry: Entry): Promise<Entered> {
  const { client, who = anybody(at), connector, sub, idp } = entry
  const request = authorization(at, client, { scope: 'openid', ...(connector === undefined ? {} : { connector }) })
  let page = await who.get(request.url)
  const away = page.headers.get('location') ?? ''
  if (idp && sub !== undefined && away.startsWith(idp.issuer)) page = await who.get(idp.answer(new URL(away), sub))
  const { status, body } = await post(at, {
    grant_type: 'authorization_code',
    code: toldAt(page).get('code') ?? '',
    redirect_uri: CALLBACK,
    client_id: client,
    code_verifier: request.verifier,
  })
  if (status !== 200) throw new Error(`no tokens: ${status} ${JSON.stringify(body)}`)
  return { who, token: String(body['refresh_token']), sid: String(claimsIn(String(body['id_token']))['sid']) }
}

/** A form at the token endpoint. */
export async function post(at: Place, fields: Record<string, string>) {
  const answer = await fetch(`${at.issuer}/token`, { method: 'POST', body: new URLSearchParams(fields) })
  return { status: answer.status, body: (await answer.json()) as Readonly<Record<string, unknown>> }
}

/** Refreshes what was entered, and keeps the successor: `tokens`, or the status and error. */
export async function renew(at: Place, client: string, entered: { token: string }): Promise<string> {
  const fields = { grant_type: 'refresh_token', client_id: client, refresh_token: entered.token }
  const { status, body } = await post(at, fields)
  if (status !== 200) return `${status} ${body['error']}`
  entered.token = String(body['refresh_token'])
  return 'tokens'
}

/** Runs over all items, some at a time. */
export async function atOnce<T, R>(items: readonly T[], width: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at]!)
  }
  await Promise.all(Array.from({ length: width }, worker))
  return results
}

/** Waits until something holds. @throws with `what` where it does not within `milliseconds` */
export async function until(what: string, milliseconds: number, holds: () => boolean | Promise<boolean>) {
  const begun = performance.now()
  while (!(await holds())) {
    if (performance.now() - begun > milliseconds) throw new Error(`not within ${milliseconds} ms: ${what}`)
    await delay(5)
  }
  return performance.now() - begun
}

/** How many milliseconds were needed at most by a part of all. */
export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
}
