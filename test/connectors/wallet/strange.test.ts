import assert from 'node:assert/strict'
import { test } from 'node:test'
import { presented } from '../../../src/connectors/wallet/credentials/presented.ts'
import { standingOf } from '../../../src/connectors/wallet/status/status.ts'
import { openContexts } from '../../../src/connectors/wallet/tagus/canonical.ts'
import { evidenceIn } from '../../../src/connectors/wallet/tagus/evidence.ts'
import { LoginError } from '../../../src/core/errors.ts'
import { allLeniencies, binding, bound, issued, newKey, publicOf, signed, worldOf } from '../../support/credentials.ts'
import { certify, NOW } from '../../support/x509.ts'

/*
 * A wallet signs what it likes, and so does an issuer: whatever they write, the answer is a credential or a refusal of ours, and never an
 * error of the language. Values are strange by turns, one or two at a time, the same in each run.
 */

const [key, holder] = [newKey(), newKey()]
const did = `did:jwk:${Buffer.from(JSON.stringify(publicOf(key))).toString('base64url')}`
const holderDid = `did:jwk:${Buffer.from(JSON.stringify(publicOf(holder))).toString('base64url')}`
const own = certify({ subject: 'CN=a', ca: 'ca', usage: 0x06 }, undefined, key)
const iso = (seconds: number) => new Date(seconds * 1000).toISOString()

const strange: readonly unknown[] = [
  undefined,
  null,
  true,
  0,
  -1,
  1e300,
  NOW * 1000,
  '',
  'x',
  '\u0000',
  '__proto__',
  'did:web:',
  'did:key:z',
  'https://',
  ' ',
  [],
  [[]],
  [null],
  {},
  { id: null },
  { toString: 1 },
  { __proto__: null, constructor: { name: 1 } },
  { '...': 'x' },
  [{ '...': 1 }],
  { _sd: 'x' },
  { _sd: [1] },
  { jwk: null },
  { jwk: { kty: 'EC' } },
  { jwk: { ...publicOf(holder), key_ops: 5 } },
  { jwk: { kty: 'RSA', n: '', e: '' } },
  { kid: {} },
  { status_list: { idx: {}, uri: [] } },
  { type: 'BitstringStatusListEntry' },
  [own.base64],
  [own.base64, own.base64],
  'a'.repeat(5000),
]

/** The object with one member after another replaced by each strange value. */
function* variants(object: Readonly<Record<string, unknown>>, names: readonly string[]): Generator<object> {
  for (const name of names) for (const value of strange) yield { ...object, [name]: value }
}

const world = worldOf({}, { lenient: allLeniencies, anchors: { own: own.pem } })

async function answeredBy(what: () => Promise<unknown>, about: string): Promise<'taken' | 'refused'> {
  try {
    await what()
    return 'taken'
  } catch (error) {
    assert.ok(error instanceof LoginError, `${about}: ${String(error)} ${(error as Error).stack}`)
    return 'refused'
  }
}

const names = ['typ', 'alg', 'kid', 'iss', 'x5c', 'crit', 'iat', 'exp', 'jwk']
const sdNames = [
  'iss',
  'iat',
  'nbf',
  'exp',
  'vct',
  'cnf',
  'status',
  '_sd',
  '_sd_alg',
  'sub',
  '...',
  'nested',
  '__proto__',
]

test('dc+sd-jwt: whatever an issuer or a wallet writes is taken or refused', async (t) => {
  const counts = { taken: 0, refused: 0 }
  const check = async (text: string, about: string) => {
    counts[await answeredBy(() => presented('dc+sd-jwt', text, binding, world), about)] += 1
  }
  for (const header of variants({ kid: `${did}#0` }, names))
    await check(
      bound(issued({ key, holder, header, open: { iss: did }, hidden: { a: 1 } }), holder),
      JSON.stringify(header),
    )
  for (const open of variants({ iss: did }, sdNames))
    await check(bound(issued({ key, holder, header: { kid: `${did}#0` }, open }), holder), JSON.stringify(open))
  const good = issued({ key, holder, header: { kid: `${did}#0` }, open: { iss: did }, hidden: { a: 1 } })
  for (const header of variants({}, names)) await check(bound(good, holder, { header }), `kb ${JSON.stringify(header)}`)
  for (const payload of variants({}, ['iat', 'nbf', 'exp', 'nonce', 'aud', 'sd_hash']))
    await check(bound(good, holder, { payload }), `kb ${JSON.stringify(payload)}`)
  for (const value of strange) {
    const text = Buffer.from(JSON.stringify(value) ?? '').toString('base64url')
    await check(bound(`${good}${text}~`, holder), `disclosure ${text}`)
    await check(`${text}.${text}.${text}~`, text)
  }
  assert.ok(counts.taken > 20 && counts.refused > 500, JSON.stringify(counts))
  t.diagnostic(JSON.stringify(counts))
})

const vcNames = [
  '@context',
  'id',
  'type',
  '@type',
  'issuer',
  'validFrom',
  'validUntil',
  'credentialSubject',
  'credentialStatus',
  'iss',
  'exp',
  'nbf',
  'cnf',
  'vc',
  'sub',
  'status',
]
const vpNames = ['nonce', 'aud', 'iat', 'exp', 'iss', 'holder', 'issuer', 'type', 'verifiableCredential', 'vp']

function loire({ header = {}, payload = {}, vpHeader = {}, vp = {} }: Readonly<Record<string, object>>): string {
  const body = {
    type: ['VerifiableCredential', 'T'],
    issuer: did,
    validFrom: iso(NOW - 60),
    credentialSubject: { id: holderDid },
    ...payload,
  }
  const vc = signed({ typ: 'vc+jwt', kid: `${did}#0`, iss: did, ...header }, body, key)
  const list = [{ type: 'EnvelopedVerifiableCredential', id: `data:application/vc+jwt,${vc}` }]
  const claims = {
    type: 'VerifiablePresentation',
    holder: holderDid,
    nonce: binding.nonce,
    aud: binding.audience,
    verifiableCredential: list,
    ...vp,
  }
  return signed({ typ: 'vp+jwt', kid: `${holderDid}#0`, ...vpHeader }, claims, holder)
}

function jwtVc({
  header = {},
  payload = {},
  vpHeader = {},
  vp = {},
  inner = {},
}: Readonly<Record<string, object>>): string {
  const vc = { type: ['VerifiableCredential', 'T'], credentialSubject: { id: holderDid }, ...inner }
  const jwt = signed({ typ: 'JWT', kid: `${did}#0`, ...header }, { iss: did, nbf: NOW - 60, vc, ...payload }, key)
  const claims = {
    iss: holderDid,
    nonce: binding.nonce,
    aud: binding.audience,
    vp: { type: 'VerifiablePresentation', verifiableCredential: [jwt] },
    ...vp,
  }
  return signed({ typ: 'JWT', kid: `${holderDid}#0`, ...vpHeader }, claims, holder)
}

for (const [format, make] of [
  ['vp+jwt', loire],
  ['jwt_vc_json', jwtVc],
] as const)
  test(`${format}: whatever an issuer or a wallet writes is taken or refused`, async (t) => {
    const counts = { taken: 0, refused: 0 }
    const places = { header: names, payload: vcNames, vpHeader: names, vp: vpNames, inner: vcNames }
    for (const [place, members] of Object.entries(places))
      for (const said of variants({}, members)) {
        const text = make({ [place]: said })
        counts[await answeredBy(() => presented(format, text, binding, world), `${place} ${JSON.stringify(said)}`)] += 1
      }
    assert.ok(counts.taken > 20 && counts.refused > 500, JSON.stringify(counts))
    t.diagnostic(JSON.stringify(counts))
  })

test('evidence: whatever stands in a file is taken or refused', async () => {
  const contexts = openContexts({})
  const good = {
    '@context': 'https://www.w3.org/2018/credentials/v1',
    type: 'VerifiableCredential',
    issuer: did,
    credentialSubject: { id: did },
    proof: {
      type: 'JsonWebSignature2020',
      proofPurpose: 'assertionMethod',
      jws: 'eyJhbGciOiJQUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19..AAAA',
      verificationMethod: `${did}#0`,
    },
  }
  for (const said of variants(good, [...Object.keys(good), 'issuanceDate', 'credentialStatus']))
    await answeredBy(() => evidenceIn(JSON.stringify(said), contexts, world), JSON.stringify(said))
  for (const proof of variants(good.proof, Object.keys(good.proof)))
    await answeredBy(() => evidenceIn(JSON.stringify({ ...good, proof }), contexts, world), JSON.stringify(proof))
  for (const value of strange)
    await answeredBy(() => evidenceIn(JSON.stringify(value) ?? '', contexts, world), JSON.stringify(value) ?? 'nothing')
})

test('status: whatever a list says, it is read or an outage', async () => {
  const uri = 'https://corp.example/status'
  const issuer = { id: did, by: 'did' } as const
  const tokens = [
    ...variants({ kid: `${did}#0`, typ: 'statuslist+jwt' }, names),
    ...variants({ sub: uri, iat: NOW, status_list: { bits: 1, lst: 'eNrbuRgAAhcBXQ' } }, [
      'sub',
      'iat',
      'exp',
      'ttl',
      'iss',
      'status_list',
    ]),
  ].map((said, index) =>
    index < names.length * strange.length
      ? signed(said, { sub: uri, status_list: { bits: 1, lst: 'eNrbuRgAAhcBXQ' } }, key)
      : signed({ typ: 'statuslist+jwt', kid: `${did}#0` }, said, key),
  )
  for (const text of tokens)
    for (const reference of [
      { kind: 'token', uri, index: 0 },
      { kind: 'bitstring', uri, index: 0, purpose: 'revocation', size: 1 },
    ] as const)
      await answeredBy(
        () => standingOf({ issuer, status: [reference] }, worldOf({ [uri]: text }, { lenient: allLeniencies })),
        text,
      )
})

test('documents: whatever a did document or metadata says, it is read, refused or an outage', async () => {
  const web = 'did:web:corp.example'
  const address = 'https://corp.example/.well-known/did.json'
  const metadata = 'https://corp.example/.well-known/jwt-vc-issuer'
  const good = {
    id: web,
    verificationMethod: [{ id: `${web}#1`, controller: web, publicKeyJwk: publicOf(key) }],
    assertionMethod: ['#1'],
  }
  const method = good.verificationMethod[0]!
  const documents = [
    ...variants(good, Object.keys(good)),
    ...[...variants(method, [...Object.keys(method), 'type', 'publicKeyMultibase', 'publicKeyBase58'])].map((each) => ({
      ...good,
      verificationMethod: [each],
    })),
  ]
  const text = (iss: string) =>
    bound(issued({ key, holder, header: { kid: iss === web ? `${web}#1` : '1' }, open: { iss } }), holder)
  for (const said of documents)
    await answeredBy(
      () => presented('dc+sd-jwt', text(web), binding, worldOf({ [address]: JSON.stringify(said) })),
      JSON.stringify(said),
    )
  for (const said of variants({ issuer: 'https://corp.example', jwks: { keys: [{ ...publicOf(key), kid: '1' }] } }, [
    'issuer',
    'jwks',
    'jwks_uri',
  ]))
    await answeredBy(
      () =>
        presented('dc+sd-jwt', text('https://corp.example'), binding, worldOf({ [metadata]: JSON.stringify(said) })),
      JSON.stringify(said),
    )
})
