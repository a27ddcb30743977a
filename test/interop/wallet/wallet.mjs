/**
 * A wallet and an issuer made of libraries that know nothing of the gateway: @openid4vc/openid4vp speaks the protocol, dcql says what fits, @sd-jwt
 * issues and presents. Reads one order as JSON from standard input, and writes what came of it as JSON. It runs in the folder that has its packages.
 */
import { createHash, createPrivateKey, createPublicKey, randomBytes, sign, verify, X509Certificate } from 'node:crypto'
import { json } from 'node:stream/consumers'
import { Openid4vpClient } from '@openid4vc/openid4vp'
import { createHeaderAndPayload, StatusList } from '@sd-jwt/jwt-status-list'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { DcqlQuery } from 'dcql'
import { CompactEncrypt, importJWK } from 'jose'

const digest = (data) => new Uint8Array(createHash('sha256').update(data).digest())
const signer = (jwk) => (text) =>
  sign('sha256', Buffer.from(text), {
    key: createPrivateKey({ key: jwk, format: 'jwk' }),
    dsaEncoding: 'ieee-p1363',
  }).toString('base64url')
const publicJwk = (jwk) => createPublicKey(createPrivateKey({ key: jwk, format: 'jwk' })).export({ format: 'jwk' })

const sdJwt = (more) =>
  new SDJwtVcInstance({
    hasher: (data) => digest(data),
    hashAlg: 'sha-256',
    saltGenerator: (length) => randomBytes(length).toString('base64url'),
    signAlg: 'ES256',
    kbSignAlg: 'ES256',
    ...more,
  })

/** A credential with every claim behind a disclosure, under a certificate of the issuer's. */
async function issue({ key, x5c, holder, vct, claims, more }) {
  const payload = { vct, iat: Math.floor(Date.now() / 1000), cnf: { jwk: publicJwk(holder) }, ...more, ...claims }
  const frame = { _sd: Object.keys(claims) }
  return { credential: await sdJwt({ signer: signer(key) }).issue(payload, frame, { header: { x5c } }) }
}

/** Which of an issuer's credentials it still stands by: 0 is good, 1 revoked. */
async function statusList({ key, x5c, uri, statuses }) {
  const iat = Math.floor(Date.now() / 1000)
  const list = new StatusList(statuses, 1)
  const { header, payload } = createHeaderAndPayload(list, { sub: uri, iat, ttl: 1 }, { alg: 'ES256', x5c })
  const text = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return { list: `${text}.${signer(key)(text)}` }
}

/** What a wallet of HAIP asks of who asks it: a chain to an authority that it knows, and a signature by its first certificate. */
const verifyJwt =
  (authority) =>
  async (party, { compact }) => {
    if (party.method !== 'x5c') return { verified: false }
    const [leaf, ...above] = party.x5c.map((one) => new X509Certificate(Buffer.from(one, 'base64')))
    const root = new X509Certificate(authority)
    const chain = [leaf, ...above, root]
    const chained = chain
      .slice(0, -1)
      .every((one, at) => one.checkIssued(chain[at + 1]) && one.verify(chain[at + 1].publicKey))
    const [head, body, tail] = compact.split('.')
    const key = { key: leaf.publicKey, dsaEncoding: 'ieee-p1363' }
    const signed = verify('sha256', Buffer.from(`${head}.${body}`), key, Buffer.from(tail, 'base64url'))
    return chained && signed
      ? { verified: true, signerJwk: leaf.publicKey.export({ format: 'jwk' }) }
      : { verified: false }
  }

const encryptJwe = (seen) => async (party, text) => {
  seen.push({ alg: party.alg, enc: party.enc, kid: party.publicJwk.kid })
  const header = { alg: party.alg, enc: party.enc, kid: party.publicJwk.kid }
  const made = new CompactEncrypt(new TextEncoder().encode(text)).setProtectedHeader(header)
  if (party.apu !== undefined) made.setKeyManagementParameters({ apu: Buffer.from(party.apu, 'base64url') })
  const jwe = await made.encrypt(await importJWK(party.publicJwk, party.alg))
  return { jwe, encryptionJwk: party.publicJwk }
}

/** The claims of a stored credential, as DCQL looks at them. */
async function offered(credential) {
  const { payload, header } = await sdJwt({})
    .decode(credential)
    .then(({ jwt }) => jwt)
  const claims = await sdJwt({}).getClaims(credential)
  const leaf = header.x5c && new X509Certificate(Buffer.from(header.x5c[0], 'base64'))
  return {
    credential_format: 'dc+sd-jwt',
    vct: payload.vct,
    claims,
    cryptographic_holder_binding: true,
    ...(leaf && { authority: { type: 'aki', values: authorityKeyIds(leaf) } }),
  }
}

/** The AuthorityKeyIdentifier (2.5.29.35) of a certificate: its key identifier of 20 bytes, base64url. */
function authorityKeyIds({ raw }) {
  const at = raw.indexOf(Buffer.from('0603551d23', 'hex'))
  const key = at < 0 ? -1 : raw.indexOf(Buffer.from('8014', 'hex'), at)
  return key < 0 ? [''] : [raw.subarray(key + 2, key + 22).toString('base64url')]
}

/** Version 0.4.6 asks for a request object by POST without the `wallet_nonce` that it then expects in it: put in here. */
const withNonce = (nonce) => (url, init) => {
  const asks = init?.method?.toLowerCase() === 'post' && !/(^|&)(response|vp_token)=/.test(String(init.body))
  return fetch(
    url,
    asks ? { ...init, body: new URLSearchParams([...new URLSearchParams(init.body), ['wallet_nonce', nonce]]) } : init,
  )
}

/** Answers the request behind a link with the first credentials that fit. */
async function present({ link, credentials, holder, authority, encs = ['A256GCM', 'A128GCM'] }) {
  const encrypted = []
  const nonce = randomBytes(16).toString('base64url')
  const wallet = new Openid4vpClient({
    callbacks: {
      fetch: withNonce(nonce),
      hash: (data) => digest(data),
      signJwt: async () => {
        throw new Error('nothing is signed but key bindings')
      },
      decryptJwe: async () => ({ decrypted: false }),
      encryptJwe: encryptJwe(encrypted),
      verifyJwt: verifyJwt(authority),
      getX509CertificateMetadata: (text) => {
        const names = new X509Certificate(Buffer.from(text, 'base64')).subjectAltName ?? ''
        const of = (kind) => [...names.matchAll(new RegExp(`${kind}:([^,\\s]+)`, 'g'))].map(([, name]) => name)
        return { sanDnsNames: of('DNS'), sanUriNames: of('URI') }
      },
    },
  })
  const { params } = wallet.parseOpenid4vpAuthorizationRequest({ authorizationRequest: link })
  const asked = await wallet.resolveOpenId4vpAuthorizationRequest({
    authorizationRequestPayload: params,
    wallet: { ...(params.request_uri_method === 'post' && { expectedNonce: nonce }) },
  })
  const request = asked.authorizationRequestPayload
  const query = DcqlQuery.parse(asked.dcql.query)
  DcqlQuery.validate(query)
  const shelf = await Promise.all(credentials.map(offered))
  const found = DcqlQuery.query(query, shelf)
  if (!found.can_be_satisfied) return { unanswered: 'no credential fits', request }
  const token = {}
  for (const [id, match] of Object.entries(found.credential_matches)) {
    if (!match.success) continue
    const [best] = match.valid_credentials
    const frame = best.claims.valid_claim_sets[0].output
    token[id] = [await shown(credentials[best.input_credential_index], frame, { holder, request })]
  }
  const made = await wallet.createOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: request,
    authorizationResponsePayload: { vp_token: token },
    ...(request.response_mode.endsWith('.jwt') && {
      jarm: {
        encryption: { nonce: randomBytes(16).toString('base64url') },
        serverMetadata: {
          authorization_signing_alg_values_supported: ['ES256'],
          authorization_encryption_alg_values_supported: ['ECDH-ES'],
          authorization_encryption_enc_values_supported: encs,
        },
      },
    }),
  })
  const { response } = await wallet.submitOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: request,
    authorizationResponsePayload: made.authorizationResponsePayload,
    jarm: made.jarm,
  })
  const said = { status: response.status, body: await response.json().catch(() => undefined) }
  return { request, client: asked.client.prefix, version: asked.version, encrypted, said, vpToken: token }
}

/** What DCQL found, as @sd-jwt wants it: `true` in the place of each value. */
const frameOf = (found) =>
  found !== null && typeof found === 'object' && !Array.isArray(found)
    ? Object.fromEntries(Object.entries(found).map(([name, value]) => [name, frameOf(value)]))
    : true

/** Only what was asked for, bound to the question by the holder's key. */
async function shown(credential, frame, { holder, request }) {
  const payload = { iat: Math.floor(Date.now() / 1000), aud: request.client_id, nonce: request.nonce }
  return sdJwt({ kbSigner: signer(holder) }).present(credential, frameOf(frame), { kb: { payload } })
}

const orders = { issue, present, statusList }
const order = await json(process.stdin)
process.stdout.write(JSON.stringify(await orders[order.do](order)))
