import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { honestSign } from './rogue-idp.ts'

/** `silent`: takes requests and never answers; `broken`: drops them. */
export type Mood = 'well' | 'silent' | 'broken'

/** A refresh that arrived at the upstream. */
export interface Asked {
  /** Which sign-in it was about: `answer` counts them from 0. */
  readonly signIn: number
  /** Milliseconds of `performance.now`. */
  readonly at: number
  readonly mood: Mood
}

/**
 * An OpenID provider for many people at once, honest and cheap. Its refresh tokens are good once: who asks with an old one hears
 * `invalid_grant`, as from an upstream that takes a replay for a theft.
 */
export interface BusyIdp {
  readonly issuer: string
  /** Every refresh so far, in the order of arrival. */
  readonly asked: readonly Asked[]
  /** Refreshes that an old token came with. */
  readonly replays: () => number
  /** The most refreshes that were under way at once. */
  readonly most: () => number
  /** A mood and how many milliseconds an answer takes; what hangs at that moment is dropped. */
  become(mood: Mood, latency?: number): void
  /** The address to which it sends the browser of somebody who has signed in. */
  answer(begun: URL, sub: string): URL
  /** A logout token that names a person and no session. */
  logoutToken(sub: string): string
  close(): Promise<void>
}

interface SignIn {
  readonly sub: string
  readonly nonce: string | null
  /** How often it was refreshed: its refresh token names it. */
  refreshed: number
}

type Json = Readonly<Record<string, unknown>>

const encode = (json: unknown) => Buffer.from(JSON.stringify(json)).toString('base64url')
const seconds = () => Math.floor(Date.now() / 1000)

/** @param audience the gateway's client id */
export async function startBusyIdp(audience: string): Promise<BusyIdp> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signIns: SignIn[] = []
  const asked: Asked[] = []
  const hanging = new Set<ServerResponse>()
  let [mood, latency]: [Mood, number] = ['well', 0]
  let [inside, most, replays, tokens] = [0, 0, 0, 0]
  let issuer = ''

  const say = (claims: Json, typ = 'JWT') => signed({ iss: issuer, aud: audience, ...claims }, typ, privateKey)
  const tokensFor = (signIn: SignIn, nonce: string | null): Json => {
    const { sub } = signIn
    const claims = { sub, preferred_username: sub, groups: ['dev'], iat: seconds(), exp: seconds() + 300 }
    const id_token = say(nonce === null ? claims : { ...claims, nonce })
    const refresh_token = `${signIns.indexOf(signIn)}.${signIn.refreshed}`
    return { access_token: 'at', token_type: 'Bearer', expires_in: 300, id_token, refresh_token }
  }

  const redeem = (code: string): Json => {
    const signIn = signIns[Number(code)]
    return signIn ? tokensFor(signIn, signIn.nonce) : { error: 'invalid_grant' }
  }

  const refresh = async (token: string, response: ServerResponse): Promise<Json | undefined> => {
    const [index = -1, generation] = token.split('.').map(Number)
    asked.push({ signIn: index, at: performance.now(), mood })
    most = Math.max(most, ++inside)
    response.once('close', () => inside--)
    if (mood === 'broken') return void response.destroy()
    if (mood === 'silent') return void hanging.add(response)
    if (latency > 0) await delay(latency)
    const signIn = signIns[index]
    if (!signIn || signIn.refreshed !== generation) {
      replays += 1
      return { error: 'invalid_grant' }
    }
    signIn.refreshed += 1
    return tokensFor(signIn, null)
  }

  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const body = new URLSearchParams(await text(request))
    const path = request.url ?? ''
    const answers: Readonly<Record<string, () => Json | Promise<Json | undefined>>> = {
      '/.well-known/openid-configuration': () => metadata(issuer),
      '/jwks': () => ({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'ES256' }] }),
      '/token': () =>
        body.get('grant_type') === 'refresh_token'
          ? refresh(body.get('refresh_token') ?? '', response)
          : redeem(body.get('code') ?? ''),
    }
    const answer = await answers[path]?.()
    if (!answer) return
    response.writeHead('error' in answer ? 400 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    issuer,
    asked,
    replays: () => replays,
    most: () => most,
    become(next, milliseconds = 0) {
      mood = next
      latency = milliseconds
      for (const response of hanging) response.destroy()
      hanging.clear()
    },
    answer(begun, sub) {
      const code = String(signIns.push({ sub, nonce: begun.searchParams.get('nonce'), refreshed: 0 }) - 1)
      const back = new URL(begun.searchParams.get('redirect_uri')!)
      back.search = new URLSearchParams({ code, state: begun.searchParams.get('state')!, iss: issuer }).toString()
      return back
    },
    logoutToken(sub) {
      const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
      return say({ sub, events, iat: seconds(), exp: seconds() + 120, jti: `logout-${tokens++}` }, 'logout+jwt')
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function signed(claims: Json, typ: string, key: KeyObject): string {
  const input = `${encode({ alg: 'ES256', kid: 'one', typ })}.${encode(claims)}`
  return `${input}.${honestSign(input, key)}`
}

const metadata = (issuer: string): Json => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/jwks`,
  response_types_supported: ['code'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
  authorization_response_iss_parameter_supported: true,
})
