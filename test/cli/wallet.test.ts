import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { authority } from '../support/certificate.ts'
import { freePort, startGateway, type TestGateway } from '../support/gateway.ts'
import { type Operator, operator } from '../support/lotse.ts'
import { type StatusList, startStatusList } from '../support/status-list.ts'
import { type Held, holder, issue, issuerOf, present } from '../support/wallet.ts'

const VCT = 'https://credentials.corp.example/employee'
const root = authority('Root of corp')
const verifiers = authority('Root of verifiers')
const own = verifiers.issue({ name: 'login.example', dns: ['login.example'] })
const corp = issuerOf('https://hr.corp.example', root)
const ada = holder()
const claims = { employee_id: 'ada-1', given_name: 'Ada', roles: ['developer'] }

const config = `
connectors:
  - id: gaiax
    type: wallet
    label: Gaia-X wallet
    domain: gaiax
    certificate: { env: CHAIN }
    privateKey: { env: KEY }
    credentials:
      - id: employee
        format: dc+sd-jwt
        types: ['${VCT}']
        about: person
        issuedBy: [{ anchor: corp, id: 'https://hr.corp.example' }]
        claims: [{ path: employee_id }, { path: [roles, null], values: [developer] }]
        subject: { claim: employee_id }
        acr: substantial
    anchors: { corp: { env: CORP_ROOT } }
    ca: { env: CA }
    allowPrivate: [127.0.0.0/8]
targets: [{ id: argo, type: oidc, label: Argo CD, audience: https://argo.example }]
clients: [{ id: kubectl, label: kubectl, native: true, target: argo, redirectUris: ['http://127.0.0.1/cb'], grants: [code] }]
rules:
  - { name: developers, from: [gaiax], if: [{ claim: roles, is: developer }], give: [{ target: argo, group: developers }] }
tests:
  - { name: ada, subject: { connector: gaiax, id: a, claims: { roles: [developer] } }, expect: ['argo group developers'] }
`

let gateway: TestGateway
let statuses: StatusList
let at: Operator
before(async () => {
  statuses = await startStatusList(corp)
  const env = {
    CHAIN: own.chain,
    KEY: String(own.key.export({ type: 'pkcs8', format: 'pem' })),
    CORP_ROOT: root.root,
    CA: statuses.ca,
    PAST: verifiers.issue({ name: 'old', until: new Date(Date.now() - 60_000) }).chain,
  }
  gateway = await startGateway({ port: await freePort(), config, env })
  at = await operator(gateway, config, env)
})
after(async () => {
  await gateway.close()
  await statuses.close()
})

const asked = { clientId: 'x509_hash:abc', nonce: 'a-nonce-of-that-sign-in' }
const held = (more: Partial<typeof claims> = {}, open: object = {}): Held =>
  issue(corp, { vct: VCT, claims: { ...claims, ...more }, open: { ...open } }, ada)

const file = () => `--config ${join(gateway.folder, 'gateway.yaml')}`

async function explained(text: string) {
  await writeFile(join(gateway.folder, 'answer.json'), text)
  const { code, out, err } = await at.lotse('explain --answer answer.json --connector gaiax', file())
  return { code, out: out.join('\n'), err: err.join('\n') }
}
const token = (presentation: string) => JSON.stringify({ vp_token: { employee: [presentation] } })

test('a captured answer is gone through step by step: checks, the path of trust, claims and grants', async () => {
  const { code, out, err } = await explained(token(present(held(), ada, asked)))
  assert.equal(code, 0, out + err)
  assert.match(out, /^ok +gaiax +query: answered: employee$/m)
  assert.match(out, /^note +gaiax +employee: request: taken to be that of x509_hash:abc, nonce a-nonce/m)
  assert.match(
    out,
    /^ok +gaiax +trust: employee is from https:\/\/hr\.corp\.example, which may issue it: .*anchor corp/m,
  )
  assert.match(out, /^note +gaiax +status of .*: it has none/m)
  assert.match(out, /^ok +gaiax +identifier: claim:employee_id:https:\/\/hr\.corp\.example!ada-1$/m)
  assert.match(out, /org\.did/)
  assert.match(out, /developers/)
})

test('a form of a plain answer, and a vp_token alone, are the same', async () => {
  const presentation = present(held(), ada, asked)
  const form = new URLSearchParams({ vp_token: JSON.stringify({ employee: [presentation] }), state: 's' })
  for (const text of [String(form), JSON.stringify({ employee: [presentation] })])
    assert.equal((await explained(text)).code, 0)
})

test('the first check that fails is the last that is said, and nobody comes of it', async () => {
  const stranger = issuerOf('https://hr.else.example', root)
  const foreign = issue(stranger, { vct: VCT, claims }, ada)
  const cases: readonly (readonly [string, RegExp])[] = [
    [
      token(present(foreign, ada, asked)),
      /bad .*https:\/\/hr\.else\.example \(by x5c, anchor corp\) may not issue employee/,
    ],
    [token(present(held({ roles: ['guest'] }), ada, asked)), /bad .*employee lacks roles/],
    [token(present(held(), ada, asked, { signer: holder().key })), /bad .*key binding is not signed/],
    [JSON.stringify({ vp_token: { employee: ['x.y.z'], other: ['x.y.z'] } }), /bad .*was not asked for/],
    [JSON.stringify({ response: 'e.y.J.h.b' }), /bad .*it is encrypted/],
    ['nothing', /bad .*it is no response of a wallet/],
  ]
  for (const [text, found] of cases) {
    const { code, out } = await explained(text)
    assert.equal(code, 1, out)
    assert.match(out, found)
    assert.doesNotMatch(out, /identifier/)
  }
})

test('an answer of yesterday is looked at as of yesterday, also where its credential has ended since', async () => {
  const now = Math.floor(Date.now() / 1000)
  const over = held({}, { iat: now - 7200, exp: now - 1800 })
  const { code, out } = await explained(token(present(over, ada, asked, { iat: now - 3600 })))
  assert.equal(code, 0, out)
  assert.match((await explained(token(present(over, ada, asked)))).out, /^bad /m)
})

test('a status is asked for now: of what was revoked since, nobody comes', async () => {
  const presentation = present(held({}, { status: statuses.reference(3) }), ada, asked)
  const good = await explained(token(presentation))
  assert.equal(good.code, 0, good.out)
  assert.match(good.out, /^ok +gaiax +status of .*: valid now$/m)
  statuses.set(4, 1)
  const revoked = await explained(token(present(held({}, { status: statuses.reference(4, 2) }), ada, asked)))
  assert.equal(revoked.code, 1)
  assert.match(revoked.out, /^bad +gaiax +status of .*: revoked now$/m)
})

test('print says what has to be registered: client id, certificate, addresses, and what is asked for', async () => {
  const { code } = await at.lotse('print gaiax --out printed')
  assert.equal(code, 0)
  const [page, dcql, pem] = await Promise.all(
    ['README.md', 'dcql.json', 'certificate.pem'].map((name) =>
      readFile(join(gateway.folder, 'printed/gaiax', name), 'utf8'),
    ),
  )
  assert.match(page ?? '', /\| client id \| `x509_hash:[A-Za-z0-9_-]{43}` \|/)
  assert.ok(page?.includes(`\`${gateway.issuer}/callback/gaiax\``), page)
  assert.match(page ?? '', /certificate, until \d{4}-\d\d-\d\d \| CN=login\.example; SHA-256 `[0-9a-f]{64}`/)
  assert.deepEqual(JSON.parse(dcql ?? '').credentials[0].meta, { vct_values: [VCT] })
  assert.match(pem ?? '', /^-----BEGIN CERTIFICATE-----/)
})

test('check looks at certificates and anchors, and says what is wider than it looks', async () => {
  const good = await at.lotse('check', file())
  assert.equal(good.code, 0, [...good.out, ...good.err].join('\n'))
  assert.ok(
    good.out.some((line) => /^(ok|note) +gaiax +certificate: CN=login\.example, until /.test(line)),
    good.out.join('\n'),
  )
  assert.ok(good.out.some((line) => /^(ok|note) +gaiax +anchor corp: CN=Root of corp, until /.test(line)))
  await at.configure(
    config.replace("id: 'https://hr.corp.example' }", "id: 'https://hr.corp.example', speaksFor: anybody }"),
  )
  const wide = await at.lotse('check', file())
  assert.ok(wide.out.some((line) => /^note +gaiax +credential employee: .* members of any organisation/.test(line)))
  await at.configure(config.replace('{ env: CORP_ROOT }', '{ env: PAST }'))
  const past = await at.lotse('check', file())
  assert.equal(past.code, 1)
  assert.ok(
    past.out.some((line) => /^bad +gaiax +anchor corp: CN=old, until .*: over$/.test(line)),
    past.out.join('\n'),
  )
  await at.configure(config.replace('{ env: CORP_ROOT }', '{ env: KEY }'))
  const wrong = await at.lotse('check', file())
  assert.equal(wrong.code, 1)
  assert.ok(
    wrong.out.some((line) => /^bad +gaiax +opened: no PEM certificate/.test(line)),
    wrong.out.join('\n'),
  )
  await at.configure(config)
})
