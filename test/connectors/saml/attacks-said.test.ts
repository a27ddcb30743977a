import { test } from 'node:test'
import { exchange, NOW, post, type Row, refused, signing, without } from './world.ts'

/* What a response says, signed by the IdP's own key: one thing in each that is not as the profile wants it. */

/** Said by the IdP, or by somebody with its key: each row is one thing that is not as it must be. */
const said: readonly Row[] = [
  ['a Destination that is another’s', /Destination: https:\/\/evil/, { destination: 'https://evil.example/acs' }],
  ['an empty Destination', /Destination: ,/, { destination: '' }],
  ['a signed response without Destination', /Destination: none/, { destination: undefined, sign: 'response' }],
  ['a Recipient that is another’s', /the Recipient https:\/\/evil/, { recipient: 'https://evil.example/acs' }],
  ['a Recipient that only begins like ours', /the Recipient/, { recipient: `${exchange.acs}/../other` }],
  ['no Recipient', /the Recipient none/, { recipient: undefined }],
  ['a response of another Issuer', /response Issuer: https:\/\/other/, { issuer: 'https://other.example' }],
  ['a response without Issuer', /response Issuer: ,/, { issuer: undefined }],
  [
    'an assertion of another Issuer',
    /assertion Issuer: https:\/\/other/,
    { assertionIssuer: 'https://other.example', sign: 'response' },
  ],
  ['an assertion without Issuer', /assertion Issuer: ,/, { assertionIssuer: undefined, sign: 'response' }],
  [
    'an Issuer of another Format',
    /Issuer: the Format/,
    {
      editAssertion: (xml) =>
        xml.replace('<saml:Issuer>', '<saml:Issuer Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">'),
    },
  ],
  ['no Status', /Status: none/, { status: undefined }],
  ['a Status that only ends like Success', /Status: urn:evil/, { status: 'urn:evil:Success' }],
  [
    'a failed Status beside a good assertion',
    /Status: Responder/,
    { status: 'urn:oasis:names:tc:SAML:2.0:status:Responder' },
  ],
  ['no InResponseTo in the response', /response InResponseTo: none/, { inResponseTo: undefined }],
  ['no InResponseTo in what is signed', /SubjectConfirmation: InResponseTo none/, { confirmedInResponseTo: undefined }],
  [
    'the answer to another request, as a whole',
    /response InResponseTo: _other/,
    { inResponseTo: '_other', confirmedInResponseTo: '_other' },
  ],
  [
    'the answer to another request, inside',
    /SubjectConfirmation: InResponseTo _other/,
    { confirmedInResponseTo: '_other' },
  ],
  ['another audience', /Audience: https:\/\/other/, { audience: 'https://other.example' }],
  ['no audience', /Audience: none/, { audience: undefined }],
  ['an audience that begins like ours', /Audience/, { audience: `${exchange.sp}.evil.example` }],
  [
    'two restrictions of which one is another’s',
    /Audience/,
    signing((xml) =>
      xml.replace(
        '</saml:Conditions>',
        '<saml:AudienceRestriction><saml:Audience>urn:other</saml:Audience></saml:AudienceRestriction></saml:Conditions>',
      ),
    ),
  ],
  ['no Conditions', /Conditions: not exactly one/, signing(without('Conditions'))],
  [
    'two Conditions',
    /Conditions: not exactly one/,
    signing((xml) => xml.replace('<saml:AuthnStatement', '<saml:Conditions/><saml:AuthnStatement')),
  ],
  [
    'a condition that nobody knows',
    /not understood: Only/,
    signing((xml) => xml.replace('</saml:Conditions>', '<x:Only xmlns:x="urn:x"/></saml:Conditions>')),
  ],
  ['Conditions that are over', /Conditions: /, { notOnOrAfter: NOW - 60 }],
  ['Conditions that have not begun', /Conditions: /, { notBefore: NOW + 61 }],
  ['a confirmation that is over', /NotOnOrAfter/, { confirmedUntil: NOW - 60 }],
  ['a confirmation without an end', /NotOnOrAfter none/, { confirmedUntil: undefined }],
  [
    'a confirmation that has not begun',
    /NotBefore/,
    signing((xml) =>
      xml.replace(
        '<saml:SubjectConfirmationData',
        `<saml:SubjectConfirmationData NotBefore="${new Date((NOW + 61) * 1000).toISOString()}"`,
      ),
    ),
  ],
  ['a holder of a key', /holder-of-key/, { method: 'urn:oasis:names:tc:SAML:2.0:cm:holder-of-key' }],
  ['a sender that vouches', /sender-vouches/, { method: 'urn:oasis:names:tc:SAML:2.0:cm:sender-vouches' }],
  ['no SubjectConfirmation', /SubjectConfirmation: none/, signing(without('SubjectConfirmation'))],
  ['no SubjectConfirmationData', /without SubjectConfirmationData/, signing(without('SubjectConfirmationData'))],
  ['no Subject', /Subject: not exactly one Subject/, signing(without('Subject'))],
  [
    'no NameID, and an attribute of that name',
    /Subject: not exactly one NameID/,
    { nameId: undefined, attributes: { nameID: ['root'], NameID: ['root'] } },
  ],
  ['an empty NameID', /Subject: not exactly one NameID/, { nameId: '  ' }],
  [
    'two NameIDs',
    /Subject: not exactly one NameID/,
    signing((xml) =>
      xml.replace('<saml:SubjectConfirmation ', '<saml:NameID>root</saml:NameID><saml:SubjectConfirmation '),
    ),
  ],
  [
    'an EncryptedID',
    /EncryptedID/,
    signing((xml) => xml.replace('<saml:SubjectConfirmation ', '<saml:EncryptedID/><saml:SubjectConfirmation ')),
  ],
  [
    'a NameID that another service’s name qualifies',
    /SPNameQualifier/,
    { nameIdAttributes: ' SPNameQualifier="https://other.example"' },
  ],
  ['no AuthnStatement', /AuthnStatement: not exactly one/, signing(without('AuthnStatement'))],
  [
    'two AuthnStatements',
    /AuthnStatement: not exactly one/,
    signing((xml) => xml.replace(/(<saml:AuthnStatement[\s\S]*<\/saml:AuthnStatement>)/, '$1$1')),
  ],
  ['an authentication in the future', /AuthnStatement: /, { authenticatedAt: NOW + 61 }],
  ['a session that is over', /session end: /, { sessionEnd: NOW - 60 }],
  [
    'an assertion from the future',
    /assertion time: 2027-01-15T08:01:01/,
    signing((xml) => xml.replace(/IssueInstant="[^"]*"/, 'IssueInstant="2027-01-15T08:01:01Z"')),
  ],
  [
    'a response from the future',
    /response time: 2027-01-15T08:01:01/,
    { editResponse: (xml) => xml.replace(/IssueInstant="[^"]*"/, 'IssueInstant="2027-01-15T08:01:01Z"') },
  ],
  ['a response without ID', /response ID: none/, { editSent: (xml) => xml.replace(/ ID="_r\d+"/, '') }],
  [
    'an assertion without ID',
    /assertion ID: none/,
    { ...signing((xml) => xml.replace(/ ID="_a\d+"/, '')), sign: 'response' },
  ],
  ['a time without a time zone', /AuthnStatement: /, signing((xml) => xml.replace(/(AuthnInstant="[^"]*)Z"/, '$1"'))],
  [
    'a time that is none',
    /Conditions: /,
    signing((xml) => xml.replace(/(<saml:Conditions[^>]*) NotOnOrAfter="[^"]*"/, '$1 NotOnOrAfter="never"')),
  ],
  ['an assertion of SAML 1', /assertion version/, signing((xml) => xml.replace('Version="2.0"', 'Version="1.1"'))],
  [
    'a response of SAML 1',
    /response version/,
    { editResponse: (xml) => xml.replace('Version="2.0"', 'Version="1.1"'), sign: 'response' },
  ],
  [
    'an EncryptedAttribute',
    /EncryptedAttribute/,
    signing((xml) => xml.replace('<saml:AttributeStatement>', '<saml:AttributeStatement><saml:EncryptedAttribute/>')),
  ],
  [
    'an authentication older than ForceAuthn’s request',
    /ForceAuthn/,
    { authenticatedAt: NOW - 3600 },
    { asked: { forceAuthn: true, requestedAt: NOW - 10 } },
  ],
]

for (const [what, by, changes, more] of said) test(`refused: ${what}`, () => refused(post(changes, more), by))

for (const [what, name] of [
  ['an attribute called __proto__', '__proto__'],
  ['an attribute without a name', ''],
  ['an attribute whose name could pass as a nested claim', '/realm/roles'],
  ['an attribute whose name has a control character', 'a\u007fb'],
] as const)
  test(`refused: ${what}`, () =>
    refused(
      post({ attributes: { [name]: ['x'] } }),
      /Attributes: an attribute with an unusable name/,
      'claims_unusable',
    ))

test('refused: one attribute twice', () => {
  const twice = signing((xml) => xml.replace(/(<saml:Attribute .*<\/saml:Attribute>)/, '$1$1'))
  return refused(post(twice), /two attributes/, 'claims_unusable')
})

test('refused: a lower level than was asked for, though the IdP says Success', () =>
  refused(
    post({}, { asked: { contexts: ['https://refeds.org/profile/mfa'], requestedAt: NOW } }),
    /AuthnContext: .*PasswordProtectedTransport/,
    'acr_not_met',
  ))

for (const [second, code] of [
  ['NoAuthnContext', 'acr_not_met'],
  ['AuthnFailed', 'upstream_declined'],
  ['RequestDenied', 'upstream_declined'],
  ['NoPassive', 'upstream_rejected'],
] as const)
  test(`a failure is told for what it is: ${second}`, () => {
    const status = 'urn:oasis:names:tc:SAML:2.0:status:'
    const failed = {
      status: `${status}Responder`,
      secondStatus: `${status}${second}`,
      editResponse: without('Assertion'),
      sign: 'none' as const,
    }
    return refused(post(failed), new RegExp(`Status: Responder ${second}`), code)
  })
