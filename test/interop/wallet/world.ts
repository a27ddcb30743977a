import { spawn } from 'node:child_process'
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { selfSigned } from '../../support/certificate.ts'
import { freePort, startGateway, type TestGateway } from '../../support/gateway.ts'
import { type Authority, type Certified, openAuthority } from './authority.ts'
import { placeWallet } from './install.ts'

export const VCT = 'https://corp.example/credentials/employee'

/** What became of a wallet's attempt, as the foreign program tells it. */
export interface Presented {
  readonly unanswered?: string
  readonly request: Readonly<Record<string, unknown>>
  /** The client id's prefix, and the version of the protocol that the library took the request for: 100 is 1.0. */
  readonly client: string
  readonly version: number
  readonly encrypted: readonly { readonly alg: string; readonly enc: string }[]
  readonly said: { readonly status: number; readonly body: { readonly redirect_uri?: string; readonly error?: string } }
  readonly vpToken: Readonly<Record<string, readonly string[]>>
}

export interface Wallet {
  /** Answers a link with what fits. */
  present(link: string, more?: { readonly encs?: readonly string[] }): Promise<Presented>
}

/** The gateway, authorities for issuers and for who asks, and a program that is the wallet. */
export interface World {
  readonly gateway: TestGateway
  readonly issuers: Authority
  /** Corp AG's own certificate. */
  readonly corp: Certified
  /** A new wallet with one credential. @param by other than Corp AG */
  wallet(
    claims: Readonly<Record<string, unknown>>,
    more?: { readonly by?: Certified; readonly status?: number },
  ): Promise<Wallet>
  /** From now on, what Corp AG's status list says. */
  say(statuses: readonly number[]): Promise<void>
  close(): Promise<void>
}

const configuration = `
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
        types: [${VCT}]
        about: person
        acr: substantial
        issuedBy: [{ anchor: issuers }]
        claims: [{ path: given_name }, { path: role, values: [developer, lead] }]
targets:
  - { id: cloud, type: keystone, url: 'https://keystone.example/v3', audience: keystone }
  - { id: prod, type: kubernetes, server: 'https://10.0.0.1:6443', audience: k8s-prod, alg: ES256 }
clients:
  - { id: horizon, target: cloud, auth: client_secret_basic, secret: { env: SECRET }, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], alwaysRefresh: true }
  - { id: kubelogin, target: prod, auth: client_secret_basic, secret: { env: SECRET }, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], alwaysRefresh: true }
rules:
  - name: developers
    from: [gaiax]
    if: [{ claim: role, is: developer }]
    give:
      - { target: cloud, project: web, roles: [member] }
      - { target: prod, namespace: web, roles: [edit] }
`

export const SECRET = 'portal-secret-0123456789-0123456789'

export async function startWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-wallet-'))
  const [issuers, access] = [await openAuthority('Root of issuers'), await openAuthority('Root of relying parties')]
  const [corp, party] = [await issuers.certify('corp.example'), await access.certify('login.example')]
  const tls = selfSigned()
  await writeFile(join(folder, 'tls.pem'), tls.cert)
  setDefaultCACertificates([...getCACertificates('default'), tls.cert])
  const program = await placeWallet()
  const order = (what: object) => run(program, join(folder, 'tls.pem'), what)

  let list = ''
  const lists = createServer(
    tls,
    (_, response) => void response.setHeader('content-type', 'application/statuslist+jwt').end(list),
  )
  await new Promise<void>((resolve) => lists.listen(0, '127.0.0.1', resolve))
  const uri = `https://127.0.0.1:${(lists.address() as AddressInfo).port}/status`
  const say: World['say'] = async (statuses) => {
    const said = await order({ do: 'statusList', key: corp.jwk, x5c: [corp.der], uri, statuses })
    list = (said as { list: string }).list
  }
  await say([0, 1, 0, 0, 0, 0, 0, 0])

  const gateway = await startGateway({
    port: await freePort(),
    tls,
    env: { RP_CERTIFICATE: party.certificate, RP_KEY: party.key, ISSUERS: issuers.root, TLS: tls.cert, SECRET },
    config: configuration,
  })
  return {
    gateway,
    issuers,
    corp,
    say,
    async wallet(claims, { by = corp, status = 0 } = {}) {
      const holder: JsonWebKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
      const exp = Math.floor(Date.now() / 1000) + 3600
      const more = { iss: 'https://corp.example', exp, status: { status_list: { uri, idx: status } } }
      const made = await order({ do: 'issue', key: by.jwk, x5c: [by.der], holder, vct: VCT, claims, more })
      const { credential } = made as { credential: string }
      return {
        present: async (link, { encs } = {}) =>
          (await order({
            do: 'present',
            link,
            credentials: [credential],
            holder,
            authority: access.root,
            ...(encs && { encs }),
          })) as Presented,
      }
    },
    async close() {
      await gateway.close()
      await new Promise((resolve) => lists.close(resolve))
      await Promise.all([issuers.close(), access.close(), rm(program), rm(folder, { recursive: true })])
    },
  }
}

/** One order to the foreign program. @throws with what it said where it fails */
async function run(program: string, ca: string, order: object): Promise<unknown> {
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: ca }
  const child = spawn(process.execPath, [program], { env, stdio: ['pipe', 'pipe', 'pipe'] })
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
