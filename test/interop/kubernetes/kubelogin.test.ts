import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { parse } from 'yaml'
import { browser } from '../../support/browser.ts'
import { answerCode } from '../../support/plugin.ts'
import { pickPerson } from '../../support/sign-in.ts'
import { atEach, type Kind, kinds, type World } from './world.ts'

/*
 * What kubelogin 1.36 asks, request by request, with the words that stand in the kubeconfig that was printed for it: also where the program
 * itself cannot be had.
 */

const NAMES = { stock: 'oidc:corp:ada', structured: 'corp-corp:ada', ids: 'corp:ada' } as const
const LISTENS = 'http://localhost:8000'

type Fields = Readonly<Record<string, string>>
interface Tokens {
  readonly access_token: string
  readonly id_token: string
  readonly refresh_token: string
}

atEach(kinds, (world) => {
  for (const kind of kinds)
    for (const [flow, walk] of [
      ['code', byCode],
      ['device', byDevice],
    ] as const)
      test(`${kind}: the ${flow} flow of kubelogin, and its refresh`, async () => {
        const asks = await printed(world(), kind, flow)
        const first = await walk(asks)
        assert.equal((await world().cluster(kind).whoami(asks.tokenOf(first))).username, NAMES[kind])
        const next = await asks.token({ grant_type: 'refresh_token', refresh_token: first.refresh_token })
        assert.ok(next.id_token, 'kubelogin takes no answer without one')
        assert.equal((await world().cluster(kind).whoami(asks.tokenOf(next))).username, NAMES[kind])
      })
})

/** kubelogin as one kubeconfig starts it. */
interface Asks {
  readonly client: string
  readonly scope: string
  readonly extra: Fields
  readonly endpoint: (name: string) => string
  /** The token endpoint, as golang.org/x/oauth2 asks one of which it does not know how clients prove themselves there. */
  token(fields: Fields): Promise<Tokens>
  tokenOf(tokens: Tokens): string
}

async function printed({ printed: folder }: World, kind: Kind, flow: 'code' | 'device'): Promise<Asks> {
  const text = await readFile(join(folder(kind), `kubeconfig/kubelogin-${flow}.yaml`), 'utf8')
  const { users } = parse(text) as {
    readonly users: readonly [{ readonly user: { readonly exec: { readonly args: string[] } } }]
  }
  const values = (flag: string) =>
    users[0].user.exec.args.flatMap((arg) => (arg.startsWith(`--${flag}=`) ? arg.slice(flag.length + 3) : []))
  const [issuer = '', client = ''] = [...values('oidc-issuer-url'), ...values('oidc-client-id')]
  const discovery = (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as Fields
  assert.equal(discovery['issuer'], issuer, 'go-oidc compares them letter by letter')
  const endpoint = (name: string) => discovery[name] ?? assert.fail(`no ${name}`)
  const pairs = values('oidc-auth-request-extra-params').map((pair) => [
    pair.split('=')[0] ?? '',
    pair.replace(/^[^=]*=/, ''),
  ])
  return {
    client,
    endpoint,
    scope: [...values('oidc-extra-scope'), 'openid'].join(' '),
    extra: Object.fromEntries(pairs),
    tokenOf: ({ access_token, id_token }) =>
      users[0].user.exec.args.includes('--oidc-use-access-token') ? access_token : id_token,
    async token(fields) {
      const ask = (body: Fields, headers: Fields) =>
        fetch(endpoint('token_endpoint'), { method: 'POST', headers, body: new URLSearchParams(body) })
      const guess = await ask(fields, { authorization: `Basic ${Buffer.from(`${client}:`).toString('base64')}` })
      const answer = guess.ok ? guess : await ask({ ...fields, client_id: client }, {})
      assert.equal(answer.status, 200, 'the first try must not have used up what is redeemed')
      return (await answer.json()) as Tokens
    },
  }
}

async function byCode({ client, scope, extra, endpoint, token }: Asks): Promise<Tokens> {
  const verifier = randomBytes(32).toString('base64url')
  const url = new URL(endpoint('authorization_endpoint'))
  const fields: Fields = {
    ...{
      client_id: client,
      redirect_uri: LISTENS,
      response_type: 'code',
      scope,
      state: randomBytes(32).toString('base64url'),
    },
    ...{ nonce: randomBytes(32).toString('base64url'), access_type: 'offline', code_challenge_method: 'S256' },
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    ...extra,
  }
  for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, value)
  const who = browser({ stopAt: (at) => at.href.startsWith(LISTENS), headers: {} })
  const told = new URL((await pickPerson(who, await who.get(url), 'ada')).headers.get('location') ?? '')
  assert.equal(told.searchParams.get('state'), fields['state'])
  const code = told.searchParams.get('code') ?? assert.fail(told.href)
  return token({ grant_type: 'authorization_code', code, redirect_uri: LISTENS, code_verifier: verifier })
}

async function byDevice({ client, scope, endpoint }: Asks): Promise<Tokens> {
  const post = async (name: string, fields: Fields) => {
    const answer = await fetch(endpoint(name), { method: 'POST', body: new URLSearchParams(fields) })
    return { status: answer.status, body: (await answer.json()) as Fields }
  }
  const { body: device } = await post('device_authorization_endpoint', { client_id: client, scope })
  const seconds = Number(device['interval'])
  assert.ok(seconds > 0, 'without one kubelogin waits five seconds')
  const fields = {
    client_id: client,
    device_code: device['device_code'] ?? '',
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
  }
  // It polls at once, before anybody can have confirmed.
  const early = await post('token_endpoint', fields)
  assert.equal(early.body['error'], 'authorization_pending')
  await answerCode(device['verification_uri_complete'] ?? '', 'confirm')
  await delay(seconds * 1000)
  const { status, body } = await post('token_endpoint', fields)
  assert.equal(status, 200, JSON.stringify(body))
  return body as unknown as Tokens
}
