import { createHash, randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type CliClient,
  discovered,
  endpoint,
  type Granted,
  granted,
  post,
  refusal,
  type SignInPorts,
  SignInRefused,
  type Wanted,
} from './gateway.ts'

/** Seconds in which a person signs in at her browser. */
const PATIENCE = 600

/**
 * Signs in by a browser on this machine, whose answer comes back to a loopback address (RFC 8252 section 7.3, PKCE).
 * @param redirect the client's registered loopback address; any port is taken
 * @throws {SignInRefused} where she or the gateway declined
 */
export async function byBrowser(
  who: CliClient,
  wanted: Wanted & { readonly redirect: URL },
  ports: SignInPorts,
): Promise<Granted> {
  const document = await discovered(who, ports)
  const start = endpoint(document, 'authorization_endpoint', 'sign in with --device')
  const verifier = randomBytes(32).toString('base64url')
  const state = randomBytes(16).toString('base64url')
  const answers = await listener(wanted.redirect)
  try {
    const address = new URL(start)
    const asks = {
      response_type: 'code',
      client_id: who.client,
      redirect_uri: answers.redirect,
      scope: wanted.scope,
      state,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    }
    for (const [name, value] of Object.entries(asks)) address.searchParams.set(name, value)
    ports.say(`Open ${address.href} in a browser on this machine.`)
    ports.open?.(address.href)
    const code = codeOf(await answers.next(state, (over) => ports.sleep(PATIENCE, over)), who.issuer)
    const { status, body } = await post(
      endpoint(document, 'token_endpoint'),
      {
        grant_type: 'authorization_code',
        client_id: who.client,
        code,
        redirect_uri: answers.redirect,
        code_verifier: verifier,
        resource: wanted.resource,
      },
      ports,
    )
    if (status !== 200) throw refusal(status, body)
    return granted(body)
  } finally {
    answers.close()
  }
}

/** RFC 9207: an answer of another provider is not redeemed at this one. */
function codeOf(answer: URLSearchParams, issuer: string): string {
  const from = answer.get('iss')
  if (from !== null && from !== issuer)
    throw new SignInRefused('the answer came from another provider; run the command again')
  if (answer.has('error')) throw refusal(400, Object.fromEntries(answer))
  return answer.get('code') ?? ''
}

interface Answers {
  /** The address with the port that was free. */
  readonly redirect: string
  /** The first answer that carries the state; others are turned away. @param late rejects, or resolves when it is too late */
  next(state: string, late: (over: AbortSignal) => Promise<void>): Promise<URLSearchParams>
  close(): void
}

async function listener(redirect: URL): Promise<Answers> {
  const address = new URL(redirect)
  const server = createServer()
  const over = new AbortController()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, address.hostname.replace(/^\[|\]$/g, ''), resolve)
  })
  address.port = String((server.address() as AddressInfo).port)
  return {
    redirect: address.href,
    next: (state, late) => Promise.race([answered(server, address, state), tooLate(() => late(over.signal))]),
    close() {
      // A timer that goes on would keep the process from ending.
      over.abort()
      server.close()
      server.closeAllConnections()
    },
  }
}

async function tooLate(late: () => Promise<void>): Promise<never> {
  await late()
  throw new SignInRefused('nobody signed in in time; run the command again')
}

function answered(server: Server, { pathname, origin }: URL, state: string): Promise<URLSearchParams> {
  return new Promise((resolve) => {
    server.on('request', (req, res) => {
      // Any page can send a browser here, also to what is no address (`//`); only the gateway's answer knows the state.
      const url = URL.parse(req.url ?? '/', origin)
      const mine = req.method === 'GET' && url?.pathname === pathname && url.searchParams.get('state') === state
      res.writeHead(mine ? 200 : 404, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' })
      res.end(mine ? 'Go on in your terminal. This window can be closed.\n' : 'Nothing is here.\n', () => {
        if (mine) resolve(url.searchParams)
      })
    })
  })
}
