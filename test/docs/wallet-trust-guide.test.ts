import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { problemText } from '../../src/config/problem.ts'
import type { Credential, Evidence } from '../../src/connectors/wallet/credential.ts'
import { matched } from '../../src/connectors/wallet/dcql.ts'
import type { WalletConfig } from '../../src/connectors/wallet/options.ts'
import { issuersIn } from '../../src/connectors/wallet/sources.ts'
import { subjectFrom } from '../../src/connectors/wallet/subject.ts'
import { judge } from '../../src/connectors/wallet/trust.ts'
import { decide } from '../../src/core/decide.ts'
import { describeGrant } from '../../src/core/grants.ts'
import { loadFrom, now, server } from '../config/files.ts'
import { credential, label, refusal } from '../connectors/wallet/credentials.ts'
import { root } from '../support/runner.ts'

const page = readFileSync(join(root, 'docs/guides/wallet-trust.md'), 'utf8')

const blocks = new Map(
  page.split(/^##+ /m).flatMap((section): [string, string][] => {
    const [, text] = /^```yaml\n([\s\S]*?)^```/m.exec(section) ?? []
    return text === undefined ? [] : [[section.slice(0, section.indexOf('\n')), text]]
  }),
)
const targets = blocks.get('What the examples assume') ?? ''

const files = {
  '/etc/lotse/tls/wallet-chain.pem': 'a chain',
  '/etc/lotse/tls/corp-root.pem': 'a root',
  '/etc/lotse/tls/administration-root.pem': 'a root',
  '/etc/lotse/trust/clearing-houses.json': '["did:web:gxdch.example"]',
}
const env = { WALLET_KEY: 'a key', AAS_SECRET: 'a secret' }

async function situation(title: string) {
  const main = [server, targets, blocks.get(title)].join('\n')
  const loaded = await loadFrom({ files: { ...files, '/etc/lotse/gateway.yaml': main }, env })
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(problemText).join('\n'))
  assert.ok(loaded.tests > 0)
  const config = loaded.config.connectors.find(({ type }) => type === 'wallet') as unknown as WalletConfig
  /** What a presentation of these, with what the operator brought, comes to. */
  const gets = (id: string, credentials: readonly Credential[], evidence: readonly Evidence[] = []) => {
    const asked = config.credentials.find((each) => each.id === id)
    assert.ok(asked)
    const lists = (name: string) => {
      const list = config.lists[name]
      return typeof list === 'string' ? issuersIn(list) : new Set(['did:web:acme.example', 'did:web:globex.example'])
    }
    const judged = judge({ config, lists, evidence }, matched(config, [{ asked, credentials }]), now)
    return decide(loaded.policy, subjectFrom(judged, config, now).subject, now).grants.map(describeGrant)
  }
  return gets
}

const validUntil = now + 86_400

describe('docs/guides/wallet-trust.md', () => {
  it('one company: its own issuer by its own root, and no other of that root', async () => {
    const gets = await situation('1. One company')
    const employee = (more: Partial<Credential> = {}) =>
      credential({
        format: 'dc+sd-jwt',
        types: ['https://credentials.corp.example/employee'],
        issuer: { id: 'https://hr.corp.example', by: 'x5c', anchor: 'corp' },
        claims: { staff_number: '7', roles: ['web-developer'] },
        validUntil,
        ...more,
      })
    assert.deepEqual(gets('employee', [employee()]), ['cloud project web: member', 'prod namespace web: edit'])
    const printer = employee({ issuer: { id: 'https://printers.corp.example', by: 'x5c', anchor: 'corp' } })
    assert.match(
      refusal(() => gets('employee', [printer])),
      /may not issue employee/,
    )
    assert.match(
      refusal(() => gets('employee', [employee({ claims: { roles: ['web-developer'] } })])),
      /lacks staff_number/,
    )
  })

  const member = (more: Partial<Credential> = {}) =>
    credential({ issuer: { id: 'did:web:acme.example', by: 'did' }, validUntil, ...more })

  it('a consortium: who is on its list, and nobody else', async () => {
    const gets = await situation('2. A consortium')
    assert.deepEqual(gets('member', [member()]), ['cloud project acme: member'])
    const stranger = member({ issuer: { id: 'did:web:stranger.example', by: 'did' } })
    assert.match(
      refusal(() => gets('member', [stranger])),
      /may not issue member/,
    )
  })

  it('a public body: the office speaks for those authorities that are written out', async () => {
    const gets = await situation('3. A public body')
    const official = (authority: string) =>
      credential({
        format: 'dc+sd-jwt',
        types: ['urn:state:credential:official:1'],
        issuer: { id: 'https://credentials.state.example', by: 'x5c', anchor: 'administration' },
        claims: { authority, personnel_id: 'p1', function: 'surveyor' },
        validUntil,
      })
    assert.deepEqual(gets('official', [official('https://geodata.state.example')]), ['cloud project geodata: member'])
    assert.deepEqual(gets('official', [official('https://health.state.example')]), [])
    assert.match(
      refusal(() => gets('official', [official('https://finance.state.example')])),
      /may not speak/,
    )
  })

  describe('a label is required', () => {
    const digest = 'ab'.repeat(32)
    const listed = { 'gx:compliantCredentials': [{ 'gx:digestSRI': `sha256-${digest}` }] }
    const levelled = (level: string, more: Partial<Evidence> = {}) =>
      label({
        claims: { 'gx:labelLevel': level, ...listed },
        subject: 'https://acme.example/label#cs',
        validUntil,
        ...more,
      })
    const participant = label({
      types: ['gx:LegalPerson'],
      issuer: { id: 'did:web:acme.example', by: 'did' },
      claims: {},
      digests: [digest],
      validUntil,
    })
    const parent = { 'gx:parentPartyCredential': 'https://acme.example/party.json' }
    const developer = member({ claims: { 'gx:identityRoles': ['developer'], ...parent } })

    it('members of an organisation with a level-1 label and role developer get project X', async () => {
      const gets = await situation('4. A label is required')
      const project = ['cloud project X: member']
      assert.deepEqual(gets('member', [developer], [levelled('L1'), participant]), project)
      const attached = [levelled('L1'), participant].map((each) => each as Credential)
      assert.deepEqual(gets('member', [developer, ...attached]), project)
      const clerk = member({ claims: { 'gx:identityRoles': ['clerk'], ...parent } })
      assert.deepEqual(gets('member', [clerk], [levelled('L1'), participant]), [])
    })

    it('nobody gets in without the label, with a lower one, an expired one, or that of another', async () => {
      const gets = await situation('4. A label is required')
      const without = [
        [],
        [levelled('L1')],
        [levelled('SC'), participant],
        [levelled('L1', { validUntil: now - 100 }), participant],
        [levelled('L1', { issuer: { id: 'did:web:acme.example', by: 'did' } }), participant],
        [levelled('L1'), { ...participant, digests: ['cd'.repeat(32)] }],
      ]
      for (const evidence of without)
        assert.match(
          refusal(() => gets('member', [developer], evidence)),
          /may not issue member/,
        )
    })

    it('who says that she belongs to another organisation than the one that issued her credential is refused', async () => {
      const gets = await situation('4. A label is required')
      const other = member({
        claims: { 'gx:identityRoles': ['developer'], 'gx:parentPartyCredential': 'did:web:globex.example' },
      })
      assert.match(
        refusal(() => gets('member', [other], [levelled('L1'), participant])),
        /may not speak/,
      )
    })
  })

  it('migration from GXFS AAS: both ways lead to the project, as two accounts', async () => {
    const gets = await situation('5. Migration from GXFS AAS')
    const principal = member({ format: 'jwt_vc_json', types: ['PrincipalCredential'], claims: { id: 'did:key:z6Mk' } })
    assert.deepEqual(gets('principal', [principal]), ['cloud project acme: member'])
  })

  it('has the five situations', () => {
    const titles = [...blocks.keys()].filter((title) => /^\d\. /.test(title))
    assert.deepEqual(
      titles.map((title) => title[0]),
      ['1', '2', '3', '4', '5'],
    )
  })
})
