import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Evidence } from '../../../src/connectors/wallet/credential.ts'
import { judgeStanding } from '../../../src/connectors/wallet/standing.ts'
import type { Standing } from '../../../src/connectors/wallet/status/status.ts'
import { credential, found, label, labelled, NOW, person, policy, walletConfig } from './credentials.ts'

const optional = walletConfig([person, { ...labelled, need: 'optional' }])
const required = walletConfig([person, labelled])
const revoked = label({ claims: { 'gx:labelLevel': 'L3' } })
const standing = async (each: Evidence): Promise<Standing> => (each === revoked ? 'revoked' : 'valid')
const judged = (config: typeof optional, evidence: readonly Evidence[], more: readonly Evidence[] = []) =>
  judgeStanding(
    policy(config, { evidence }),
    [found(config, 'member', credential()), ...more.map((each) => found(config, 'label', each))],
    NOW,
    standing,
  )

test('evidence that its issuer took back does not count, and the trace says so', async () => {
  const { organisation, rests, path } = await judged(optional, [revoked])
  assert.deepEqual(organisation?.facts, {})
  assert.equal(rests.length, 1)
  assert.match(path.join('\n'), /evidence gx:LabelCredential of did:web:gxdch.example does not count: it is revoked/)
  assert.deepEqual((await judged(optional, [revoked, label()])).organisation?.facts, { label: ['L1'] })
})

test('where it is required nobody gets in by evidence that was taken back', async () => {
  await assert.rejects(judged(required, [revoked]), { code: 'upstream_rejected', message: /label is required/ })
  assert.ok(await judged(required, [revoked, label()]))
})

test('what a wallet brought is left for the caller to ask about, with all that stands', async () => {
  const { rests } = await judged(optional, [], [revoked])
  assert.ok(rests.includes(revoked))
})

test('a status that cannot be read is not taken for a good one', async () => {
  const unreadable = async () => Promise.reject(new Error('no list'))
  const answer = [found(optional, 'member', credential())]
  await assert.rejects(judgeStanding(policy(optional, { evidence: [label()] }), answer, NOW, unreadable), /no list/)
})

test('evidence that was taken back does not bring back what it had replaced', async () => {
  const id = 'https://gxdch.example/labels/7'
  const older = label({ id, validFrom: NOW - 100, claims: { 'gx:labelLevel': 'L2' } })
  const newer = label({ id, validFrom: NOW - 10 })
  const { organisation } = await judgeStanding(
    policy(optional, { evidence: [older, newer] }),
    [found(optional, 'member', credential())],
    NOW,
    async (each) => (each === newer ? 'revoked' : 'valid'),
  )
  assert.deepEqual(organisation?.facts, {})
})
