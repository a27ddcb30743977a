import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Expected, Policy } from '../../../src/connectors/saml/profile.ts'
import { inspectResponse, verifyResponse } from '../../../src/connectors/saml/verify.ts'
import { LoginError } from '../../../src/core/errors.ts'
import { signXml } from '../../support/saml-idp.ts'
import { type Case, cases, saml } from './corpus.ts'
import { keys } from './world.ts'

/* 232 public responses through the function that the assertion consumer service uses. Keys of a case: those of its record. */

const signed = ['either', 'assertion', 'response', 'both'] as const
const policies: readonly Policy[] = signed.flatMap((each) => [{ signed: each }, { signed: each, sha1: true }])

/**
 * The subject, or why there is none. Many are of years when RSA keys had 1024 bits: these are taken here, or attacks would be refused for
 * them.
 */
async function outcome(each: Case, keys: readonly string[], policy: Policy, encoded = each.encoded): Promise<string> {
  try {
    return `accepted: ${(await verifyResponse(encoded, each.expected(keys, { ...policy, shortKeys: true }))).nameId.value}`
  } catch (error) {
    assert.ok(error instanceof LoginError, `${each.name}: ${error}`)
    return error.message
  }
}

/** What others accept and the gateway does not, by cause. A file is in one of them, or it is accepted. */
const deviations: readonly (readonly [cause: string, refusal: RegExp, files: RegExp])[] = [
  [
    'no AudienceRestriction, which Profiles 4.1.4.2 demands; with one, signed again by their key, they are accepted below',
    /: Audience: none/,
    /^node-saml valid\/response\.root-(?:un)?signed\.assertion-(?:un)?signed(?:\.[12]advice-unsigned|-13|-13-signature|-xd|-xd-signature)?\.xml$/,
  ],
  [
    'the signature is the last child; the schema has it after Issuer (invalid_signature_position is a reject of another source)',
    /a signature is out of its place/,
    /^node-saml valid\/.*advice-signed\.xml$/,
  ],
  [
    'CBC, which is refused without exception',
    /aes(?:128|256)-cbc is not allowed/,
    /encrypted\.xml$|crewjam .*Okta.*Encrypted/,
  ],
  [
    'its Recipient is the word "recipient", at no Destination; the same NameID in a good response is accepted below',
    /SubjectConfirmation: the Recipient recipient/,
    /response_node_text_attack2/,
  ],
]

test(
  'every public response that must be accepted is, with exactly its subject, or stands among the deviations',
  saml,
  async () => {
    const accepts = cases().filter(({ record }) => record.upstream_verdict.startsWith('accept'))
    assert.equal(accepts.length, 27)
    const unexplained: string[] = []
    let accepted = 0
    for (const each of accepts) {
      const [, combinations = '', json = '{}'] = /^([\w+]+) (\{.*\})$/s.exec(each.record.measured_detail) ?? []
      const named = ((JSON.parse(json) as { nameID?: string }).nameID ?? '').trim()
      const deviation = deviations.find(([, , files]) => files.test(each.name))
      const uses1 = /xmldsig#(?:rsa-)?sha1/.test(each.xml)
      for (const policy of policies) {
        const found = await outcome(each, each.keys, policy)
        const name = { either: 'either', assertion: 'assn', response: 'resp', both: 'both' }[policy.signed]
        const good =
          deviation === undefined && combinations.split('+').includes(name) && (!uses1 || policy.sha1 === true)
        if (good) accepted += 1
        if (good ? found !== `accepted: ${named}` : found.startsWith('accepted'))
          unexplained.push(`${each.name} ${name}: ${found}`)
        if (deviation !== undefined && policy.signed === 'either' && policy.sha1 === true && !deviation[1].test(found))
          unexplained.push(`${each.name}: ${found}`)
      }
    }
    assert.deepEqual(unexplained, [])
    assert.ok(accepted >= 14, `${accepted} accepted`)
  },
)

test(
  'every public response that must be refused is, whatever is asked to be signed, with SHA-1 and with its own certificate trusted',
  saml,
  async () => {
    const rejects = cases().filter(({ record }) => record.upstream_verdict === 'reject')
    assert.equal(rejects.length, 127)
    /** Where the attack is the certificate: whoever trusts it is right to accept. */
    const byCertificate = /attackers-cert-at-keyinfo/
    const accepted: string[] = []
    for (const each of rejects)
      for (const policy of policies)
        for (const keys of [each.keys, [...each.keys, ...each.embedded]]) {
          if (keys !== each.keys && byCertificate.test(each.name)) continue
          for (const encoded of new Set([each.encoded, Buffer.from(each.xml).toString('base64')])) {
            const found = await outcome(each, keys, policy, encoded)
            if (found.startsWith('accepted')) accepted.push(`${each.name} ${JSON.stringify(policy)}: ${found}`)
          }
        }
    assert.deepEqual(accepted, [])
  },
)

/** Those whose verdict depends on settings, under the ones that they were made for: how each ends, and why. */
const depending: readonly (readonly [cause: string, found: RegExp, files: RegExp])[] = [
  [
    'good under its key, with SHA-1',
    /^accepted: ./,
    /python3-saml responses\/valid_response\.|\/(?:double_signed_response2?|signed_assertion_response2?|signed_message_response|valid_response2|valid_response_with_namequalifier|response_with_ds_namespace_at_the_root|response_with_signed_assertion_2|signed_(?:unqual_)?nameid_in_atts)\.xml/,
  ],
  [
    'no key in it or beside it signed it as it is: it was changed, or its key is not public',
    /no key of \d/,
    /python3-saml responses\/(?:adfs_response|open_saml_response|pretty_signed_message_response|response3|simple_saml_php)\.|ruby-saml responses\/(?:adfs_response_sha(?:256|512)|open_saml_response|response_audience_self_closed_tag|response_with_signed_assertion|simple_saml_php)\./,
  ],
  ['not signed', /it is not signed/, /decrypted_valid_encrypted_assertion|no_audience/],
  [
    'CBC and RSA 1.5',
    /aes128-cbc is not allowed/,
    /(?<!decrypted_valid)_encrypted_(?:signed_)?assertion|\/valid_encrypted_assertion|signed_message_response2/,
  ],
  [
    'unsolicited: no InResponseTo',
    /InResponseTo: none/,
    /python3-saml responses\/(?:response[245]|response_with_ampersands|valid_response_without_inresponseto)\.|ruby-saml responses\/(?:no_signature_ns|response_with_ampersands|response_with_saml2_namespace|response_with_signed_assertion_3|response_with_signed_message_and_assertion|response_without_attributes)\./,
  ],
  [
    'no Issuer of the response, and no InResponseTo',
    /response Issuer: , expected/,
    /response1|response_node_text_attack|response_with_nested_nameid_values|response_no_cert_and_encrypted_attrs|response_with_multiple_attribute|with_undefined_recipient|starfield_response/,
  ],
  ['its NameID is encrypted by itself, with CBC and RSA 1.5', /Subject: an EncryptedID/, /response_encrypted_nameid/],
  ['its signature refers to the whole document', /does not refer to the element/, /python3-saml .*reference_uri/],
  [
    'its signature is over inclusive canonical XML',
    /REC-xml-c14n-20010315 is not/,
    /ruby-saml .*without_reference_uri/,
  ],
  ['an algorithm that no standard has', /xmldsig-more#rsa-sha1 is not/, /adfs_response_sha1/],
  ['RSA with SHA-384, which xml-crypto has not', /rsa-sha384 is not allowed/, /adfs_response_sha384/],
  ['it says of itself that it failed', /Status: Requester UnsupportedBinding/, /double_status_code/],
  [
    'made for another name of the gateway, at two addresses',
    /SPNameQualifier: hello/,
    /ruby-saml .*response_encrypted_attrs/,
  ],
  ['its Recipient is the word "recipient"', /the Recipient recipient/, /ruby-saml responses\/valid_response/],
  ['its response and its assertion name two issuers', /assertion Issuer: /, /inclusive_namespaces/],
  ['its times are years apart', /response time: 20/, /adfs_response_xmlns|test_sign|simplesamlphp-saml2/],
]

test(
  'a public response whose verdict depends on settings is accepted only where all of them are as it needs',
  saml,
  async () => {
    const rest = cases().filter(({ record }) => /^signature-valid|^see/.test(record.upstream_verdict))
    assert.equal(rest.length, 78)
    const unexplained: string[] = []
    for (const each of rest) {
      const inflated = Buffer.from(each.xml).toString('base64')
      const found = await outcome(each, [...each.keys, ...each.embedded], { signed: 'either', sha1: true }, inflated)
      const [row, second] = depending.filter(([, , files]) => files.test(each.name))
      if (row === undefined || second !== undefined || !row[1].test(found)) unexplained.push(`${each.name}: ${found}`)
      // The other way: without the exceptions, or with nobody's key.
      for (const keys of [each.keys, []]) {
        const strict = await outcome(each, keys, { signed: 'either' }, inflated)
        const weak = /xmldsig#(?:rsa-)?sha1/.test(each.xml)
        if (strict.startsWith('accepted') && (weak || keys.length === 0))
          unexplained.push(`${each.name}, strictly: ${strict}`)
      }
    }
    assert.deepEqual(unexplained, [])
  },
)

/** What is wrong with the rejects beside their signatures, and which check says so. */
const flaws: readonly (readonly [check: string, found: RegExp, files: RegExp])[] = [
  ['Audience', /invalid\.audience/, /\/invalid_audience/],
  ['assertion Issuer', /invalid\.iss/, /\/invalid_issuer_assertion/],
  ['response Issuer', /idp\.example\.com|invalid\.iss/, /\/invalid_issuer_message/],
  ['session end', /^201[13]-/, /\/invalid_sessionindex/],
  ['SubjectConfirmation', /InResponseTo invalid_inresponse/, /\/invalid_subjectconfirmation_inresponse/],
  ['SubjectConfirmation', /NotBefore|NotOnOrAfter/, /\/invalid_subjectconfirmation_nb/],
  ['SubjectConfirmation', /NotOnOrAfter 2010|Recipient http:\/\/app.muda.no/, /\/invalid_subjectconfirmation_noa/],
  ['SubjectConfirmation', /Recipient http:\/\/invalid/, /\/invalid_subjectconfirmation_recipient/],
  ['SubjectConfirmation', /without SubjectConfirmationData/, /\/no_subjectconfirmation_data/],
  ['SubjectConfirmation', /the method/, /\/no_subjectconfirmation_method/],
  ['Subject', /NameID/, /\/(?:no|empty)_nameid/],
  ['AuthnStatement', /not exactly one/, /\/no_authnstatement/],
  ['Conditions', /not exactly one/, /\/no_conditions/],
  ['assertion Issuer', /^,/, /\/no_issuer_assertion/],
  ['response Issuer', /^,/, /\/no_issuer_response/],
  ['Status', /none/, /\/no_status/],
  ['Status', /Responder/, /\/status_code_respon/],
  ['Attributes', /two attributes/, /\/duplicated_attributes/],
  ['Attributes', /EncryptedAttribute/, /invalids\/(?:response_)?encrypted_attrs/],
  ['Destination', /^,/, /\/empty_destination/],
  ['SPNameQualifier', /wrong-sp/, /\/wrong_spnamequalifier/],
]

/** Where a file is wrong about what it was made for, the settings beside it say it. */
const settings: readonly (readonly [files: RegExp, changes: (made: Expected) => Partial<Expected>])[] = [
  [/\/invalid_audience/, () => ({ entityId: 'http://stuff.com/endpoints/metadata.php' })],
  [/\/invalid_issuer_message/, ({ idp }) => ({ idp: { ...idp, entityId: 'http://idp.example.com/' } })],
  [/\/invalid_sessionindex|confirmation_noa/, () => ({ now: Date.parse('2014-01-01T00:00:00Z') / 1000 })],
]

test(
  'what must be refused for what it says is refused for that alone, signed freshly with good algorithms',
  saml,
  async () => {
    const unexplained: string[] = []
    let count = 0
    for (const each of cases().filter(({ record }) => record.upstream_verdict === 'reject')) {
      const flaw = flaws.find(([, , files]) => files.test(each.name))
      if (flaw === undefined) continue
      count += 1
      const bare = each.xml
        .replace(/<(\w+:)?Signature[\s>][\s\S]*?<\/\1?Signature>/g, '')
        .replace(/<(?:\w+:)?EncryptedID[\s\S]*<\/(?:\w+:)?EncryptedID>/, '')
      const id = /<[^>]*Response[^>]*\sID="([^"]+)"/.exec(bare)?.[1] ?? ''
      const again = Buffer.from(signXml(bare, id, { keys })).toString('base64')
      const made = each.expected([keys.base64], { signed: 'either' })
      const changes = settings.find(([files]) => files.test(each.name))?.[1]
      const failed = (await inspectResponse(again, { ...made, ...changes?.(made) })).filter(({ ok }) => !ok)
      const hit = failed.some(({ check, found = '' }) => check === flaw[0] && flaw[1].test(found))
      if (!hit) unexplained.push(`${each.name}: ${JSON.stringify(failed)}`)
    }
    assert.deepEqual(unexplained, [])
    assert.equal(count, 47)
  },
)

/** A file with something put into it. */
function mutated(name: RegExp, change: (xml: string) => string): { each: Case; encoded: string } {
  const each = cases().find((one) => name.test(one.name))
  assert.ok(each)
  const xml = change(each.xml)
  assert.notEqual(xml, each.xml)
  return { each, encoded: Buffer.from(xml).toString('base64') }
}

test('a comment put into a signed NameID cuts nothing off it', saml, async () => {
  const { each, encoded } = mutated(/TestSPRejectsInjectedComment/, (xml) =>
    xml.replace('ross@', 'ross<!-- and a comment -->@'),
  )
  assert.equal(await outcome(each, each.keys, { signed: 'either', sha1: true }, encoded), 'accepted: ross@octolabs.io')
})

test('an attribute without a name put into a signed response is refused', saml, async () => {
  const { each, encoded } = mutated(/TestSPRejectsMalformedResponse/, (xml) =>
    xml.replace(/<(\S*Response)/, '<$1 ::foo="bar"'),
  )
  assert.match(await outcome(each, each.keys, { signed: 'either', sha1: true }, encoded), /not well-formed/)
})

test(
  'node-saml’s valid responses are accepted once they name us as audience, signed again by their own key',
  saml,
  async () => {
    const key = readFileSync(join(saml.path, 'node-saml/key.pem'), 'utf8')
    let accepted = 0
    for (const each of cases().filter(
      ({ name, record }) => /^node-saml valid/.test(name) && !/encrypted/.test(record.file),
    )) {
      const bare = each.xml
        .replace(/<ds:Signature[\s\S]*?<\/ds:Signature>/g, '')
        .replace(
          /(<saml:Conditions [^>]*)\/>/,
          '$1><saml:AudienceRestriction><saml:Audience>urn:us</saml:Audience></saml:AudienceRestriction></saml:Conditions>',
        )
      const id = /<samlp:Response[^>]*\sID="([^"]+)"/.exec(bare)?.[1] ?? ''
      const encoded = Buffer.from(signXml(bare, id, { keys: { key, cert: '', base64: '' } })).toString('base64')
      const found = await verifyResponse(encoded, {
        ...each.expected(each.keys, { signed: 'response' }),
        entityId: 'urn:us',
      })
      assert.equal(found.nameId.value, 'vincent.vega@evil-corp.com')
      accepted += 1
    }
    assert.equal(accepted, 15)
  },
)
