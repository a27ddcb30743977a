import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judge } from '../../../src/connectors/wallet/trust.ts'
import {
  CORP,
  credential,
  found,
  GXDCH,
  label,
  labelled,
  NOW,
  OTHER,
  person,
  policy,
  refusal,
  walletConfig,
} from './credentials.ts'

const alone = walletConfig([person])
const vouched = walletConfig([{ ...person, issuedBy: ['organisations'] }, labelled])

test('a person with a credential of a trusted issuer is a member of that organisation', () => {
  const { persons, organisation, path } = judge(policy(alone), [found(alone, 'member', credential())], NOW)
  assert.equal(persons[0].credential.holder, 'thumbprint-of-alice')
  assert.equal(organisation?.id, CORP)
  assert.deepEqual(path, [
    `member is from ${CORP}, which may issue it: it is named; it makes its holder a member of ${CORP}`,
  ])
})

test("an organisation's credential as the only one signs nobody in", () => {
  const optional = walletConfig([{ ...person, need: 'optional' }, labelled])
  const answer = [found(optional, 'label', { ...credential(), ...label() })]
  assert.match(
    refusal(() => judge(policy(optional), answer, NOW)),
    /^upstream_rejected: .*signs nobody in/,
  )
})

test('a credential that is not bound to who presents it signs nobody in', () => {
  const { holder: _, ...unbound } = credential()
  assert.match(
    refusal(() => judge(policy(alone), [found(alone, 'member', unbound)], NOW)),
    /not bound to who presents it/,
  )
})

test("two persons' credentials in one answer are refused", () => {
  const config = walletConfig([person, { ...person, id: 'entitlement', types: ['AccessEntitlement'] }])
  const other = credential({ types: ['AccessEntitlement'], holder: 'thumbprint-of-bob' })
  const answer = [found(config, 'member', credential()), found(config, 'entitlement', other)]
  assert.match(
    refusal(() => judge(policy(config), answer, NOW)),
    /member and entitlement are about two persons/,
  )
  const hers = credential({ types: ['AccessEntitlement'] })
  assert.equal(judge(policy(config), [answer[0]!, found(config, 'entitlement', hers)], NOW).persons.length, 2)
})

test('two keys are one person where one issuer names her by one stable claim, and two where another issuer does', () => {
  const stable = { ...person, issuedBy: [{ id: CORP }, { id: OTHER }], subject: { claim: 'staff' }, memberOf: 'nobody' }
  const config = walletConfig([stable, { ...stable, id: 'second' }])
  const one = found(config, 'member', credential({ claims: { staff: '7' } }))
  const second = (more: object) =>
    found(config, 'second', credential({ holder: 'another key', claims: { staff: '7' }, ...more }))
  assert.equal(judge(policy(config), [one, second({})], NOW).persons.length, 2)
  for (const more of [{ claims: { staff: '8' } }, { claims: {} }, { issuer: { id: OTHER, by: 'did' } }])
    assert.match(
      refusal(() => judge(policy(config), [one, second(more)], NOW)),
      /are about two persons/,
    )
})

test('an issuer that is not trusted for the type is refused, also where it is trusted for another', () => {
  const config = walletConfig([person, { ...labelled, need: 'optional' }])
  for (const issuer of [
    { id: OTHER, by: 'did' },
    { id: GXDCH, by: 'did' },
  ] as const)
    assert.match(
      refusal(() => judge(policy(config), [found(config, 'member', credential({ issuer }))], NOW)),
      new RegExp(`${issuer.id} .* may not issue member`),
    )
})

test('an issuer that is named by its did is not believed by a certificate, and one by an anchor only by that anchor', () => {
  const anchored = walletConfig([{ ...person, issuedBy: [{ anchor: 'corp', id: CORP }] }])
  const by = (issuer: object) => credential({ issuer: { id: CORP, by: 'did', ...issuer } })
  const judged = (config: typeof alone, issuer: object) => () =>
    judge(policy(config), [found(config, 'member', by(issuer))], NOW)
  assert.match(refusal(judged(alone, { by: 'x5c', anchor: 'corp' })), /may not issue/)
  assert.match(refusal(judged(anchored, { by: 'x5c', anchor: 'else' })), /may not issue/)
  assert.match(refusal(judged(anchored, {})), /may not issue/)
  assert.match(refusal(judged(anchored, { id: OTHER, by: 'x5c', anchor: 'corp' })), /may not issue/)
  assert.doesNotThrow(judged(anchored, { by: 'x5c', anchor: 'corp' }))
  assert.doesNotThrow(judged(anchored, { by: 'did', anchor: 'corp' }))
})

test('an organisation for which others vouch is not believed by a certificate either, nor what it says of itself', () => {
  const issuer = { id: CORP, by: 'x5c', anchor: 'else' } as const
  assert.match(
    refusal(() =>
      judge(policy(vouched, { evidence: [label()] }), [found(vouched, 'member', credential({ issuer }))], NOW),
    ),
    /may not issue member/,
  )
  const itself = { ...labelled, id: 'participant', types: ['LegalPerson'], issuedBy: ['itself'], need: 'optional' }
  const config = walletConfig([person, itself])
  const own = label({ types: ['gx:LegalPerson'], issuer })
  const answer = [found(config, 'member', credential()), found(config, 'participant', own)]
  assert.match(
    refusal(() => judge(policy(config), answer, NOW)),
    /may not issue participant/,
  )
  const judged = judge(policy(config, { evidence: [own] }), [answer[0]!], NOW)
  assert.deepEqual(judged.organisation?.by, [])
  assert.match(judged.path.join('\n'), /evidence participant .* may not issue it/)
})

test('a list vouches for those on it, and for nobody while it cannot be read', () => {
  const config = walletConfig([{ ...person, issuedBy: [{ list: 'members' }] }], {
    lists: { members: { url: 'https://registry.example/m' } },
  })
  const answer = [found(config, 'member', credential())]
  const listed = (...ids: string[]) => policy(config, { lists: () => new Set(ids) })
  assert.doesNotThrow(() => judge(listed(OTHER, CORP), answer, NOW))
  assert.match(
    refusal(() => judge(listed(OTHER), answer, NOW)),
    /may not issue/,
  )
  assert.match(
    refusal(() => judge(policy(config), answer, NOW)),
    /may not issue/,
  )
})

test('membership of another organisation than the issuer is refused', () => {
  const config = walletConfig([{ ...person, memberOf: { claim: 'gx:parentPartyCredential' } }])
  const claiming = (value: unknown) => () =>
    judge(
      policy(config),
      [found(config, 'member', credential({ claims: { 'gx:parentPartyCredential': value as string } }))],
      NOW,
    )
  for (const own of [CORP, `${CORP}#party`, 'https://corp.example/credentials/party.json'])
    assert.equal(claiming(own)().organisation?.id, CORP, own)
  const foreign = [
    OTHER,
    'https://other.example/party.json',
    'https://corp.example.other.example/party.json',
    'https://corp.example@other.example/party.json',
    'https://corp.examples/',
    'http://corp.example/party.json',
    `${CORP}:department`,
  ]
  for (const value of foreign) assert.match(refusal(claiming(value)), /claims membership of .* may not speak/, value)
  for (const value of [undefined, [CORP, OTHER], { id: CORP }]) assert.match(refusal(claiming(value)), /does not say/)
})

test('what lies on the same host, and not below the path of a did, is another organisation', () => {
  const tenant = 'did:web:host.example:corp'
  const config = walletConfig([{ ...person, issuedBy: [{ id: tenant }], memberOf: { claim: 'org' } }])
  const claiming = (org: string) => () =>
    judge(
      policy(config),
      [found(config, 'member', credential({ issuer: { id: tenant, by: 'did' }, claims: { org } }))],
      NOW,
    )
  assert.equal(claiming('https://host.example/corp/party.json')().organisation?.id, tenant)
  for (const org of [
    'https://host.example/other/party.json',
    'https://host.example/corporation',
    'https://host.example/corp/../other',
    'https://host.example/corp/%2e%2e/other',
  ])
    assert.match(refusal(claiming(org)), /may not speak/, org)
})

test('an issuer speaks for those organisations that the configuration says', () => {
  const bureau = 'did:web:bureau.example'
  const config = (speaksFor: unknown) =>
    walletConfig([
      { ...person, issuedBy: [{ id: bureau, ...(speaksFor ? { speaksFor } : {}) }], memberOf: { claim: 'employer' } },
    ])
  const claiming = (from: ReturnType<typeof config>) => () =>
    judge(
      policy(from),
      [found(from, 'member', credential({ issuer: { id: bureau, by: 'did' }, claims: { employer: CORP } }))],
      NOW,
    )
  assert.match(refusal(claiming(config(undefined))), /may not speak/)
  assert.match(refusal(claiming(config([OTHER]))), /may not speak/)
  assert.equal(claiming(config([OTHER, CORP]))().organisation?.id, CORP)
  assert.equal(claiming(config('anybody'))().organisation?.id, CORP)
})

test("credentials of two organisations in one person's answer are refused", () => {
  const config = walletConfig([person, { ...person, id: 'second', issuedBy: [{ id: OTHER }] }])
  const answer = [
    found(config, 'member', credential()),
    found(config, 'second', credential({ issuer: { id: OTHER, by: 'did' } })),
  ]
  assert.match(
    refusal(() => judge(policy(config), answer, NOW)),
    /from two organisations/,
  )
})

test('an organisation for which nobody vouches makes nobody a member; by evidence or by a credential beside it, it does', () => {
  const member = found(vouched, 'member', credential())
  assert.match(
    refusal(() => judge(policy(vouched), [member], NOW)),
    /may not issue member/,
  )
  const imported = judge(policy(vouched, { evidence: [label()] }), [member], NOW)
  const attached = judge(policy(vouched), [member, found(vouched, 'label', label())], NOW)
  for (const { organisation, rests } of [imported, attached]) {
    assert.deepEqual(organisation?.facts, { label: ['L1'] })
    assert.equal(rests.length, 2)
  }
})

test('a registration number makes nobody an organisation that vouches: whoever asks a notary for it says whose it is', () => {
  const number = { ...labelled, id: 'number', types: ['VatID'], need: 'optional' }
  const config = walletConfig([{ ...person, issuedBy: ['organisations'] }, { ...labelled, need: 'optional' }, number])
  const member = found(config, 'member', credential())
  const vat = label({ types: ['gx:VatID'], claims: { 'gx:vatID': 'DE129273398' } })
  assert.match(
    refusal(() => judge(policy(config, { evidence: [vat] }), [member], NOW)),
    /may not issue member/,
  )
  const both = judge(policy(config, { evidence: [vat, label()] }), [member], NOW)
  assert.deepEqual(both.organisation?.facts, { vatId: ['DE129273398'], label: ['L1'] })
})

test("evidence about another organisation is not this one's, and attached it is refused", () => {
  const member = found(vouched, 'member', credential())
  const other = label({ subject: OTHER })
  assert.match(
    refusal(() => judge(policy(vouched, { evidence: [other] }), [member], NOW)),
    /may not issue member/,
  )
  const both = policy(vouched, { evidence: [label()] })
  assert.match(
    refusal(() => judge(both, [member, found(vouched, 'label', other)], NOW)),
    /label is not about did:web:corp/,
  )
})

test('a label that a wallet brings from an issuer that may not issue it is refused, also from the organisation itself', () => {
  const config = walletConfig([person, { ...labelled, need: 'optional' }])
  const member = found(config, 'member', credential())
  for (const id of [CORP, OTHER])
    assert.match(
      refusal(() => judge(policy(config), [member, found(config, 'label', label({ issuer: { id, by: 'did' } }))], NOW)),
      new RegExp(`${id} .* may not issue label`),
    )
})

test('a missing label is refused where it is required, whoever should have brought it', () => {
  const config = walletConfig([person, labelled])
  const member = found(config, 'member', credential())
  assert.match(
    refusal(() => judge(policy(config), [member], NOW)),
    /label is required/,
  )
  assert.doesNotThrow(() => judge(policy(config, { evidence: [label()] }), [member], NOW))
  const facts = walletConfig([person, { ...labelled, need: 'optional' }], { require: ['label'] })
  const again = found(facts, 'member', credential())
  assert.match(
    refusal(() => judge(policy(facts), [again], NOW)),
    /org.label is required/,
  )
  assert.match(
    refusal(() => judge(policy(facts, { evidence: [label({ claims: {} })] }), [again], NOW)),
    /org.label is required/,
  )
  assert.doesNotThrow(() => judge(policy(facts, { evidence: [label()] }), [again], NOW))
})

test('a label that was brought by a wallet alone is not taken from the operator, and the other way round', () => {
  const wallet = walletConfig([person, { ...labelled, from: 'wallet' }])
  const member = found(wallet, 'member', credential())
  assert.match(
    refusal(() => judge(policy(wallet, { evidence: [label()] }), [member], NOW)),
    /label is required/,
  )
})

test('expired evidence does not count, and the trace says so', () => {
  const config = walletConfig([person, { ...labelled, need: 'optional' }])
  const old = label({ validUntil: NOW - 61 })
  const early = label({ validFrom: NOW + 61 })
  const certificate = label({ issuer: { id: GXDCH, by: 'did', certifiedUntil: NOW - 61 } })
  for (const [evidence, why] of [
    [old, 'has expired'],
    [early, 'is not valid yet'],
    [certificate, 'certificate has expired'],
  ] as const) {
    const { organisation, path } = judge(
      policy(config, { evidence: [evidence] }),
      [found(config, 'member', credential())],
      NOW,
    )
    assert.deepEqual(organisation?.facts, {})
    assert.match(path.join('\n'), new RegExp(`evidence label about ${CORP} does not count: it .*${why}`))
  }
})

test('evidence does not count once its issuer has made a newer one of the same id', () => {
  const config = walletConfig([person, { ...labelled, need: 'optional' }])
  const id = 'https://gxdch.example/labels/7'
  const old = label({ id, validFrom: NOW - 1000, claims: { 'gx:labelLevel': 'L3' } })
  const level = (newer: Partial<ReturnType<typeof label>>) =>
    judge(
      policy(config, { evidence: [old, label({ id, validFrom: NOW - 10, ...newer })] }),
      [found(config, 'member', credential())],
      NOW,
    ).organisation?.facts.label
  assert.deepEqual(level({}), ['L1'])
  assert.deepEqual(level({ validUntil: NOW - 100 }), undefined, 'an old one does not come back when the newer one ends')
  assert.deepEqual(level({ id: 'https://gxdch.example/labels/8' }), ['L3', 'L1'])
  assert.deepEqual(level({ issuer: { id: OTHER, by: 'did' } }), ['L3'])
  assert.deepEqual(level({ validFrom: NOW + 1000 }), ['L3'])
})

test('a label that a wallet kept is refused once the operator has a newer one of the same id', () => {
  const config = walletConfig([person, labelled])
  const old = label({ id: 'https://gxdch.example/labels/7', validFrom: NOW - 1000, claims: { 'gx:labelLevel': 'L3' } })
  const answer = [found(config, 'member', credential()), found(config, 'label', old)]
  assert.deepEqual(judge(policy(config, { evidence: [old] }), answer, NOW).organisation?.facts, { label: ['L3'] })
  const newer = label({ id: 'https://gxdch.example/labels/7', validFrom: NOW - 10 })
  assert.match(
    refusal(() => judge(policy(config, { evidence: [newer] }), answer, NOW)),
    /label has been replaced by a newer one/,
  )
})

test("a person's credential that has expired since is refused, so that a recheck ends her access", () => {
  const answer = [found(alone, 'member', credential({ validUntil: NOW + 10 }))]
  assert.doesNotThrow(() => judge(policy(alone), answer, NOW + 60))
  assert.match(
    refusal(() => judge(policy(alone), answer, NOW + 70)),
    /member has expired/,
  )
})

test('evidence from an issuer that may not issue it does not count', () => {
  const config = walletConfig([person, { ...labelled, need: 'optional' }])
  const self = label({ issuer: { id: CORP, by: 'did' } })
  const { organisation, path } = judge(
    policy(config, { evidence: [self] }),
    [found(config, 'member', credential())],
    NOW,
  )
  assert.deepEqual(organisation?.facts, {})
  assert.match(path.join('\n'), /from did:web:corp.example, which may not issue it/)
})

test('what an organisation says of itself is no fact, and vouches for nothing', () => {
  const itself = { ...labelled, issuedBy: ['itself'], need: 'optional' }
  const config = walletConfig([
    { ...person, issuedBy: ['organisations'] },
    itself,
    { ...labelled, id: 'real', need: 'optional' },
  ])
  const self = label({ issuer: { id: CORP, by: 'did' }, claims: { 'gx:labelLevel': 'L3' } })
  const member = found(config, 'member', credential())
  assert.match(
    refusal(() => judge(policy(config, { evidence: [self] }), [member], NOW)),
    /may not issue member/,
  )
  const { organisation } = judge(policy(config, { evidence: [self, label()] }), [member], NOW)
  assert.deepEqual(organisation?.facts, { label: ['L1'] })
})

test('a label that lists what it was given for is held to the digest of what the organisation itself said', () => {
  const config = walletConfig([
    { ...person, issuedBy: ['organisations'] },
    labelled,
    { ...labelled, id: 'participant', types: ['LegalPerson'], issuedBy: ['itself'], need: 'optional' },
    { ...labelled, id: 'number', types: ['VatID'], need: 'optional' },
  ])
  const digest = 'ab'.repeat(32)
  const vat = 'cd'.repeat(32)
  const sri = `sha256-${Buffer.from(digest, 'hex').toString('base64')}`
  const listing = label({
    subject: `${CORP}#label`, // who asks for a label chooses its name
    claims: {
      'gx:labelLevel': 'L1',
      'gx:compliantCredentials': [
        { id: 'https://corp.example/lp.json', 'gx:digestSRI': sri },
        { 'gx:digestSRI': `sha256-${vat}` },
      ],
    },
  })
  const participant = label({
    types: ['gx:LegalPerson'],
    issuer: { id: CORP, by: 'did' },
    claims: {},
    digests: [digest],
  })
  const number = label({
    types: ['gx:VatID'],
    subject: 'https://notary.example/1',
    claims: { 'gx:vatID': 'DE129273398' },
    digests: [vat],
  })
  const member = found(config, 'member', credential())
  const judged = (...evidence: readonly ReturnType<typeof label>[]) =>
    judge(policy(config, { evidence }), [member], NOW)
  assert.deepEqual(judged(listing, participant, number).organisation?.facts, { vatId: ['DE129273398'], label: ['L1'] })
  assert.match(
    refusal(() => judged(listing)),
    /may not issue member/,
    'without the participant the list is not about it',
  )
  assert.match(
    refusal(() => judged(listing, { ...participant, digests: ['00'.repeat(32)] })),
    /may not issue member/,
  )
  assert.match(
    refusal(() => judged(listing, { ...participant, issuer: { id: OTHER, by: 'did' } })),
    /may not issue member/,
  )
  const unlisted = judged(listing, participant, { ...number, digests: ['ef'.repeat(32)] })
  assert.deepEqual(unlisted.organisation?.facts, { label: ['L1'] })
})

test('a Tagus compliance credential counts for the organisation whose own credential is on its list', () => {
  const config = walletConfig([
    person,
    { ...labelled, id: 'compliance', types: ['compliance'], from: 'operator' },
    {
      ...labelled,
      id: 'participant',
      types: ['LegalParticipant'],
      issuedBy: ['itself'],
      from: 'operator',
      need: 'optional',
    },
  ])
  const digest = '12'.repeat(32)
  const listed = [{ id: 'https://corp.example/participant.json', 'gx:integrity': `sha256-${digest}` }]
  const { subject: _, ...compliance } = label({
    format: 'tagus',
    types: ['gx:compliance'],
    claims: { credentialSubject: listed },
  })
  const own = label({
    format: 'tagus',
    types: ['gx:LegalParticipant'],
    issuer: { id: CORP, by: 'did' },
    digests: [digest],
  })
  const member = found(config, 'member', credential())
  assert.equal(judge(policy(config, { evidence: [compliance, own] }), [member], NOW).organisation?.by.length, 2)
  assert.match(
    refusal(() => judge(policy(config, { evidence: [compliance] }), [member], NOW)),
    /compliance is required/,
  )
})

test('a deviation from the standards is taken by its name alone', () => {
  const answer = (config: typeof alone) => [
    found(config, 'member', credential({ leniencies: ['header-milliseconds'] })),
  ]
  assert.match(
    refusal(() => judge(policy(alone), answer(alone), NOW)),
    /deviates from its standard, .*: header-milliseconds/,
  )
  const lenient = walletConfig([person], { lenient: ['header-milliseconds'] })
  assert.doesNotThrow(() => judge(policy(lenient), answer(lenient), NOW))
})
