import assert from 'node:assert/strict'
import type { Browser, Page } from '../support/browser.ts'
import { authority, type Certified } from '../support/certificate.ts'
import { freePort, type GatewayOptions, startGateway, type TestGateway } from '../support/gateway.ts'
import { authorization, loginPath, person } from '../support/sign-in.ts'
import { type StatusList, startStatusList } from '../support/status-list.ts'
import {
  type Held,
  type Holder,
  holder,
  type Issuer,
  issue,
  issuerOf,
  open,
  present,
  type Read,
} from '../support/wallet.ts'

export const VCT = 'https://credentials.corp.example/employee'
export const BADGE = 'https://credentials.corp.example/badge'
export const COMPANY = 'https://credentials.corp.example/company'

/** Everything that a sign-in by a wallet needs: the gateway with a certificate of its own, an issuer, and a person's wallet. */
export interface WalletWorld {
  readonly gateway: TestGateway
  readonly corp: Issuer
  /** An issuer under the same root that the configuration does not name. */
  readonly stranger: Issuer
  readonly ada: Holder
  /** Ada's credential, from corp. */
  readonly held: Held
  /** Corp's list of statuses, which the connector `gaiax` may read. */
  readonly statuses: StatusList
  close(): Promise<void>
}

const claims = { employee_id: 'ada-1', given_name: 'Ada', roles: ['developer'] }

const fromCorp = "issuedBy: [{ anchor: corp, id: 'https://hr.corp.example' }]"

const employees = `      - id: employee
        label: Employee of Corp
        format: dc+sd-jwt
        types: ['${VCT}']
        about: person
        ${fromCorp}
        claims: [{ path: employee_id }, { path: [roles, null], values: [developer, operator] }]
        subject: { claim: employee_id }
        acr: substantial`

/** Two about a person and one about her organisation, none of them by itself enough or needed. */
const several = `
      - { id: employee, format: dc+sd-jwt, types: ['${VCT}'], about: person, need: optional, ${fromCorp} }
      - { id: badge, format: dc+sd-jwt, types: ['${BADGE}'], about: person, need: optional, ${fromCorp} }
      - { id: company, format: dc+sd-jwt, types: ['${COMPANY}'], about: organisation, need: optional, ${fromCorp} }`

/** A credential of corp's. */
export const employee = (by: Issuer, to: Holder, more: Partial<typeof claims> & { status?: object } = {}): Held => {
  const { status, ...said } = more
  return issue(by, { vct: VCT, claims: { ...claims, ...said }, ...(status && { open: { status } }) }, to)
}

export interface Options {
  /** More options of the connector `gaiax`, in YAML. */
  readonly more?: string
  readonly env?: Readonly<Record<string, string>>
  readonly store?: GatewayOptions['store']
  /** Who signs requests; the gateway's own certificate by default. */
  readonly verifier?: Certified
}

/** @param options of the connector `gaiax`; there are `plain`, `qr` and `other` beside it */
export async function startWalletWorld({ more = '', env = {}, verifier, store }: Options = {}): Promise<WalletWorld> {
  const root = authority('Root of corp')
  const corp = issuerOf('https://hr.corp.example', root)
  const statuses = await startStatusList(corp)
  const own = verifier ?? authority('Root of verifiers').issue({ name: 'login.example', dns: ['login.example'] })
  const connector = (id: string, options = '', credentials = employees) => `
  - id: ${id}
    type: wallet
    label: Wallet ${id}
    domain: ${id}
    certificate: { env: CHAIN }
    privateKey: { env: KEY }
    credentials:
${credentials}
    anchors: { corp: { env: CORP_ROOT } }
${options}`
  const gateway = await startGateway({
    port: await freePort(),
    ...(store && { store }),
    env: {
      CHAIN: own.chain,
      KEY: String(own.key.export({ type: 'pkcs8', format: 'pem' })),
      CORP_ROOT: root.root,
      CA: statuses.ca,
      ...env,
    },
    config: `
brand: { name: Cloud Nord }
connectors:
${connector('gaiax', `    ca: { env: CA }\n    allowPrivate: [127.0.0.0/8]\n    recheckAfter: 5m\n    recheckGrace: 30m\n${more}`)}
${connector('qr', '    crossDevice: on\n    browserApi: on')}
${connector('other')}
${connector('several', '', several)}
${connector('open', '    response: plain')}
${connector('plain', '    clientIdPrefix: redirect_uri\n    response: plain')}
targets: [{ id: argo, type: oidc, label: Argo CD, audience: https://argo.example }]
clients: [{ id: kubectl, label: kubectl, native: true, target: argo, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh, device], offlineAccess: true }]
rules:
  - name: developers
    from: [gaiax, qr, other, plain, several, open]
    each: { claim: roles, pattern: '<role>' }
    give: [{ target: argo, group: 'team-<role>' }]
`,
  })
  const ada = holder()
  return {
    gateway,
    corp,
    stranger: issuerOf('https://hr.else.example', root),
    ada,
    held: employee(corp, ada),
    statuses,
    async close() {
      await gateway.close()
      await statuses.close()
    },
  }
}

/** A sign-in that waits for a wallet, in a browser of its own. */
export interface Waiting {
  readonly who: Browser
  readonly page: Page
  readonly verifier: string
  /** What opens a wallet on this device. */
  readonly link: string
}

export const via = (gateway: TestGateway, connector: string, more: Record<string, string> = {}) =>
  authorization(gateway, 'kubectl', { connector, scope: 'openid offline_access', prompt: 'consent', ...more })

/** Begins a sign-in and stands at the page that waits. */
export async function waiting(gateway: TestGateway, connector = 'gaiax', who = person()): Promise<Waiting> {
  const { url, verifier } = via(gateway, connector)
  const page = await who.get(url)
  assert.equal(page.status, 200, page.text)
  assert.match(page.location.pathname, /^\/wallet\/wait\//)
  return { who, page, verifier, link: linkOf(page) }
}

const unescaped = (text: string) => text.replaceAll('&amp;', '&')

export const linkOf = (page: Page): string =>
  unescaped(/class="button block" href="([^"]+)"/.exec(page.text)?.[1] ?? assert.fail(page.text))

/** Fetches what stands behind a link, and makes the answer that fits. */
export async function answerFor(
  { held, ada }: WalletWorld,
  link: string,
): Promise<{ read: Read; vpToken: Record<string, string[]> }> {
  const read = await open(link)
  return { read, vpToken: { employee: [present(held, ada, read)] } }
}

export { loginPath }
