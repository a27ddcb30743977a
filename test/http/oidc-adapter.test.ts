import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Adapter, errors } from 'oidc-provider'
import { oidcAdapter } from '../../src/http/oidc-adapter.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import { type Store, StoreUnavailable } from '../../src/store/store.ts'

const successor = (id: string) => createHmac('sha256', 'key').update(id).digest('base64url')
const invalidGrant = (message: string) => new errors.InvalidGrant(message)
const replayed = () => new errors.InvalidDpopProof('used before')

describe('the adapter of oidc-provider', () => {
  let time = 1_800_000_000
  let store: Store
  let model: (name: string) => Adapter
  beforeEach(async () => {
    store = await openEmbedded({ path: ':memory:', now: () => time })
    model = oidcAdapter(store, { now: () => time, invalidGrant, replayed, successor })
  })
  afterEach(() => store.close())

  /** A refresh as the library does it, between its reads and its writes as many others as come. */
  const refresh = async (id: string, grantId = 'g'): Promise<string> => {
    const tokens = model('RefreshToken')
    const found = await tokens.find(id)
    if (!found || found.consumed) throw invalidGrant('found to be used')
    await tokens.consume(id)
    await tokens.upsert(successor(id), { kind: 'RefreshToken', grantId, jti: successor(id) }, 1000)
    return successor(id)
  }

  describe('for refresh tokens', () => {
    beforeEach(() => model('RefreshToken').upsert('one', { kind: 'RefreshToken', grantId: 'g', jti: 'one' }, 1000))

    it('gives twenty parallel users of one token the same successor, which works', async () => {
      const all = await Promise.all(Array.from({ length: 20 }, () => refresh('one')))
      assert.deepEqual([...new Set(all)], [successor('one')])
      assert.equal(await refresh(successor('one')), successor(successor('one')))
    })

    it('gives a client that lost the answer the same successor within ten seconds', async () => {
      await refresh('one')
      time += 9
      assert.equal(await refresh('one'), successor('one'))
    })

    it('shows a token as used after ten seconds', async () => {
      await refresh('one')
      const consumedAt = time
      time += 10
      assert.equal((await model('RefreshToken').find('one'))?.consumed, consumedAt)
      await assert.rejects(model('RefreshToken').consume('one'), errors.InvalidGrant)
    })

    it('shows a token as used as soon as its successor was used', async () => {
      await refresh(await refresh('one'))
      assert.equal((await model('RefreshToken').find('one'))?.consumed, time)
      await assert.rejects(model('RefreshToken').consume('one'), errors.InvalidGrant)
    })

    it('lets no late loser make a used successor usable again, or change it', async () => {
      const next = await refresh('one')
      await refresh(next)
      time += 20
      await model('RefreshToken').upsert(next, { kind: 'RefreshToken', grantId: 'g', jti: next, scope: 'late' }, 9000)
      const stored = await model('RefreshToken').find(next)
      assert.notEqual(stored?.consumed, undefined)
      assert.equal(stored?.scope, undefined)
    })

    it('heals a crash between use and successor by a retry, minutes later, and not for ever', async () => {
      await model('RefreshToken').consume('one')
      time += 600
      assert.equal((await model('RefreshToken').find('one'))?.consumed, time - 600)
      await assert.rejects(model('RefreshToken').consume('one'), errors.InvalidGrant)
      time -= 1
      assert.equal(await refresh('one'), successor('one'))
    })

    it('refuses a successor whose grant was revoked meanwhile', async () => {
      const tokens = model('RefreshToken')
      await tokens.consume('one')
      await tokens.revokeByGrantId('g')
      const late = tokens.upsert(successor('one'), { kind: 'RefreshToken', grantId: 'g' }, 1000)
      await assert.rejects(late, errors.InvalidGrant)
      assert.equal(await tokens.find(successor('one')), undefined)
    })

    it('refuses to use what is not there', async () => {
      await assert.rejects(model('RefreshToken').consume('never'), errors.InvalidGrant)
    })
  })

  it('lets one of twenty consume a code, and tells the others invalid_grant', async () => {
    for (const name of ['AuthorizationCode', 'DeviceCode', 'PushedAuthorizationRequest']) {
      await model(name).upsert('code', { kind: name, jti: 'code' }, 60)
      const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => model(name).consume('code')))
      assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, 1)
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') assert.ok(outcome.reason instanceof errors.InvalidGrant)
      }
      time += 2
      assert.equal((await model(name).find('code'))?.consumed, time - 2)
    }
  })

  it('shows a code as used only two seconds after its use, so that a race does not cost the winner its tokens', async () => {
    for (const name of ['AuthorizationCode', 'DeviceCode']) {
      const codes = model(name)
      await codes.upsert('code', { kind: name, jti: 'code' }, 60)
      await codes.consume('code')
      time += 1
      assert.equal((await codes.find('code'))?.consumed, undefined)
      await assert.rejects(codes.consume('code'), errors.InvalidGrant)
      time += 1
      assert.equal((await codes.find('code'))?.consumed, time - 2)
    }
  })

  it('does not make a used code usable by storing it again', async () => {
    const codes = model('DeviceCode')
    await codes.upsert('d', { kind: 'DeviceCode', jti: 'd', userCode: 'BCDF' }, 60)
    await codes.consume('d')
    await codes.upsert('d', { kind: 'DeviceCode', jti: 'd', userCode: 'BCDF', accountId: 'late' }, 60)
    time += 2
    assert.equal((await codes.find('d'))?.consumed, time - 2)
    await assert.rejects(codes.consume('d'), errors.InvalidGrant)
  })

  it('accepts a jti once of twenty times at once, and still refuses it just after its end', async () => {
    const seen = model('ReplayDetection')
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => seen.upsert('jti', { iss: 'c' }, 30)))
    assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, 1)
    time += 40
    assert.equal(await seen.find('jti'), undefined, 'storing it decides')
    await assert.rejects(seen.upsert('jti', { iss: 'c' }, 30), errors.InvalidDpopProof)
  })

  it('revokes a grant with every token of it, and none of another grant or of the interaction', async () => {
    const tokens = ['AccessToken', 'AuthorizationCode', 'DeviceCode', 'RefreshToken']
    for (const name of tokens) {
      await model(name).upsert('a', { kind: name, grantId: 'g1', jti: 'a' }, 60)
      await model(name).upsert('b', { kind: name, grantId: 'g2', jti: 'b' }, 60)
    }
    await model('Grant').upsert('g1', { kind: 'Grant', jti: 'g1' }, 60)
    await model('Grant').upsert('g2', { kind: 'Grant', jti: 'g2' }, 60)
    await model('Interaction').upsert('i', { kind: 'Interaction', grantId: 'g1' }, 60)
    await model('AccessToken').revokeByGrantId('g1')
    for (const name of tokens) {
      assert.equal(await model(name).find('a'), undefined, name)
      assert.equal((await model(name).find('b'))?.jti, 'b', name)
    }
    assert.equal(await model('Grant').find('g1'), undefined)
    assert.equal((await model('Grant').find('g2'))?.jti, 'g2')
    assert.notEqual(await model('Interaction').find('i'), undefined)
    for (const name of tokens) {
      await assert.rejects(model(name).upsert('c', { kind: name, grantId: 'g1' }, 60), errors.InvalidGrant)
    }
    await assert.rejects(model('Grant').upsert('g1', { kind: 'Grant', jti: 'g1' }, 60), errors.InvalidGrant)
  })

  it('finds the grants of a session, and ends grants and sessions with the proof behind them', async () => {
    const payload: Parameters<Adapter['upsert']>[1] & { proof: string } = { jti: 'g', sessionUid: 'u', proof: 'p' }
    await model('Grant').upsert('g', payload, 60)
    for (const group of ['grant:g', 'session:u', 'proof:p']) {
      assert.deepEqual(await store.members(group), [{ kind: 'Grant', id: 'g' }], group)
    }
    await model('Session').upsert('s', { ...payload, uid: 'u' }, 60)
    await store.revoke('proof:p', 60)
    assert.equal(await model('Grant').find('g'), undefined)
    assert.equal(await model('Session').findByUid('u'), undefined)
    await assert.rejects(model('Session').upsert('s', { ...payload, uid: 'u' }, 60), errors.InvalidGrant)
  })

  it('finds a session by its uid, under its new id after a reset', async () => {
    const sessions = model('Session')
    await sessions.upsert('old', { kind: 'Session', jti: 'old', uid: 'u' }, 60)
    await sessions.destroy('old')
    await sessions.upsert('new', { kind: 'Session', jti: 'new', uid: 'u' }, 60)
    assert.equal((await sessions.findByUid('u'))?.jti, 'new')
    assert.equal(await sessions.find('old'), undefined)
  })

  it('finds a device code by its user code, also for a while after its end', async () => {
    const codes = model('DeviceCode')
    await codes.upsert('d', { kind: 'DeviceCode', jti: 'd', userCode: 'BCDF' }, 60)
    time += 61
    assert.equal((await codes.findByUserCode('BCDF'))?.jti, 'd')
    assert.equal((await codes.find('d'))?.jti, 'd')
    time += 600
    assert.equal(await codes.find('d'), undefined)
  })

  it('knows no stored clients, and no model without a kind', async () => {
    assert.equal(await model('Client').find('any'), undefined)
    await assert.rejects(model('Client').upsert('any', {}, 1), /configured, not stored/)
    assert.throws(() => model('BackchannelAuthenticationRequest'), /has no kind/)
  })

  it('passes a failure of the store through as it is', async () => {
    await store.close()
    await assert.rejects(model('ReplayDetection').upsert('a', {}, 60), StoreUnavailable)
    for (const name of ['RefreshToken', 'AuthorizationCode']) {
      const adapter = model(name)
      const calls = [adapter.upsert('a', {}, 60), adapter.find('a'), adapter.consume('a'), adapter.destroy('a')]
      for (const call of [...calls, adapter.revokeByGrantId('g')]) await assert.rejects(call, StoreUnavailable)
    }
  })
})
