import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openEvidence } from '../../../src/connectors/wallet/evidence.ts'
import { newKey, publicOf, signed, type Web, worldOf } from '../../support/credentials.ts'
import { NOW } from '../../support/x509.ts'

const did = 'did:web:notary.example'
const key = newKey()
const web: Web = {
  'https://notary.example/.well-known/did.json': JSON.stringify({
    id: did,
    verificationMethod: [{ id: `${did}#1`, controller: did, publicKeyJwk: publicOf(key) }],
  }),
}
const vc = (signer = key) =>
  signed(
    { typ: 'vc+jwt', kid: `${did}#1`, iss: did },
    {
      type: ['VerifiableCredential', 'gx:LegalPerson'],
      issuer: did,
      credentialSubject: { id: 'did:web:corp.example' },
    },
    signer,
  )
const shelf = (evidence: readonly string[], contexts: Readonly<Record<string, string>> = {}, known = web) =>
  openEvidence({ id: 'gaiax', evidence: [...evidence], contexts }, () => worldOf(known), {
    now: () => NOW,
    log: () => {},
  })

test('evidence is read once there is a need, each document by itself', async () => {
  const documents = shelf([vc(), 'nonsense', vc(newKey())])
  await documents.ready()
  assert.deepEqual(
    documents.current().map(({ types }) => types),
    [['gx:LegalPerson']],
  )
  assert.deepEqual(
    (await documents.review()).map(({ ok }) => ok),
    [true, false, false],
  )
})

test('of a document with several credentials the good ones count', async () => {
  const documents = shelf([`${vc()}\n${vc(newKey())}`])
  await documents.ready()
  assert.equal(documents.current().length, 1)
  assert.equal((await documents.review())[0]?.ok, false)
})

test('an issuer that cannot be read is told as such', async () => {
  const documents = shelf([vc()], {}, {})
  await documents.ready()
  assert.deepEqual(documents.current(), [])
  assert.equal(documents.unread(), 'evidence[0]')
})

test('a JSON-LD context that is none is told, and stops nothing else', async () => {
  const documents = shelf([vc()], { 'https://registry.example/x#': '{}' })
  await documents.ready()
  assert.deepEqual(documents.current(), [])
  assert.match((await documents.review())[0]?.found ?? '', /no JSON-LD context/)
})

test('what was read counts for a day while its issuer cannot be asked, and is read again when it can', async () => {
  const state: { now: number; web: Web } = { now: NOW, web }
  const documents = openEvidence(
    { id: 'gaiax', evidence: [vc()], contexts: {} },
    () => worldOf(state.web, { now: () => state.now }),
    { now: () => state.now, log: () => {} },
  )
  const look = async (seconds: number, known: Web) => {
    state.now += seconds
    state.web = known
    await documents.review()
    return documents.current().length
  }
  assert.equal(await look(0, web), 1)
  assert.equal(await look(3600, {}), 1)
  assert.equal(await look(80_000, {}), 1)
  assert.equal(documents.unread(), undefined)
  assert.equal(await look(3000, {}), 0)
  assert.equal(documents.unread(), 'evidence[0]')
  assert.equal(await look(60, web), 1)
})
