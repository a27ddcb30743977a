import { spawn } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { selfSigned } from '../../support/certificate.ts'
import { freePort, startGateway, type TestGateway } from '../../support/gateway.ts'
import { type Certified, openAuthority } from './authority.ts'
import { type Foreign, type Kind, placeWallet } from './install.ts'

/** What became of a wallet's attempt, as the foreign program tells it. */
export interface Presented {
  readonly unanswered?: string
  readonly request: Readonly<Record<string, unknown>>
  /** The client id's prefix. */
  readonly client: string
  /** The version of the protocol that the library took the request for, where it says one: 100 is 1.0. */
  readonly version?: number
  readonly encrypted: readonly { readonly alg: string; readonly enc: string }[]
  readonly said: { readonly status: number; readonly body: { readonly redirect_uri?: string; readonly error?: string } }
  readonly vpToken: Readonly<Record<string, readonly string[]>>
}

export interface Wallet {
  /**
   * Answers a link with what fits.
   * @param more `encs`: the only encryptions that it has; `authority`: another root under which it knows who may ask, PEM
   * @throws where it does not believe the request
   */
  present(link: string, more?: { readonly encs?: readonly string[]; readonly authority?: string }): Promise<Presented>
}

/** What a new wallet holds. */
export interface Holding {
  /** `dc+sd-jwt` where absent. */
  readonly format?: 'jwt_vc_json'
  /** Other than Corp AG. */
  readonly by?: Certified
  /** Its place in the status list; 0 where absent. */
  readonly status?: number
}

/** The gateway, authorities for issuers and for who asks, and a program that is issuer and wallet. */
export interface World {
  readonly kind: Kind
  readonly gateway: TestGateway
  wallet(claims: Readonly<Record<string, unknown>>, holding?: Holding): Promise<Wallet>
  /** From now on, what Corp AG's status lists say. */
  say(statuses: readonly number[]): Promise<void>
  close(): Promise<void>
}

/** Connectors: `gaiax` asks for an SD-JWT VC, `vc` for a VC-JWT. */
const configuration = (did: string) => `
connectors:
  - id: gaiax
    type: wallet
    label: Wallet
    domain: gaiax
    certificate: { env: RP_CERTIFICATE }
    privateKey: { env: RP_KEY }
    anchors: { issuers: { env: ISSUERS } }
    allowPrivate: [127.0.0.1/32]
    ca: { env: TLS }
    recheckAfter: 1s
    recheckGrace: 1s
    credentials:
      - id: employee
        format: dc+sd-jwt
        types: ['${types.sdJwt}']
        about: person
        acr: substantial
        issuedBy: [{ anchor: issuers }]
        claims: [{ path: given_name }, { path: role, values: [developer, lead] }]
  - id: vc
    type: wallet
    label: Wallet with VC-JWTs
    domain: vc
    certificate: { env: RP_CERTIFICATE }
    privateKey: { env: RP_KEY }
    allowPrivate: [127.0.0.1/32]
    ca: { env: TLS }
    credentials:
      - id: employee
        format: jwt_vc_json
        types: ['${types.vcJwt}']
        about: person
        issuedBy: [{ id: '${did}' }]
targets:
  - { id: cloud, type: keystone, url: 'https://keystone.example/v3', audience: keystone }
  - { id: prod, type: kubernetes, server: 'https://10.0.0.1:6443', audience: k8s-prod, alg: ES256 }
clients:
  - { id: horizon, target: cloud, auth: client_secret_basic, secret: { env: SECRET }, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], alwaysRefresh: true }
  - { id: kubelogin, target: prod, auth: client_secret_basic, secret: { env: SECRET }, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], alwaysRefresh: true }
rules:
  - name: developers
    from: [gaiax, vc]
    if: [{ claim: role, is: developer }]
    give:
      - { target: cloud, project: web, roles: [member] }
      - { target: prod, namespace: web, roles: [edit] }
`

export const SECRET = 'portal-secret-0123456789-0123456789'
const types = { sdJwt: 'https://corp.example/credentials/employee', vcJwt: 'EmployeeCredential' }
const formats = [undefined, 'jwt_vc_json'] as const

/** @param kind whose libraries the wallet is made of */
export async function startWorld(kind: Kind): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-wallet-'))
  const [issuers, access] = [await openAuthority('Root of issuers'), await openAuthority('Root of relying parties')]
  const [corp, party] = [await issuers.certify('corp.example'), await access.certify('login.example')]
  const tls = selfSigned()
  const ca = join(folder, 'tls.pem')
  await writeFile(ca, tls.cert)
  setDefaultCACertificates([...getCACertificates('default'), tls.cert])
  const program = await placeWallet(kind)
  const order = (what: object) => run(program, ca, what)
  const lists = await openLists(tls)
  const say: World['say'] = async (statuses) => {
    for (const format of kind === 'openvc' ? formats : [undefined]) {
      const uri = lists.uri(format)
      const said = await order({ do: 'statusList', format, key: corp.jwk, x5c: [corp.der], uri, statuses })
      lists.publish(uri, (said as { list: string }).list)
    }
  }
  await say([0, 1, 0, 0, 0, 0, 0, 0])
  const gateway = await startGateway({
    port: await freePort(),
    tls,
    env: { RP_CERTIFICATE: party.certificate, RP_KEY: party.key, ISSUERS: issuers.root, TLS: tls.cert, SECRET },
    config: configuration(didOf(corp.jwk)),
  })
  return {
    kind,
    gateway,
    say,
    async wallet(claims, { by = corp, status = 0, format } = {}) {
      const holder: JsonWebKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
      const exp = Math.floor(Date.now() / 1000) + 3600
      const uri = lists.uri(format)
      const open = format
        ? { list: uri, idx: status }
        : { iss: 'https://corp.example', exp, status: { status_list: { uri, idx: status } } }
      const vct = format ? types.vcJwt : types.sdJwt
      const made = await order({ do: 'issue', format, key: by.jwk, x5c: [by.der], holder, vct, claims, more: open })
      const held = { credentials: [(made as { credential: string }).credential], holder, authority: access.root }
      return {
        present: async (link, more = {}) => (await order({ do: 'present', link, ...held, ...more })) as Presented,
      }
    },
    async close() {
      await Promise.all([gateway.close(), lists.close(), program.remove()])
      await Promise.all([issuers.close(), access.close(), rm(folder, { recursive: true })])
    },
  }
}

/** `did:jwk` of the public half. */
function didOf(jwk: JsonWebKey): string {
  const { kty, crv, x, y } = createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'jwk' })
  return `did:jwk:${Buffer.from(JSON.stringify({ kty, crv, x, y })).toString('base64url')}`
}

/** Where an issuer publishes its status lists, one for each format. */
async function openLists(tls: { readonly key: string; readonly cert: string }) {
  const published = new Map<string, string>()
  const server = createServer(tls, ({ url = '' }, response) => {
    response.setHeader('content-type', url === '/vc' ? 'application/vc+jwt' : 'application/statuslist+jwt')
    response.end(published.get(url))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  server.unref() // where a world cannot be started, nothing waits for it
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    uri: (format: Holding['format']) => `${origin}${format ? '/vc' : '/status'}`,
    publish: (uri: string, list: string) => void published.set(new URL(uri).pathname, list),
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

/** One order to the foreign program. @throws with what it said where it fails */
async function run({ command, args, env }: Foreign, ca: string, order: object): Promise<unknown> {
  const trust = { NODE_EXTRA_CA_CERTS: ca, SSL_CERT_FILE: ca }
  const child = spawn(command, args, { env: { ...process.env, ...env, ...trust }, stdio: 'pipe' })
  child.stdin.end(JSON.stringify(order))
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk
  })
  const answer = json(child.stdout).catch(() => undefined)
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`the wallet ended with ${code}: ${said}`)
  return answer
}
