import { createHash, randomBytes } from 'node:crypto'
import { type Browser, browser, type Page } from './browser.ts'
import type { TestGateway } from './gateway.ts'

export const CALLBACK = 'http://127.0.0.1:1/cb'

/** A browser that stops at the client's redirect URI. */
export const person = (headers: Record<string, string> = {}): Browser =>
  browser({ stopAt: (url) => url.href.startsWith(CALLBACK), headers })

export interface Request {
  readonly url: URL
  readonly verifier: string
}

/** An authorization request with PKCE; `more` replaces and adds, an empty text removes. */
export function authorization(
  gateway: Pick<TestGateway, 'issuer'>,
  client: string,
  more: Record<string, string> = {},
): Request {
  const verifier = randomBytes(32).toString('base64url')
  const fields: Record<string, string> = {
    client_id: client,
    response_type: 'code',
    redirect_uri: CALLBACK,
    scope: 'openid profile email offline_access',
    state: 'client-state',
    nonce: 'client-nonce',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...more,
  }
  const url = new URL('/auth', gateway.issuer)
  for (const [name, value] of Object.entries(fields)) if (value !== '') url.searchParams.set(name, value)
  return { url, verifier }
}

/** The path of the gateway's own page of the sign-in that a browser began last: its interaction's cookie is for that alone. */
export const loginPath = (who: Browser): string =>
  who.cookies().findLast(({ name }) => name === 'lotse-interaction')?.path ?? '/no-sign-in'

/** At the test upstream's page: presses the button of one person. */
export const pickPerson = (who: Browser, page: Page, sub: string): Promise<Page> => who.submit(page, page.form(sub))

/** Walks from the client's request to what the client is told at its redirect URI. */
export async function signIn(who: Browser, request: Request, sub: string): Promise<URLSearchParams> {
  const page = await pickPerson(who, await who.get(request.url), sub)
  return toldAt(page)
}

/** What the client is told in the query of its redirect URI. */
export function toldAt(page: Page): URLSearchParams {
  const location = page.headers.get('location')
  if (!location?.startsWith(CALLBACK)) {
    throw new Error(
      `not at the client: ${page.status} ${page.location.href} ${/<h1[^>]*>(.*?)<\/h1>/.exec(page.text)?.[1] ?? page.text.slice(0, 200)}`,
    )
  }
  return new URL(location).searchParams
}

/** Sign-in to tokens at the token endpoint. */
export async function tokensOf(
  gateway: Pick<TestGateway, 'issuer' | 'post'>,
  client: string,
  sub: string,
  more: Record<string, string> = {},
) {
  const request = authorization(gateway, client, more)
  const told = await signIn(person(), request, sub)
  const { body, status } = await gateway.post('/token', {
    grant_type: 'authorization_code',
    code: told.get('code') ?? '',
    redirect_uri: CALLBACK,
    client_id: client,
    code_verifier: request.verifier,
  })
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)} ${told}`)
  return body as unknown as { access_token: string; id_token: string; refresh_token: string }
}

/** The `Authorization` header of a confidential client. */
export const basic = (id: string, secret: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})

/** Redeems a code; `more` replaces and adds, an empty text removes. */
export function redeem(
  gateway: TestGateway,
  fields: { readonly code: string | null; readonly verifier?: string; readonly client?: string },
  more: { readonly fields?: Record<string, string>; readonly headers?: Record<string, string> } = {},
) {
  return gateway.post(
    '/token',
    {
      grant_type: 'authorization_code',
      code: fields.code ?? '',
      redirect_uri: CALLBACK,
      ...(fields.client === undefined ? {} : { client_id: fields.client }),
      ...(fields.verifier === undefined ? {} : { code_verifier: fields.verifier }),
      ...more.fields,
    },
    more.headers,
  )
}

/** A refresh by a public client. */
export const refresh = (
  gateway: Pick<TestGateway, 'post'>,
  client: string,
  token: string,
  more: Record<string, string> = {},
) => gateway.post('/token', { grant_type: 'refresh_token', client_id: client, refresh_token: token, ...more })
