import assert from 'node:assert/strict'
import { hash, X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import jsonld from 'jsonld'
import { isTextSignedBy } from '../../../src/connectors/signature.ts'
import type { Format } from '../../../src/connectors/wallet/credential.ts'
import { disclosed } from '../../../src/connectors/wallet/credentials/disclosures.ts'
import { isObject, type JsonObject } from '../../../src/connectors/wallet/credentials/jws.ts'
import { loireVc } from '../../../src/connectors/wallet/credentials/loire.ts'
import { noteDeviations, presented } from '../../../src/connectors/wallet/credentials/presented.ts'
import { checkKeyBinding, readSdJwt } from '../../../src/connectors/wallet/credentials/sd-jwt.ts'
import { keyInDid, readDidDocument } from '../../../src/connectors/wallet/keys/did.ts'
import { signedByIssuer } from '../../../src/connectors/wallet/keys/issuer.ts'
import { jwkOf, thumbprint } from '../../../src/connectors/wallet/keys/jwk.ts'
import { openAnchors } from '../../../src/connectors/wallet/keys/x509.ts'
import { unpacked, valueAt } from '../../../src/connectors/wallet/status/list.ts'
import { standingOf } from '../../../src/connectors/wallet/status/status.ts'
import { openContexts } from '../../../src/connectors/wallet/tagus/canonical.ts'
import { corpus } from '../../support/corpora.ts'
import { binding, newKey, publicOf, signed, type Web, worldOf } from '../../support/credentials.ts'

/*
 * Data that others made, through the code of a sign-in. What a document has that a sign-in would refuse for another reason (an issuer at no
 * reachable address, a time of years ago) is given by the table of the web and the clock.
 */

const vectors = corpus('gaiax', 'sd-jwt-vc')
const at = (path: string, name: string) => readFileSync(join(path, name), 'utf8')
const json = (path: string, name: string) => JSON.parse(at(path, name))

/** The key of the issuer in the examples of the IETF and of OpenID4VP; public, as they publish the private one too. */
const ietfKey = {
  kty: 'EC',
  crv: 'P-256',
  x: 'b28d4MwZMjw8-00CG4xfnn9SLMVMM19SlqZpVb_uNtQ',
  y: 'Xv5zWwuoaTgdS6hV43yI6gBwTnjukmFQQnJ_kCxzqk8',
}

/** Metadata of an issuer that has this one key, under whatever `kid` is asked for. */
function issuerWeb(iss: string, kid: unknown): Web {
  const { origin, pathname } = new URL(iss)
  const address = `${origin}/.well-known/jwt-vc-issuer${pathname === '/' ? '' : pathname}`
  return { [address]: JSON.stringify({ issuer: iss, jwks: { keys: [{ ...ietfKey, ...(kid ? { kid } : {}) }] } }) }
}

interface Vector {
  readonly index: number
  readonly header: { readonly kid?: string }
  readonly kind: string
  readonly kb_payload: { readonly nonce: string; readonly aud: string; readonly iat: number } | null
  readonly sd_jwt: string
}

const MADE = 1_700_000_000

async function checkVector({ sd_jwt: text, header, kb_payload: kb }: Vector): Promise<void> {
  const sdJwt = readSdJwt(text.includes('~') ? text : `${text}~`)
  const { payload } = sdJwt.issued
  const iss = String(payload['iss'] ?? payload['issuer'])
  const now = kb?.iat ?? MADE
  const world = worldOf(issuerWeb(iss, header.kid), { now: () => now })
  const issuer = await signedByIssuer(sdJwt.issued, { iss, deviations: noteDeviations(new Set()), what: 'it' }, world)
  assert.equal(issuer.by, 'metadata')
  assert.ok(Object.keys(disclosed(payload, sdJwt.disclosures)).length > 0)
  if (kb) checkKeyBinding(sdJwt, { nonce: kb.nonce, audience: kb.aud }, now)
}

test('SD-JWT and SD-JWT VC of the IETF: 14 of 14, with every key binding', { skip: vectors.skip }, async (t) => {
  const all: readonly Vector[] = ['sd-jwt-vc_spec_vectors.json', 'sd-jwt_spec_vectors.json'].flatMap((name) =>
    json(vectors.path, name),
  )
  for (const vector of all) await checkVector(vector)
  const bound = all.filter(({ kb_payload: kb }) => kb !== null)
  t.diagnostic(`${all.length} verify, ${bound.length} of them with a key binding`)
  assert.deepEqual([all.length, bound.length], [14, 5])
})

test('SD-JWT VC of the IETF: what is presented passes as an answer, what is issued without a proof does not', {
  skip: vectors.skip,
}, async () => {
  const all: readonly Vector[] = json(vectors.path, 'sd-jwt-vc_spec_vectors.json')
  for (const { sd_jwt: text, header, kb_payload: kb } of all) {
    const iss = String(readSdJwt(text).issued.payload['iss'])
    const world = worldOf(issuerWeb(iss, header.kid), { now: () => kb?.iat ?? MADE })
    const check = presented('dc+sd-jwt', text, { nonce: kb?.nonce ?? '', audience: kb?.aud ?? '' }, world)
    if (kb) assert.equal((await check)[0]?.issuer.id, iss)
    else await assert.rejects(check, { message: /key binding is missing|bound to no key/ })
  }
})

test('SD-JWT VC of the IETF: each presentation fails when one letter of a disclosure, the proof or the credential is changed', {
  skip: vectors.skip,
}, async () => {
  const all: readonly Vector[] = json(vectors.path, 'sd-jwt-vc_spec_vectors.json')
  for (const vector of all.filter(({ kb_payload: kb }) => kb !== null)) {
    const parts = vector.sd_jwt.split('~')
    for (const part of parts.keys()) {
      const text = parts[part]!
      const middle = Math.floor(text.length / 2)
      const changed = `${text.slice(0, middle)}${text[middle] === 'A' ? 'B' : 'A'}${text.slice(middle + 1)}`
      const sd_jwt = parts.with(part, changed).join('~')
      await assert.rejects(checkVector({ ...vector, sd_jwt }), `part ${part}`)
    }
  }
})

const spec = corpus('gaiax', 'oid4vp', 'spec')
test('OpenID4VP 1.0: the example of an SD-JWT VC verifies with its key binding, as an answer', {
  skip: spec.skip,
}, async () => {
  const text = at(spec.path, 'sd_jwt_vcld_01_sd_jwt_presentation.txt').replace(/\s/g, '')
  const { nonce, aud, iat } = json(spec.path, 'sd_jwt_vcld_01_kb_jwt_payload.json')
  const world = worldOf(issuerWeb('https://issuer.example.com', undefined), { now: () => iat })
  const [found] = await presented('dc+sd-jwt', text, { nonce, audience: aud }, world)
  assert.deepEqual(found?.types, ['https://credentials.example.com/example_credential'])
  assert.equal(found?.issuer.id, 'https://issuer.example.com')
})

const eudi = corpus('gaiax', 'oid4vp', 'eudi')
test('EUDI verifier: an SD-JWT VC of a did:jwk is by its issuer, and its key binding is by another key', {
  skip: eudi.skip,
}, async () => {
  const [text] = Object.values(json(eudi.path, '07-ehicSdJwtVc-vpToken.json')).flat() as string[]
  const sdJwt = readSdJwt(text!)
  const iss = String(sdJwt.issued.payload['iss'])
  const issuer = await signedByIssuer(
    sdJwt.issued,
    { iss, deviations: noteDeviations(new Set()), what: 'it' },
    worldOf(),
  )
  assert.deepEqual([issuer.id, issuer.by], [iss, 'did'])
  const { nonce, aud, iat } = sdJwt.binding!.payload as { nonce: string; aud: string; iat: number }
  const world = worldOf({}, { now: () => iat })
  await assert.rejects(presented('dc+sd-jwt', text!, { nonce, audience: aud }, world), {
    message: /not signed by the key to which/,
  })
})

test('EUDI verifier: mdoc is refused clearly', { skip: eudi.skip }, async () => {
  for (const file of ['06-pidPlusMdl-vpToken.json', '08-mdl-vpToken.json'])
    for (const text of Object.values(json(eudi.path, file)).flat() as string[]) {
      await assert.rejects(presented('mso_mdoc' as Format, text, binding, worldOf()), {
        message: /format that is not read here/,
      })
      for (const format of ['dc+sd-jwt', 'jwt_vc_json', 'vp+jwt'] as const)
        await assert.rejects(presented(format, text, binding, worldOf()), { code: 'upstream_rejected' })
    }
})

const lists = corpus('gaiax', 'status-list')
const listIn = (name: string) => {
  const text = at(lists.path, name)
  const { bits, lst } = JSON.parse(text.slice(text.indexOf('{')).replace(/\s/g, ''))
  return { bytes: unpacked(lst, 'deflate'), bits, from: 'lowest' } as const
}

test('Token Status List of the IETF: its token verifies, and each place has the status that the draft says', {
  skip: lists.skip,
}, async () => {
  const uri = 'https://example.com/statuslists/1'
  const key = json(lists.path, 'ietf_example_public_key.jwk.json')
  const web = {
    [uri]: at(lists.path, 'ietf_status_list_jwt_raw.md').replace(/\s/g, ''),
    'https://example.com/.well-known/jwt-vc-issuer': JSON.stringify({
      issuer: 'https://example.com',
      jwks: { keys: [key] },
    }),
  }
  const world = worldOf(web, { now: () => 1_686_920_170 })
  const issuer = { id: 'https://example.com', by: 'metadata' } as const
  const standing = (index: number) => standingOf({ issuer, status: [{ kind: 'token', uri, index }] }, world)
  const found = await Promise.all(Array.from({ length: 16 }, (_, index) => standing(index)))
  // Section 4.1: 0xb9 0xa3 from the lowest bit on.
  assert.deepEqual(
    found.map((each) => (each === 'valid' ? 0 : 1)),
    [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1],
  )
})

/** Appendix of the draft: the places that are not 0. */
const places: Readonly<Record<number, Readonly<Record<number, number>>>> = {
  1: {
    0: 1,
    1993: 1,
    25460: 1,
    159495: 1,
    495669: 1,
    554353: 1,
    645645: 1,
    723232: 1,
    854545: 1,
    934534: 1,
    1000345: 1,
  },
  2: {
    0: 1,
    1993: 2,
    25460: 1,
    159495: 3,
    495669: 1,
    554353: 1,
    645645: 2,
    723232: 1,
    854545: 1,
    934534: 2,
    1000345: 3,
  },
  4: {
    0: 1,
    1993: 2,
    35460: 3,
    459495: 4,
    595669: 5,
    754353: 6,
    845645: 7,
    923232: 8,
    924445: 9,
    934534: 10,
    1004534: 11,
    1000345: 12,
    1030203: 13,
    1030204: 14,
    1030205: 15,
  },
}

test('Token Status List of the IETF: lists of a million with 1, 2, 4 and 8 bits have what the draft says', {
  skip: lists.skip,
}, () => {
  for (const [bits, file] of [
    [1, 'encoding1_long'],
    [2, 'encoding2_long'],
    [4, 'encoding4'],
  ] as const) {
    const list = listIn(`ietf_status_list_${file}_json.md`)
    assert.equal(list.bits, bits)
    for (const [index, value] of Object.entries(places[bits] ?? {}))
      assert.equal(valueAt(list, Number(index)), value, `${bits} bits, ${index}`)
    assert.equal(valueAt(list, 1), 0)
  }
  assert.equal(listIn('ietf_status_list_encoding8_json.md').bits, 8)
  assert.deepEqual([...listIn('ietf_status_list_encoding2_json.md').bytes], [0xc9, 0x44, 0xf9])
})

test('Bitstring Status List of the W3C, and as Gaia-X writes it: 16,384 bytes of zero', { skip: lists.skip }, () => {
  const { encodedList_w3c: w3c, encodedList_icam_25_11: icam } = json(lists.path, 'w3c_bitstring_example.json')
  for (const encoded of [w3c, icam]) {
    const bytes = unpacked(encoded.replace(/^u/, ''), 'gzip')
    assert.equal(bytes.length, 16_384)
    assert.ok(bytes.every((byte) => byte === 0))
  }
})

const dids = corpus('gaiax', 'did')
test('DID documents that others published: the key is that of the certificate beside it', { skip: dids.skip }, () => {
  for (const [document, certificate] of [
    ['egavard_payload-sign_did.json', 'egavard_payload-sign_certificate.crt'],
    ['xfsc-fc_did-server_did.json', 'xfsc-fc_did-server_chain.pem'],
  ] as const) {
    const text = at(dids.path, document)
    const { keys } = readDidDocument(text)
    const leaf = jwkOf(new X509Certificate(at(dids.path, certificate)).publicKey)
    assert.equal(thumbprint(keys.assertionMethod[0]!.jwk), thumbprint(leaf!))
  }
})

const certificatesIn = (path: string, name: string) =>
  at(path, name).match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
const base64 = (pem: string) => pem.replace(/-----[^-]+-----|\s/g, '')

test('chains that others published: to the root and to an authority below it, and not once they are expired', {
  skip: dids.skip,
}, async () => {
  const tagus = join(dids.path, '..', 'tagus')
  const [leaf = '', middle = '', root = ''] = certificatesIn(
    tagus,
    'compliance.lab.gaia-x.eu_x509CertificateChain_2022.pem',
  )
  const [june2022, june2023] = [1_655_251_200, 1_686_787_200]
  const { hosts, anchor } = await openAnchors({ root }).verify([leaf, middle].map(base64), june2022)
  assert.deepEqual([hosts, anchor], [['compliance.lab.gaia-x.eu'], 'root'])
  await openAnchors({ middle }).verify([base64(leaf)], june2022)
  await assert.rejects(openAnchors({ root }).verify([leaf, middle].map(base64), june2023), /expired/)
  await assert.rejects(openAnchors({ root }).verify([base64(leaf)], june2022), /do not chain/)
  const [signer = '', testCa = ''] = certificatesIn(dids.path, 'xfsc-fc_did-server_chain.pem')
  const { subject } = await openAnchors({ testCa }).verify([base64(signer)], 1_790_000_000)
  assert.equal(subject, 'CN=FC Test Signer')
})

const bridge = corpus('gaiax', 'bridge-vp')
const bridgeFiles = () => readdirSync(bridge.path).filter((name) => name.startsWith('VP_'))
const HOLDERS = ['VP_EmailPass.json', 'VP_EmployeeCredential.json', 'VP_TezosAssociatedAddress.json']

/** Ed25519Signature2018: the canonical forms of the proof's options and of the document, each hashed. */
async function holderSigned(name: string): Promise<boolean> {
  const { proof, ...document } = json(bridge.path, name) as {
    proof: JsonObject & { jws: string; verificationMethod: string }
  }
  const known = openContexts({})
  const documentLoader = async (url: string) => ({ document: known.get(url), documentUrl: url })
  const options = { algorithm: 'RDFC-1.0', format: 'application/n-quads', safe: true, documentLoader } as const
  const { jws, ...said } = proof
  const quads = await Promise.all(
    [{ '@context': 'https://www.w3.org/2018/credentials/v1', ...said }, document].map((each) =>
      jsonld.canonize(each, options),
    ),
  ).catch(() => undefined) // safe mode: something in it would not be signed
  if (!quads) return false
  const [head = '', , tail = ''] = jws.split('.')
  const text = Buffer.concat([Buffer.from(`${head}.`), ...quads.map((each) => hash('sha256', each, 'buffer'))])
  const key = keyInDid(proof.verificationMethod.replace(/#.*/, ''))
  return isTextSignedBy({ text, signature: Buffer.from(tail, 'base64url') }, key!, 'EdDSA')
}

test("ssi-to-oidc-bridge: the holder's proof of 3 presentations verifies, and of 3 that share one it does not", {
  skip: bridge.skip,
}, async (t) => {
  const found = await Promise.all(bridgeFiles().map(async (name) => [name, await holderSigned(name)] as const))
  t.diagnostic(found.map(([name, good]) => `${name}: ${good ? 'verifies' : 'fails'}`).join(', '))
  assert.deepEqual(
    found.filter(([, good]) => good).map(([name]) => name),
    HOLDERS,
  )
  assert.equal(found.length, 6)
})

test('ssi-to-oidc-bridge: none of its presentations is taken as an answer, since they bring their own contexts', {
  skip: bridge.skip,
}, async () => {
  for (const name of bridgeFiles())
    for (const format of ['dc+sd-jwt', 'jwt_vc_json', 'vp+jwt'] as const)
      await assert.rejects(presented(format, at(bridge.path, name), binding, worldOf()), { code: 'upstream_rejected' })
  assert.ok(isObject(json(bridge.path, HOLDERS[0]!)))
})

const w3c = corpus('vc', 'w3c-vcdm2', 'input')

/** Each file of the W3C's data model tests as a VC-JWT that its issuer signed; those without an issuer get one, but where that is the test. */
async function signedFile(file: string, key: ReturnType<typeof newKey>): Promise<unknown> {
  const did = `did:jwk:${Buffer.from(JSON.stringify(publicOf(key))).toString('base64url')}`
  const vc = json(w3c.path, file)
  const missing = !('issuer' in vc) && !file.includes('no-issuer')
  const ours = typeof vc.issuer === 'string' && vc.issuer.startsWith('did:') ? did : vc.issuer
  const text = signed(
    { typ: 'vc+jwt', kid: `${did}#0`, iss: did },
    { ...vc, ...(missing ? { issuer: did } : { issuer: ours }) },
    key,
  )
  const world = worldOf({}, { now: () => 1_717_200_000 })
  return await loireVc(text, { ports: world, deviations: noteDeviations(new Set()) })
}

/** Members that are not read here, addresses whose form means nothing to who compares letter by letter, and contexts, which JSON does not need. */
const unread = /context-combo|evidence|proof|refresh|schema|termsofuse|id-not-url|type-mapped|no-claims|or-inject/

test('W3C data model tests as VC-JWTs: what is wrong is refused, terms that are redefined among it', {
  skip: w3c.skip,
}, async (t) => {
  const key = newKey()
  const files = readdirSync(w3c.path).filter((name) => /^credential-.*-fail\.json$/.test(name) && !unread.test(name))
  for (const file of files) await assert.rejects(signedFile(file, key), { code: 'upstream_rejected' }, file)
  t.diagnostic(`${files.length} are refused`)
  assert.ok(files.includes('credential-redef-type-fail.json') && files.length >= 20)
})

test('W3C data model tests as VC-JWTs: what is right is read, but for statuses of other kinds, several subjects and times that are over', {
  skip: w3c.skip,
}, async (t) => {
  const key = newKey()
  const refused: string[] = []
  const files = readdirSync(w3c.path).filter((name) => /^credential-.*-ok\.json$/.test(name))
  for (const file of files)
    await signedFile(file, key).catch((error: Error) => void refused.push(`${file}: ${error.message}`))
  t.diagnostic(`${files.length - refused.length} of ${files.length} are read`)
  const expected = /kind that is not known|2 subjects|time that cannot be read: PAST DATE|not yet valid|expired|issuer/
  assert.deepEqual(
    refused.filter((each) => !expected.test(each)),
    [],
  )
})
