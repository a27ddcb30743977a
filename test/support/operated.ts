import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { accountId } from '../../src/core/subject.ts'
import type { Browser } from './browser.ts'
import { claimsIn, type TestGateway } from './gateway.ts'
import { type Operator, operator } from './lotse.ts'
import { authorization, basic, CALLBACK, person, redeem, signIn, toldAt } from './sign-in.ts'
import { standard, standardEnv } from './standard.ts'

/** One sign-in of somebody with a refresh token at one client, and everything by which it can be named. */
export interface SignedIn {
  readonly sub: string
  readonly client: string
  readonly who: Browser
  readonly proof: string
  readonly session: string
  readonly sid: unknown
  /** The newest refresh token. */
  token: string
}

/** A gateway with people in it, and an operator beside it. `portal` is a client with a back channel, `guests` a second connector. */
export interface Operated {
  readonly gateway: TestGateway
  readonly at: Operator
  readonly config: string
  /** The clients that heard of a logout, each with the session that it was told of. */
  readonly heard: string[]
  enter(id: string, client?: string, connector?: string): Promise<SignedIn>
  /** Whether the refresh tokens of sign-ins still give tokens; the next ones take their place. */
  live(...all: readonly SignedIn[]): Promise<readonly boolean[]>
  /** Whether the browser is still signed in at the gateway. */
  known(signedIn: SignedIn): Promise<boolean>
  /** What a running gateway does by itself once a second. */
  aSecond(): Promise<void>
  /** Nobody is signed in, everybody was told, and the configuration is whole. */
  clear(): Promise<void>
  close(): Promise<void>
}

/** A client's own listener for logout tokens. */
async function startReceiver(heard: string[]) {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { sid } = claimsIn(new URLSearchParams(body).get('logout_token') ?? '')
    heard.push(`${request.url?.slice(1)} ${sid}`)
    response.writeHead(200).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A confidential client proves itself; the others name themselves. */
const proofOf = (client: string) =>
  client === 'portal'
    ? { fields: {}, headers: basic('portal', standardEnv.HORIZON_SECRET) }
    : { fields: { client_id: client }, headers: {} }

async function start(back: string) {
  const secret = 'auth: client_secret_basic, secret: { env: HORIZON_SECRET }'
  return standard({
    answers: ['guests'],
    extra: (upstream) => ({
      connectors: `  - { id: guests, type: oidc, label: Guests, issuer: ${upstream}, clientId: lotse, clientSecret: { env: CORP_SECRET }, scope: openid profile email groups, domain: guests, identity: { prefix: 'guest:' } }`,
      clients: `  - { id: portal, target: prod, ${secret}, redirectUris: ['${CALLBACK}'], grants: [code, refresh], alwaysRefresh: true, backchannelLogout: { url: '${back}/portal', private: true } }`,
    }),
    rules: `  - { name: guests, from: [guests], each: { claim: groups, pattern: '/teams/<team>/<rank>' }, give: [{ target: prod, group: 'guest-<team>' }] }\n`,
  })
}

async function enter({ gateway, at }: Pick<Operated, 'gateway' | 'at'>, id: string, client: string, connector: string) {
  const proofs = () => gateway.store.list({ name: 'Proof', durable: true }, 1000)
  const before = new Set((await proofs()).map((each) => each.id))
  const who = person()
  const request = authorization(gateway, client, { connector })
  const code = (await signIn(who, request, id)).get('code')
  const { body } = await redeem(gateway, { code, verifier: request.verifier }, proofOf(client))
  const proof = (await proofs()).find((each) => !before.has(each.id))?.id ?? ''
  const sub = accountId({ connector, id })
  const listed = await at.json<{ proof: string; sessions: string[] }[]>(`sessions --subject ${sub}`)
  return {
    ...{ sub, client, who, proof },
    session: listed.find((each) => each.proof === proof)?.sessions[0] ?? '',
    sid: claimsIn(body['id_token'] ?? '')['sid'],
    token: body['refresh_token'] ?? '',
  }
}

async function lives(gateway: TestGateway, signedIn: SignedIn): Promise<boolean> {
  const { fields, headers } = proofOf(signedIn.client)
  const asked = { grant_type: 'refresh_token', refresh_token: signedIn.token, ...fields }
  const { status, body } = await gateway.post('/token', asked, headers)
  if (status === 200) signedIn.token = body['refresh_token'] ?? ''
  else assert.equal(body['error'], 'invalid_grant')
  return status === 200
}

export async function startOperated(): Promise<Operated> {
  const heard: string[] = []
  const receiver = await startReceiver(heard)
  const { idp, gateway, config } = await start(receiver.url)
  const at = await operator(gateway, config)
  const aSecond = async () => {
    await gateway.app.tick()
    await gateway.app.end()
    await gateway.app.deliver()
  }
  return {
    ...{ gateway, at, config, heard, aSecond },
    enter: (id, client = 'kubectl', connector = 'corp') => enter({ gateway, at }, id, client, connector),
    live: (...all) => Promise.all(all.map((each) => lives(gateway, each))),
    known: async ({ who }) =>
      toldAt(await who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)).has('code'),
    async clear() {
      await at.configure(config)
      for (const connector of ['corp', 'guests']) await at.lotse(`revoke --connector ${connector} --yes`)
      await aSecond()
      heard.length = 0
    },
    async close() {
      await receiver.close()
      await gateway.close()
      await idp.close()
    },
  }
}
