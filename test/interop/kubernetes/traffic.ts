import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { refresh, tokensOf } from '../../support/sign-in.ts'
import type { Kind, World } from './world.ts'

/** Sign-ins that refresh side by side for each of two clusters, and the pause of each in milliseconds: 20 tokens a second in all. */
const CHAINS = 2
const PAUSE = 200

/** What became of one token. */
export interface Use {
  readonly kind: Kind
  readonly kid: string
  readonly status: number
  /** When it was given, and how old it was when it was used: milliseconds. */
  readonly given: number
  readonly age: number
}

export interface Traffic {
  /** Ends it; every use of a token so far. */
  stop(): Promise<readonly Use[]>
}

/** Gives tokens by refreshes and uses each at once, and one that is some seconds old beside it. */
export async function startTraffic(world: World, kinds: readonly Kind[]): Promise<Traffic> {
  const uses: Use[] = []
  let over = false
  const use = async (kind: Kind, { token, given }: { readonly token: string; readonly given: number }) => {
    const { status } = await world.cluster(kind).whoami(token)
    uses.push({ kind, kid: kidOf(token), status, given, age: Date.now() - given })
  }
  const chain = async (kind: Kind) => {
    const resource = `urn:lotse:target:${kind}`
    let { refresh_token: next } = await tokensOf(world.gateway, 'kubectl', 'ada', { resource })
    const tokens: { readonly token: string; readonly given: number }[] = []
    while (!over) {
      const { status, body } = await refresh(world.gateway, 'kubectl', next, { resource })
      assert.equal(status, 200, JSON.stringify(body))
      next = body['refresh_token'] ?? next
      const fresh = { token: body['access_token'] ?? '', given: Date.now() }
      tokens.push(fresh)
      await Promise.all([use(kind, fresh), use(kind, tokens.at(-20) ?? fresh), delay(PAUSE)])
    }
  }
  const chains = kinds.flatMap((kind) => Array.from({ length: CHAINS }, () => chain(kind)))
  return {
    async stop() {
      over = true
      await Promise.all(chains)
      return uses
    },
  }
}

/** The first of those that were refused. */
export const refused = (uses: readonly Use[]): readonly Use[] => uses.filter(({ status }) => status !== 201).slice(0, 5)

/** The key that signed a token. */
export const kidOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString('utf8')).kid

/** A token for an audience by a key that nobody has: whoever meets it asks for the keys. */
export function strangeToken(issuer: string, audience: string, alg: 'RS256' | 'ES256' = 'RS256'): string {
  const now = Math.floor(Date.now() / 1000)
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${encode({ alg, kid: randomUUID() })}.${encode({ iss: issuer, aud: audience, iat: now, exp: now + 60 })}.AAAA`
}
