import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { readXml } from '../../src/connectors/saml/xml.ts'
import { freePort, startGateway, type TestGateway } from '../support/gateway.ts'
import { type Operator, operator } from '../support/lotse.ts'
import { type Said, samlKeys } from '../support/saml-idp.ts'
import { type SamlIdp, startSamlIdp } from '../support/saml-server.ts'
import { authorization, person } from '../support/sign-in.ts'

let idp: SamlIdp
let gateway: TestGateway
let at: Operator
let config: string
before(async () => {
  idp = await startSamlIdp({ people: [{ name: 'ada' }] })
  config = `
connectors:
  - { id: campus, type: saml, label: Example University, domain: campus, metadata: '${idp.entityId}' }
  - { id: corp, type: oidc, label: Corp AG, issuer: https://sso.corp.example, clientId: lotse, clientSecret: { env: CORP_SECRET }, domain: corp }
targets:
  - { id: argo, type: oidc, label: Argo CD, audience: https://argo.example }
clients:
  - { id: kubectl, label: kubectl, native: true, target: argo, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh] }
rules:
  - { name: all, from: [campus], if: [{ claim: mail, is: ada@example.edu }], give: [{ target: argo, group: students }] }
tests:
  - { name: ada, subject: { connector: campus, id: a, claims: { mail: [ada@example.edu] } }, expect: ['argo group students'] }
`
  const env = { CORP_SECRET: 'x' }
  gateway = await startGateway({ port: await freePort(), config, env })
  at = await operator(gateway, config, env)
})
after(async () => {
  await gateway.close()
  await idp.close()
})

/** A response to a fresh request, in a file. */
async function captured(said: Partial<Said> = {}, write = (encoded: string) => encoded): Promise<string> {
  await person().get(authorization(gateway, 'kubectl', { connector: 'campus' }).url)
  const encoded = await idp.respond(idp.got.at(-1)!, { name: 'ada', said })
  await writeFile(join(gateway.folder, 'answer.txt'), write(encoded))
  return encoded
}

const file = () => `--config ${join(gateway.folder, 'gateway.yaml')}`
const explain = (more = '') => at.lotse(`explain --answer answer.txt --connector campus${more}`, file())

test('a captured response is gone through check by check, and then by the rules', async () => {
  await captured()
  const { code, out } = await explain()
  assert.equal(code, 0, out.join('\n'))
  assert.ok(out.some((line) => /^ok +campus +assertion signature/.test(line)))
  assert.ok(out.some((line) => /^note +campus +request: taken to be _/.test(line)))
  assert.ok(out.some((line) => /^ok +campus +identifier: persistent:/.test(line)))
  assert.ok(out.some((line) => line.includes('ada@example.edu')))
  assert.ok(out.some((line) => line.includes('students')))
})

for (const [form, write] of [
  ['as the body of a form', (encoded: string) => `RelayState=x&${new URLSearchParams({ SAMLResponse: encoded })}`],
  ['URL-encoded', (encoded: string) => `${encodeURIComponent(encoded)}\n`],
  ['as XML', (encoded: string) => Buffer.from(encoded, 'base64').toString()],
] as const) {
  test(`a captured response may be kept ${form}`, async () => {
    await captured({}, write)
    const { code, out } = await explain()
    assert.equal(code, 0, out.join('\n'))
  })
}

test('what would be refused is said with the check that refused it, and no rule is asked', async () => {
  await captured({ audience: 'https://other.example' })
  const { code, out } = await explain()
  assert.equal(code, 1)
  assert.ok(
    out.some((line) => /^bad +campus +Audience: https:\/\/other\.example/.test(line)),
    out.join('\n'),
  )
  assert.equal(
    out.some((line) => line.includes('WHAT THE RULES SAY')),
    false,
  )
  await captured({ signing: { keys: samlKeys() } })
  const forged = await explain(' --json')
  assert.equal(forged.code, 1)
  const { checks } = JSON.parse(forged.out.join('\n')) as { checks: { check: string; ok: boolean }[] }
  assert.deepEqual(
    checks.filter(({ ok }) => !ok).map(({ check }) => check),
    ['assertion signature'],
  )
})

test('an encrypted response is opened with the gateway’s own key', async () => {
  const text = await (await fetch(`${gateway.issuer}/saml/metadata/campus`)).text()
  const [, base64 = ''] = /<ds:X509Certificate>([^<]*)</.exec(text) ?? []
  await captured({ encryption: { to: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n` } })
  const { code, out } = await explain()
  assert.equal(code, 0, out.join('\n'))
  assert.ok(out.some((line) => /^ok +campus +decryption/.test(line)))
})

test('what is no response at all is said to be none', async () => {
  await captured({}, () => 'what is this?')
  const { code, out } = await explain()
  assert.equal(code, 1)
  assert.ok(
    out.some((line) => /^bad +campus +upstream_rejected: .*base64/.test(line)),
    out.join('\n'),
  )
})

test('options that say who it is have no place beside an answer, nor has an answer at another kind of connector', async () => {
  await captured()
  assert.equal((await explain(' --claim a=b')).code, 2)
  assert.equal((await explain(' --subject x')).code, 2)
  assert.equal((await at.lotse('explain --answer answer.txt --connector corp', file())).code, 2)
})

test('print writes the metadata and a page about it', async () => {
  const { code } = await at.lotse('print campus --out printed')
  assert.equal(code, 0)
  const metadata = await readFile(join(gateway.folder, 'printed/campus/metadata.xml'), 'utf8')
  assert.equal(readXml(metadata.trim()).attributes['entityID'], `${gateway.issuer}/saml/metadata`)
  assert.equal(metadata.trim(), await (await fetch(`${gateway.issuer}/saml/metadata/campus`)).text())
  const page = await readFile(join(gateway.folder, 'printed/campus/README.md'), 'utf8')
  for (const text of [
    `${gateway.issuer}/callback/campus`,
    `${gateway.issuer}/logout/saml/campus`,
    'urn:oid:0.9.2342.19200300.100.1.3',
  ])
    assert.ok(page.includes(text), text)
  assert.match(page, /SHA-256 `([0-9A-F]{2}:){31}[0-9A-F]{2}`/)
})

test('the keys command shows the ring, and rotates it with a week of notice', async () => {
  const [key] = await at.keysOf('saml')
  assert.deepEqual([key?.alg, key?.state], ['RS256', 'current'])
  const { code, out } = await at.lotse('keys rotate saml')
  assert.equal(code, 0)
  const day = new Date((Math.floor(Date.now() / 1000) + 7 * 86_400) * 1000).toISOString().slice(0, 10)
  assert.ok(out.join('\n').includes(`signs from ${day}`), out.join('\n'))
})

test('check reads metadata in files and their certificates, and fails for what is wrong there', async () => {
  const checked = async (metadata: string, more = '') => {
    await writeFile(join(gateway.folder, 'idp.xml'), metadata)
    await at.configure(config.replace(`metadata: '${idp.entityId}'`, `metadata: { file: idp.xml${more} }`))
    return at.lotse('check', file())
  }
  const good = await checked(idp.metadata())
  assert.equal(good.code, 0, good.err.join('\n'))
  assert.ok(
    good.out.some((line) => /^note +campus +signing certificate 1: rsa 2048, .*until \d{4}-/.test(line)),
    good.out.join('\n'),
  )
  const broken = await checked(idp.metadata().replace('</md:EntityDescriptor>', ''))
  assert.equal(broken.code, 1)
  assert.ok(broken.out.some((line) => /^bad +campus +metadata of /.test(line)))
  await writeFile(join(gateway.folder, 'pin.pem'), samlKeys().cert)
  const unsigned = await checked(idp.metadata(), ', certificate: { file: pin.pem }')
  assert.equal(unsigned.code, 1)
  assert.ok(
    unsigned.out.some((line) => /^bad +campus +metadata of .*sign/.test(line)),
    unsigned.out.join('\n'),
  )
  await at.configure(config)
})
