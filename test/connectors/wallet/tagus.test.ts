import assert from 'node:assert/strict'
import { constants, generateKeyPairSync, hash, type KeyObject, sign } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import jsonld from 'jsonld'
import { noteDeviations, presented } from '../../../src/connectors/wallet/credentials/presented.ts'
import type { Leniency } from '../../../src/connectors/wallet/ports.ts'
import { canonical, openContexts } from '../../../src/connectors/wallet/tagus/canonical.ts'
import { evidenceIn } from '../../../src/connectors/wallet/tagus/evidence.ts'
import { w3cContexts } from '../../../src/connectors/wallet/tagus/w3c-contexts.ts'
import { corpus } from '../../support/corpora.ts'
import { binding, publicOf, signed, type Web, worldOf } from '../../support/credentials.ts'
import { NOW } from '../../support/x509.ts'

const GX = 'https://registry.example/shapes/trustframework#'
const contexts = openContexts({ [GX]: JSON.stringify({ '@context': { gx: GX } }) })
const did = 'did:web:notary.example'
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const documentOf = (key: KeyObject, id = did) =>
  JSON.stringify({
    id,
    verificationMethod: [{ id: `${id}#JWK`, controller: id, publicKeyJwk: key.export({ format: 'jwk' }) }],
    assertionMethod: [`${id}#JWK`],
  })
const web: Web = { 'https://notary.example/.well-known/did.json': documentOf(rsa.publicKey) }

const registration = {
  '@context': ['https://www.w3.org/2018/credentials/v1', 'https://w3id.org/security/suites/jws-2020/v1', GX],
  type: ['VerifiableCredential'],
  id: 'https://corp.example/vat.json',
  issuer: did,
  issuanceDate: new Date((NOW - 60) * 1000).toISOString(),
  credentialSubject: { id: 'did:web:corp.example', type: 'gx:legalRegistrationNumber', 'gx:vatID': 'DE1' },
}

/** Signs as Gaia-X does, with the canonical form as the library has it. */
async function proven<T extends object>(
  vc: T,
  more: { readonly key?: KeyObject; readonly header?: object; readonly proof?: object } = {},
) {
  const documentLoader = async (url: string) => ({ document: contexts.get(url), documentUrl: url })
  const options = { algorithm: 'RDFC-1.0', format: 'application/n-quads', safe: true, documentLoader } as const
  const quads = await jsonld.canonize(vc, options)
  const head = Buffer.from(JSON.stringify({ alg: 'PS256', b64: false, crit: ['b64'], ...more.header })).toString(
    'base64url',
  )
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  const text = Buffer.from(`${head}.${hash('sha256', quads, 'hex')}`)
  const signature = sign('sha256', text, { key: more.key ?? rsa.privateKey, ...padding }).toString('base64url')
  const proof = {
    type: 'JsonWebSignature2020',
    created: new Date(NOW * 1000).toISOString(),
    proofPurpose: 'assertionMethod',
    verificationMethod: `${did}#JWK`,
    jws: `${head}..${signature}`,
    ...more.proof,
  }
  return { ...vc, proof }
}

const read = (json: unknown, lenient: readonly Leniency[] = [], world = worldOf(web, { lenient })) =>
  evidenceIn(typeof json === 'string' ? json : JSON.stringify(json), contexts, world)

async function refused(json: unknown, message: RegExp): Promise<void> {
  const { evidence, failed } = await read(json)
  assert.deepEqual(evidence, [])
  assert.match(failed[0]?.message ?? '', message)
  assert.equal(failed[0]?.code, 'upstream_rejected')
}

test('a Tagus credential is evidence, known by its digests, alone, in a list and in a presentation', async () => {
  const vc = await proven(registration)
  for (const file of [vc, [vc], { type: 'VerifiablePresentation', verifiableCredential: [vc] }]) {
    const { evidence, failed } = await read(file)
    assert.deepEqual(failed, [])
    const [{ digests, ...found } = { digests: [] }] = evidence
    assert.deepEqual(found, {
      format: 'tagus',
      types: ['gx:legalRegistrationNumber'],
      id: 'https://corp.example/vat.json',
      subject: 'did:web:corp.example',
      claims: { id: 'did:web:corp.example', 'gx:vatID': 'DE1' },
      issuer: { id: did, by: 'did' },
      validFrom: NOW - 60,
      status: [],
      leniencies: [],
    })
    assert.equal(digests?.length, 3)
  }
})

test('a Tagus presentation as a login is refused: nothing in it says who presents it', async () => {
  const presentation = JSON.stringify({
    type: 'VerifiablePresentation',
    verifiableCredential: [await proven(registration)],
  })
  for (const format of ['vp+jwt', 'jwt_vc_json', 'dc+sd-jwt'] as const)
    await assert.rejects(presented(format, presentation, binding, worldOf(web)), { code: 'upstream_rejected' })
})

test('a changed claim is refused, and one that was added', async () => {
  const vc = await proven(registration)
  await refused({ ...vc, credentialSubject: { ...vc.credentialSubject, 'gx:vatID': 'DE2' } }, /not signed/)
  await refused({ ...vc, credentialSubject: { ...vc.credentialSubject, 'gx:more': 'x' } }, /not signed/)
})

test('a proof by another key, of another did, in another form or of another kind is refused', async () => {
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  await refused(await proven(registration, { key: other }), /not signed/)
  await refused(
    await proven(registration, { proof: { verificationMethod: 'did:web:evil.example#JWK' } }),
    /another did/,
  )
  await refused(await proven(registration, { proof: { type: 'Ed25519Signature2018' } }), /another kind/)
  await refused(await proven(registration, { proof: { proofPurpose: 'authentication' } }), /another kind/)
  for (const header of [{ alg: 'none' }, { alg: 'HS256' }, { b64: true }, { crit: ['b64', 'x'] }, { jwk: {} }])
    await refused(await proven(registration, { header }), /none in the way of Gaia-X/)
  await refused(registration, /no proof/)
  const vc = await proven(registration)
  await refused({ ...vc, proof: [vc.proof, vc.proof] }, /several/)
})

test('a context that the document brings itself, or one that is not known, is refused and never fetched', async () => {
  const vc = await proven(registration)
  const own = { 'gx:vatID': 'https://evil.example/other' }
  await refused({ ...vc, '@context': [...vc['@context'], own] }, /context of its own/)
  await refused({ ...vc, '@context': [...vc['@context'], 'https://evil.example/context'] }, /not known here/)
  await refused({ ...vc, credentialSubject: { ...vc.credentialSubject, '@context': own } }, /context of its own/)
})

test('words of JSON-LD by which the same claims could stand elsewhere are refused', async () => {
  const vc = await proven(registration)
  for (const word of ['@graph', '@nest', '@reverse', '@included', '@index', '@set'])
    await refused({ ...vc, credentialSubject: { ...vc.credentialSubject, [word]: {} } }, new RegExp(word))
})

test('a property that no context defines is not signed: it is refused, or left out where the operator says so', async () => {
  const vc = await proven(registration)
  const more = { ...vc, admin: 'yes', credentialSubject: { ...vc.credentialSubject, level: 'high' } }
  await refused(more, /undefined-terms/)
  const { evidence } = await read(more, ['undefined-terms'])
  assert.deepEqual(evidence[0]?.claims, { id: 'did:web:corp.example', 'gx:vatID': 'DE1' })
  assert.deepEqual(evidence[0]?.leniencies, ['undefined-terms'])
})

test('a credential about several is read with its list, and has no subject', async () => {
  const subjects = ['a', 'b'].map((name) => ({
    id: `urn:x:${name}`,
    type: 'gx:compliance',
    'gx:integrity': `sha256-${name}`,
  }))
  const { evidence } = await read(await proven({ ...registration, credentialSubject: subjects }))
  assert.equal(evidence[0]?.subject, undefined)
  assert.deepEqual(evidence[0]?.claims, { credentialSubject: subjects })
  assert.deepEqual(evidence[0]?.types, ['gx:compliance'])
})

test('evidence of an issuer that no configuration trusts makes no request', async () => {
  const world = worldOf(web)
  const { failed } = await read(await proven(registration), [], { ...world, allowed: () => false })
  assert.match(failed[0]?.message ?? '', /no issuer of this connector/)
  assert.deepEqual(world.asked, [])
})

test('one credential that is refused does not take the others with it', async () => {
  const vc = await proven(registration)
  const { evidence, failed } = await read([{ ...vc, issuer: 'did:web:evil.example' }, vc])
  assert.deepEqual([evidence.length, failed.length], [1, 1])
})

test('Loire credentials are evidence too: as JWTs one a line, and in a presentation', async () => {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const loire = 'did:web:loire.example'
  const document = JSON.stringify({
    id: loire,
    verificationMethod: [{ id: `${loire}#1`, controller: loire, publicKeyJwk: publicOf(key) }],
  })
  const vc = signed(
    { typ: 'vc+jwt', kid: `${loire}#1`, iss: loire },
    {
      type: ['VerifiableCredential', 'gx:LegalPerson'],
      issuer: loire,
      credentialSubject: { id: 'did:web:corp.example' },
    },
    key,
  )
  const enveloped = { type: 'EnvelopedVerifiableCredential', id: `data:application/vc+jwt,${vc}` }
  const vp = signed({ typ: 'vp+jwt' }, { type: 'VerifiablePresentation', verifiableCredential: [enveloped] }, key)
  const world = () => worldOf({ 'https://loire.example/.well-known/did.json': document })
  for (const [file, count] of [
    [`${vc}\n${vc}\n`, 2],
    [vp, 1],
    [{ verifiableCredential: [enveloped] }, 1],
  ] as const) {
    const { evidence } = await read(file, [], world())
    assert.equal(evidence.length, count)
    assert.deepEqual([evidence[0]?.format, evidence[0]?.types], ['vp+jwt', ['gx:LegalPerson']])
  }
  await assert.rejects(read('hello'), { code: 'upstream_rejected' })
  await assert.rejects(read('{}'), /0 credentials/)
})

const tagus = corpus('gaiax', 'tagus')
const TRUSTFRAMEWORK =
  'https://registry.lab.gaia-x.eu/development/api/trusted-shape-registry/v1/shapes/jsonld/trustframework#'
const json = (name: string) => JSON.parse(readFileSync(join(tagus.path, name), 'utf8'))

/** The DIDs of 2022 and 2023: the lab's have the key of its certificate, each of the wizard's is the base58 of its own. */
function labWeb(): (url: string) => string | undefined {
  const { _note, ...lab } = json('compliance.lab.gaia-x.eu_leaf.jwk.json')
  const keys = json('wizard.lab_keys_by_verificationMethod.json') as Record<string, unknown>
  return (url) => {
    const path = url
      .replace('https://', '')
      .replace(/\/(\.well-known\/)?did\.json$/, '')
      .replaceAll('/', ':')
    const id = `did:web:${path}`
    const jwk = /^(compliance|registration)\.lab\.gaia-x\.eu/.test(path) ? lab : keys[`${id}#JWK2020`]
    if (path === 'raw.githubusercontent.com:egavard:payload-sign:master')
      return readFileSync(join(tagus.path, '..', 'did', 'egavard_payload-sign_did.json'), 'utf8')
    const method = { id: `${id}#${jwk === lab ? 'X509-JWK2020' : 'JWK2020'}`, controller: id, publicKeyJwk: jwk }
    return jwk === undefined ? undefined : JSON.stringify({ id, verificationMethod: [method] })
  }
}

function labPorts() {
  const answer = labWeb()
  const known: Web = new Proxy({}, { get: (_, url) => answer(String(url)) })
  return worldOf(known, { lenient: ['kid-unknown', 'undefined-terms'] })
}

const tagusFiles: readonly (readonly [file: string, good: number, bad: number])[] = [
  ['gxcompliance_participant-vp.json', 3, 0],
  ['gxcompliance_service-offering-vp.json', 4, 0],
  ['gxcompliance_service-offering-sd.json', 5, 0],
  ['gxcompliance_service-offering-and-ressources-vp.json', 4, 0],
  ['gxcompliance_service-offering-label-level-1.json', 6, 0],
  ['gxcompliance_service-offering-label-level-1-invalid.json', 6, 0],
  ['gxcompliance_terms-and-conditions-vp.json', 1, 0],
  ['gxcompliance_participant-vp-faulty.json', 0, 2],
  ['gxcompliance_participant-vp-faulty-missing-proof.json', 0, 1],
  ['gxcompliance_service-offering-vp-providedBy-absent.json', 0, 3],
  ['gxcompliance_service-offering-vp-structure-invalid.json', 0, 3],
]

test('Gaia-X lab, Tagus: 29 proofs verify and 9 do not', { skip: tagus.skip }, async (t) => {
  const lab = openContexts({ [TRUSTFRAMEWORK]: readFileSync(join(tagus.path, 'context_trustframework.json'), 'utf8') })
  let [good, bad] = [0, 0]
  for (const [file, expected, wrong] of tagusFiles) {
    const { evidence, failed } = await evidenceIn(readFileSync(join(tagus.path, file), 'utf8'), lab, labPorts())
    const withProof = failed.filter(({ message }) => !/has no proof/.test(message))
    for (const { message } of withProof) assert.match(message, /not signed by the key that/)
    assert.deepEqual(
      [file, evidence.length, withProof.length],
      [file, expected, wrong],
      failed.map(({ message }) => message).join('\n'),
    )
    good += evidence.length
    bad += withProof.length
  }
  assert.deepEqual([good, bad], [29, 9])
  t.diagnostic(`${good} proofs verified, ${bad} did not`)
})

test('Gaia-X lab, Tagus: a compliance credential names those beside it by digests that are known here', {
  skip: tagus.skip,
}, async () => {
  const lab = openContexts({ [TRUSTFRAMEWORK]: readFileSync(join(tagus.path, 'context_trustframework.json'), 'utf8') })
  const text = readFileSync(join(tagus.path, 'gxcompliance_service-offering-sd.json'), 'utf8')
  const { evidence } = await evidenceIn(text, lab, labPorts())
  const known = new Set(evidence.flatMap(({ digests }) => digests ?? []))
  const named = [...text.matchAll(/"integrity":\s*"sha256-([0-9a-f]{64})"/g)].map(([, digest = '']) => digest)
  assert.equal(named.length, 4)
  assert.deepEqual(
    named.filter((digest) => !known.has(digest)),
    [],
  )
})

test('XFSC federated catalogue, Tagus: two compliance credentials verify, one has a key that is not public', {
  skip: tagus.skip,
}, async () => {
  const lab = openContexts({ [TRUSTFRAMEWORK]: readFileSync(join(tagus.path, 'context_trustframework.json'), 'utf8') })
  for (const [file, expected] of [
    ['xfsc-fc_event.json', 1],
    ['xfsc-fc_sag-research-response.jsonld', 1],
    ['xfsc-fc_comp-response_tsystems-gxdch.jsonld', 0],
  ] as const) {
    const { evidence } = await evidenceIn(readFileSync(join(tagus.path, file), 'utf8'), lab, labPorts())
    assert.deepEqual([file, evidence.length], [file, expected])
  }
})

test('Gaia-X lab, Tagus: one digit of a VAT id that is changed fails', { skip: tagus.skip }, async () => {
  const lab = openContexts({ [TRUSTFRAMEWORK]: readFileSync(join(tagus.path, 'context_trustframework.json'), 'utf8') })
  const text = readFileSync(join(tagus.path, 'gxcompliance_participant-vp.json'), 'utf8')
  const { evidence } = await evidenceIn(text.replace('BE0762747721', 'BE0762747722'), lab, labPorts())
  assert.equal(evidence.length, 2)
})

const w3c = corpus('vc', 'w3c-vcdm2', 'input')
test('W3C data model tests: JSON-LD that redefines a term is refused', { skip: w3c.skip }, async () => {
  const files = readdirSync(w3c.path).filter((name) => /redef.*-fail\.json$/.test(name))
  assert.equal(files.length, 2)
  const v2 = openContexts({
    'https://www.w3.org/ns/credentials/v2': w3cContexts['https://www.w3.org/2018/credentials/v1']!,
  })
  for (const file of files)
    await assert.rejects(
      canonical(JSON.parse(readFileSync(join(w3c.path, file), 'utf8')), v2, noteDeviations(new Set())),
      { message: /context of its own/ },
    )
})

test('the contexts of the W3C are, but for white space, those that others have', { skip: tagus.skip }, () => {
  for (const [url, file] of [
    ['https://www.w3.org/2018/credentials/v1', 'context_credentials_v1.json'],
    ['https://w3id.org/security/suites/jws-2020/v1', 'context_jws2020_v1.json'],
  ] as const)
    assert.deepEqual(JSON.parse(w3cContexts[url] ?? ''), json(file))
})
