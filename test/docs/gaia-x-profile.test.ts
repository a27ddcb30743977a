import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Credential } from '../../src/connectors/wallet/credential.ts'
import { presented } from '../../src/connectors/wallet/credentials/presented.ts'
import { matched, queryOf } from '../../src/connectors/wallet/dcql.ts'
import { leniencies } from '../../src/connectors/wallet/ports.ts'
import { subjectFrom } from '../../src/connectors/wallet/subject.ts'
import { judge } from '../../src/connectors/wallet/trust.ts'
import { labelled, person, walletConfig } from '../connectors/wallet/credentials.ts'
import { worldOf } from '../support/credentials.ts'
import { root } from '../support/runner.ts'

const page = readFileSync(join(root, 'docs/gaia-x-profile.md'), 'utf8')
const blocks = (kind: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${kind}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, text = '']) => text)

const [query = '', memberHeader = '', member = '', header = '', payload = ''] = blocks('json')
const presentation = (blocks('jwt')[0] ?? '').replace(/\s/g, '')
const documents = blocks('did').map((text) => JSON.parse(text) as { readonly id: string })
const [, nonce = '', audience = ''] = /`nonce` `([^`]+)` and `client_id` `([^`]+)`/.exec(page) ?? []
const now = Date.parse(/made at (\S+Z)/.exec(page)?.[1] ?? '') / 1000

const config = walletConfig(
  [
    {
      ...person,
      issuedBy: ['organisations'],
      memberOf: { claim: 'gx:parentPartyCredential' },
      claims: [{ path: 'gx:identityRoles' }],
    },
    { ...labelled, issuedBy: [{ id: 'did:web:gxdch.example' }] },
    { ...labelled, id: 'participant', types: ['LegalPerson'], issuedBy: ['itself'], need: 'optional' },
  ],
  { require: ['label'] },
)

const web = Object.fromEntries(
  documents.map((document) => [`https://${document.id.slice(8)}/.well-known/did.json`, JSON.stringify(document)]),
)
const read = (binding = { nonce, audience }, at = now) =>
  presented('vp+jwt', presentation, binding, worldOf(web, { now: () => at }))

const decoded = (part: string | undefined) =>
  JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8')) as object

test('the example of docs/gaia-x-profile.md is verified, and makes the person that the page says', async () => {
  const asked = config.credentials[0]!
  const judged = judge(
    { config, lists: () => undefined, evidence: [] },
    matched(config, [{ asked, credentials: await read() }]),
    now,
  )
  const { subject } = subjectFrom(judged, config, now)
  assert.match(subject.id, /^holder:did:web:acme\.example!/)
  for (const [, claim = '', value = ''] of page.matchAll(/^\| `([\w:.]+)` \| `([\w:.]+)` \|$/gm))
    assert.deepEqual(subject.claims[claim], [value], claim)
})

test('the example is refused for another nonce, another client and ten minutes later', async () => {
  await assert.rejects(read({ nonce: 'another', audience }), /another nonce/)
  await assert.rejects(read({ nonce, audience: 'x509_hash:another' }), /not for this gateway/)
  await assert.rejects(read({ nonce, audience }, now + 700), /too old|expired|over/)
})

test('the example travels as it is shown', async () => {
  const [head, body] = presentation.split('.')
  assert.deepEqual(decoded(head), JSON.parse(header))
  const short = (text: string) => text.replace(/(data:application\/vc\+jwt,[A-Za-z0-9_-]{20})[^"]*/g, '$1…')
  assert.equal(short(JSON.stringify(decoded(body))), JSON.stringify(JSON.parse(payload)))
  const [first] = (await read()) as readonly [Credential]
  assert.deepEqual(first.claims['gx:identityRoles'], ['developer'])
  const enveloped = /data:application\/vc\+jwt,([^"]+)/.exec(JSON.stringify(decoded(body)))?.[1]?.split('.') ?? []
  assert.deepEqual({ ...decoded(enveloped[0]), alg: undefined }, { ...JSON.parse(memberHeader), alg: undefined })
  assert.deepEqual(decoded(enveloped[1]), JSON.parse(member))
})

test('the query of the page is the one that such a connector makes, and its table has each leniency', () => {
  const alone = walletConfig([{ ...person, claims: [{ path: 'gx:identityRoles' }] }])
  assert.deepEqual(
    queryOf(alone, () => []),
    JSON.parse(query),
  )
  for (const [name, what] of Object.entries(leniencies)) assert.ok(page.includes(`| \`${name}\` | ${what} |`), name)
})
