import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Keycloak, openKeycloak } from './keycloak.ts'
import { ASKED, disabled, held, lifecycle, sessionEnded } from './lifecycle.ts'
import { servers } from './servers.ts'
import { BYE, enter, secondsUntil, signOut } from './world.ts'

let keycloak: Keycloak
const world = lifecycle(async () => {
  keycloak = await openKeycloak(servers().keycloak)
  return keycloak
})

test('somebody whom Keycloak disabled gets no more tokens one recheckAfter later', () =>
  disabled(world(), 'carol', ['invalid_grant'], ASKED))

test("a session that Keycloak's administrator ends is over here within 5 s by its logout token, with no question asked", () =>
  sessionEnded(world(), 'told', 'erin', 5))

test('of two sessions of one person only the one that the administrator ended is over', async () => {
  await keycloak.addPerson('fred', ['team-a'])
  const first = await enter(world(), 'told', 'fred')
  const [session = ''] = await keycloak.sessionsOf('fred')
  const second = await enter(world(), 'told', 'fred')
  const began = Date.now()
  await keycloak.endOne(session)
  const seconds = await secondsUntil(began, 15, first.refresh, (seen) => seen === 'invalid_grant')
  held(world(), 'one of two sessions gets no refresh', seconds, 5)
  assert.deepEqual(await second.refresh(), ['x-a'])
})

test('an ID token too long for a hint is left out of a sign-out: Keycloak asks once more, and the way back is the same', async () => {
  const many = Array.from({ length: 20 }, (_, index) => `a-department-${index}-${'x'.repeat(200)}`)
  await keycloak.addPerson('gina', ['team-a', ...many])
  const gina = await enter(world(), 'told', 'gina')
  const asked = await signOut(world(), gina)
  assert.ok(!asked.location.searchParams.has('id_token_hint'))
  const left = await gina.who.submit(asked, asked.form(), { confirmLogout: 'Logout' })
  assert.equal(left.headers.get('location'), `${BYE}?state=s-9`)
  assert.equal(await gina.refresh(), 'invalid_grant')
})
