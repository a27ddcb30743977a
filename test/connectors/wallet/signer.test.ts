import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { walletOptions } from '../../../src/connectors/wallet/options.ts'
import { walletProblems } from '../../../src/connectors/wallet/problems.ts'
import { openSigner, signerProblem } from '../../../src/connectors/wallet/signer.ts'
import { authority, selfSigned } from '../../support/certificate.ts'
import { checked } from '../../support/wallet.ts'

const root = authority('Root of verifiers')
const own = root.issue({ name: 'login.example', dns: ['login.example'] })
const pem = (key: KeyObject) => String(key.export({ type: 'pkcs8', format: 'pem' }))
const response = new URL('https://login.example/wallet/response/abc')

type Identity = Parameters<typeof openSigner>[0]
const identity = (more: Partial<Identity> = {}): Identity => ({
  clientIdPrefix: 'x509_hash',
  certificate: own.chain,
  privateKey: pem(own.key),
  did: undefined,
  ...more,
})
const refused = (message: RegExp, more: Partial<Identity>, host = 'login.example') =>
  assert.throws(() => openSigner(identity(more), host), message)

test('by x509_hash a client id is the digest of the certificate that signs', () => {
  const id = createHash('sha256').update(new X509Certificate(own.chain).raw).digest('base64url')
  const signer = openSigner(identity(), 'login.example')
  assert.equal(signer?.clientId(response), `x509_hash:${id}`)
  const claims = {
    client_id: `x509_hash:${id}`,
    response_type: 'vp_token',
    exp: 4e9,
    client_metadata: {},
  }
  checked(signer?.sign(claims) ?? '', { clientId: `x509_hash:${id}` })
})

test('by x509_san_dns a client id is the gateway’s host, and the certificate has to name it', () => {
  const more = { clientIdPrefix: 'x509_san_dns' } as const
  assert.equal(openSigner(identity(more), 'login.example')?.clientId(response), 'x509_san_dns:login.example')
  refused(/does not name login\.other as a DNS name/, more, 'login.other')
  const wild = root.issue({ name: 'any', dns: ['*.example'] })
  refused(/does not name/, { ...more, certificate: wild.chain, privateKey: pem(wild.key) })
  const byName = root.issue({ name: 'login.example', dns: [] })
  refused(/does not name/, { ...more, certificate: byName.chain, privateKey: pem(byName.key) })
})

test('by decentralized_identifier a client id is the did, and the header names its key', () => {
  const more = { clientIdPrefix: 'decentralized_identifier', did: 'did:web:login.example#key-1' } as const
  const signer = openSigner(identity(more), 'login.example')
  assert.equal(signer?.clientId(response), 'decentralized_identifier:did:web:login.example')
  const [head = ''] = signer?.sign({}).split('.') ?? []
  const header = JSON.parse(Buffer.from(head, 'base64url').toString())
  assert.deepEqual(header, { alg: 'ES256', typ: 'oauth-authz-req+jwt', kid: 'did:web:login.example#key-1' })
})

test('by redirect_uri nothing is signed', () => {
  assert.equal(openSigner(identity({ clientIdPrefix: 'redirect_uri' }), 'login.example'), undefined)
})

test('a self-signed certificate is refused when the configuration loads', () => {
  const { cert, key } = selfSigned('login.example')
  refused(/self-signed/, { certificate: cert, privateKey: key })
  assert.deepEqual(signerProblem(identity({ certificate: cert, privateKey: key }))?.path, ['certificate'])
})

test('a chain with the root in it is refused, since wallets must not be sent it', () => {
  refused(/leave the root out/, { certificate: own.chain + root.root })
})

test('a chain whose certificates do not issue each other is refused', () => {
  const other = authority('Another root').issue({ name: 'someone', dns: [] })
  refused(/was not issued by the one that follows/, { certificate: own.chain + other.chain })
})

test('a certificate of another key is refused', () => {
  const other = root.issue({ name: 'other', dns: [] })
  refused(/is not that of privateKey/, { privateKey: pem(other.key) })
})

test('a key of another kind than P-256 is refused, and never quoted', () => {
  for (const key of [
    generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    generateKeyPairSync('ed25519').privateKey,
  ])
    refused(/privateKey: no PEM \(PKCS#8\) or JWK of a P-256 key/, { privateKey: pem(key) })
  refused(/no PEM/, { privateKey: '{"kty":"EC"' })
  assert.deepEqual(signerProblem(identity({ privateKey: '{ "kty": "SECRET" }' })), {
    path: ['privateKey'],
    message: 'no PEM (PKCS#8) or JWK of a P-256 key',
  })
})

test('a private JWK is taken, too', () => {
  const privateKey = JSON.stringify(own.key.export({ format: 'jwk' }))
  assert.ok(openSigner(identity({ privateKey }), 'login.example'))
})

test('a certificate that cannot be read is refused', () => {
  for (const certificate of ['', 'x', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'])
    refused(/no PEM certificate that can be read/, { certificate })
})

test('a configuration is checked where its secrets are other words, and what stands for a key is refused when it is used', () => {
  assert.equal(signerProblem(identity({ privateKey: 'x', certificate: 'x' })), undefined)
  refused(/no PEM/, { privateKey: 'x' })
})

test('a request waits no longer than its sign-in is remembered', () => {
  const options = { ...identity(), credentials: [], require: [], anchors: {}, lists: {}, evidence: [], sets: undefined }
  const paths = (requestTtl: number) => walletProblems({ ...options, requestTtl }).map(({ path }) => path.join())
  assert.equal(paths(600).includes('requestTtl'), false)
  assert.equal(paths(601).includes('requestTtl'), true)
})

test('a wallet is opened by its own scheme or by https, and by nothing that a browser runs', () => {
  for (const fine of ['openid4vp://', 'haip-vp://', 'https://wallet.example/authorize'])
    assert.equal(walletOptions.walletUrl.safeParse(fine).success, true, fine)
  for (const bad of ['javascript://', 'data://x', 'http://wallet.example', 'wallet', 'https://wallet.example/?a=b'])
    assert.equal(walletOptions.walletUrl.safeParse(bad).success, false, bad)
})
