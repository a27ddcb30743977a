import { CompactEncrypt, importJWK, type JWK } from 'jose'
import type { Held, Shelf } from './held.ts'
import { present } from './sd-jwt.ts'

/** A request of OpenID4VP, as far as this wallet reads it. */
export interface Request {
  readonly clientId: string
  readonly nonce: string
  readonly state: string | undefined
  readonly responseUri: string
  /** To which the answer is encrypted; undefined where it is sent as it is. */
  readonly encryption: { readonly key: JWK; readonly enc: string } | undefined
  readonly asked: readonly {
    readonly id: string
    readonly vcts: readonly string[]
    readonly claims: readonly string[]
  }[]
}

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
const objects = (value: unknown): readonly Json[] => (Array.isArray(value) ? value.filter(isObject) : [])
const texts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
const object = (value: unknown): Json => (isObject(value) ? value : {})

/**
 * The request in a link, which has all of it: the demo's gateway signs nothing. A real wallet asks who signed; this one answers the demo alone, and
 * looks where the answer goes.
 * @param gateway the gateway's origin
 * @throws where there is none, or it is another's
 */
export function readRequest(link: URLSearchParams, gateway: string): Request {
  const responseUri = link.get('response_uri') ?? ''
  const clientId = link.get('client_id') ?? ''
  if (
    !URL.canParse(responseUri) ||
    new URL(responseUri).origin !== gateway ||
    clientId !== `redirect_uri:${responseUri}`
  )
    throw new Error('the request is not one of the demo')
  const metadata = parsed(link.get('client_metadata'))
  return {
    clientId,
    nonce: link.get('nonce') ?? '',
    state: link.get('state') ?? undefined,
    responseUri,
    encryption: link.get('response_mode') === 'direct_post.jwt' ? encryptionOf(metadata) : undefined,
    asked: objects(parsed(link.get('dcql_query'))['credentials'])
      .filter(({ format }) => format === 'dc+sd-jwt')
      .map(({ id, meta, claims }) => ({
        id: String(id),
        vcts: texts(object(meta)['vct_values']),
        claims: objects(claims).flatMap(({ path }) => texts(path).slice(0, 1)),
      })),
  }
}

const parsed = (text: string | null): Json => object(JSON.parse(text ?? 'null'))

function encryptionOf(metadata: Json): Request['encryption'] {
  const [key] = objects(object(metadata['jwks'])['keys'])
  if (!key) throw new Error('the request has no key to encrypt the answer to')
  const [enc = 'A128GCM'] = texts(metadata['encrypted_response_enc_values_supported'])
  return { key: key as JWK, enc }
}

/** What of the wallet fits the request: the query that each credential answers. */
export function fitting(
  { asked }: Request,
  { held }: Shelf,
): readonly { readonly one: Held; readonly as: Request['asked'][number] }[] {
  return held.flatMap((one) => {
    const as = asked.find(({ vcts }) => vcts.includes(one.vct))
    return as ? [{ one, as }] : []
  })
}

/**
 * Answers with one credential.
 * @param now Unix seconds
 * @returns where the browser goes on
 * @throws where the gateway does not take the answer
 */
export async function answer(
  request: Request,
  shelf: Shelf,
  chosen: ReturnType<typeof fitting>[number],
  now: number,
): Promise<URL> {
  const { one, as } = chosen
  const question = { aud: request.clientId, nonce: request.nonce, claims: as.claims }
  const token = { [as.id]: [present(one.credential, question, shelf.holder, now)] }
  const body = new URLSearchParams(
    request.encryption
      ? { response: await encrypted({ vp_token: token, state: request.state }, request.encryption) }
      : { vp_token: JSON.stringify(token), ...(request.state !== undefined && { state: request.state }) },
  )
  const response = await fetch(request.responseUri, { method: 'POST', body, redirect: 'error' })
  const said = object(await response.json().catch(() => undefined))
  const next = said['redirect_uri']
  if (!response.ok || typeof next !== 'string')
    throw new Error(`the gateway said ${response.status} ${String(said['error'] ?? '')}`)
  return new URL(next)
}

async function encrypted(payload: object, { key, enc }: NonNullable<Request['encryption']>): Promise<string> {
  const header = { alg: 'ECDH-ES', enc, ...(key.kid !== undefined && { kid: key.kid }) }
  const text = new TextEncoder().encode(JSON.stringify(payload))
  return new CompactEncrypt(text).setProtectedHeader(header).encrypt(await importJWK(key, 'ECDH-ES'))
}
