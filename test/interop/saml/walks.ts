import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BYE, enter, knock, signOut, throughForms, type World } from './world.ts'

/** What a sign-in has to be at every identity provider. */
export function signInWalks(world: () => World): void {
  for (const via of ['redirect', 'post'] as const) {
    test(`somebody signs in by a request by ${via}, and her attributes reach the rules`, async () => {
      const { claims } = await enter(world(), via, 'ada')
      assert.deepEqual(claims['groups'], ['students'])
    })

    test(`the same person is the same person the next time, and another is another (${via})`, async () => {
      const [one, again, other] = [
        await enter(world(), via, 'ada'),
        await enter(world(), via, 'ada'),
        await enter(world(), via, 'bob'),
      ]
      assert.equal(one.claims['sub'], again.claims['sub'])
      assert.notEqual(one.claims['sub'], other.claims['sub'])
    })

    test(`a sign-out at the gateway ends the session there, and comes back to the client (${via})`, async () => {
      const held = await enter(world(), via, 'ada')
      const back = await signOut(world(), held)
      assert.equal(back.headers.get('location'), `${BYE}?state=s-9`)
      const { page } = await knock(world(), via, held.who)
      assert.equal(world().upstream.asksWho(page), true, 'the identity provider asks who it is')
    })

    test(`a sign-out at the identity provider ends what the gateway gave (${via})`, async () => {
      const held = await enter(world(), via, 'ada')
      assert.equal(await held.refresh(), 200)
      await throughForms(held.who, await world().upstream.signOut(held.who))
      assert.equal(await held.refresh(), 400)
    })
  }

  test('a new signing key of the identity provider fails no sign-in', async () => {
    await enter(world(), 'redirect', 'ada')
    await world().upstream.roll()
    await enter(world(), 'redirect', 'ada')
  })
}
