import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { note } from './measures.ts'
import type { Upstream } from './upstream.ts'
import { BYE, enter, knock, RECHECK, secondsUntil, signOut, startWorld, type World } from './world.ts'

/** Seconds: one `recheckAfter`, and two for clocks of whole seconds, our own looks and a busy machine. */
export const ASKED = RECHECK + 2

/** Tests that hold for every OpenID provider that gives refresh tokens. @returns the world, once the tests run */
export function lifecycle(open: () => Upstream | Promise<Upstream>): () => World {
  let world: World
  before(async () => {
    world = await startWorld(await open())
  })
  after(() => world?.close())

  test('somebody signs in upstream, and the client gets tokens with the groups from there', async () => {
    await world.upstream.addPerson('ada', ['team-a', 'team-b', 'elsewhere'])
    const ada = await enter(world, 'asked', 'ada')
    assert.deepEqual(ada.groups, ['x-a', 'x-b'])
    assert.deepEqual(await ada.refresh(), ['x-a', 'x-b'])
  })

  test('a group that was taken away upstream is gone one recheckAfter later, the other one stays', async () => {
    await world.upstream.addPerson('bob', ['team-a', 'team-b'])
    const bob = await enter(world, 'asked', 'bob')
    assert.deepEqual(bob.groups, ['x-a', 'x-b'])
    await world.upstream.leaveGroup('bob', 'team-b')
    const seconds = await secondsUntil(Date.now(), 15, bob.refresh, (seen) => String(seen) === 'x-a')
    held(world, 'a removed group is gone from tokens', seconds, ASKED)
  })

  test('a sign-out at the gateway ends the session upstream too, and comes back to the client', async () => {
    await world.upstream.addPerson('dora', ['team-a'])
    const dora = await enter(world, 'told', 'dora')
    const again = await knock(world, 'asked', dora.who)
    assert.ok(!world.upstream.asksWho(again.page), 'the session upstream signs her in without asking')
    const left = await signOut(world, dora)
    const visited = left.visited.map(({ origin, pathname }) => origin + pathname)
    assert.equal(new URL(visited[0] ?? '').origin, new URL(world.upstream.issuer).origin, visited.join(' '))
    assert.ok(visited.includes(`${world.gateway.issuer}/logout/returned`), visited.join(' '))
    assert.equal(left.headers.get('location'), `${BYE}?state=s-9`)
    assert.equal(await dora.refresh(), 'invalid_grant')
    const after = await knock(world, 'asked', dora.who)
    assert.ok(world.upstream.asksWho(after.page), `${after.page.location.href} should ask who is there`)
  })
  return () => world
}

/** Measures from the moment an administrator has disabled somebody until our refreshes are refused with one of `errors`. */
export async function disabled(world: World, name: string, errors: readonly string[], bound: number) {
  await world.upstream.addPerson(name, ['team-a'])
  const person = await enter(world, 'asked', name)
  assert.deepEqual(await person.refresh(), ['x-a'])
  await world.upstream.disable(name)
  const seconds = await secondsUntil(Date.now(), 15, person.refresh, (seen) => typeof seen === 'string')
  const error = String(await person.refresh())
  assert.ok(errors.includes(error), error)
  held(world, `a disabled person gets no refresh (${error})`, seconds, bound)
}

/** Keeps a measured time for the table and holds it to its bound. */
export function held({ upstream }: World, what: string, seconds: number, bound: number): void {
  note({ upstream: upstream.name, what, seconds, bound })
  assert.ok(seconds <= bound, `${what}: ${seconds} s, at most ${bound} s are right`)
}

/** Measures from the moment an administrator ends somebody's session upstream until our refreshes end and our client knows. */
export async function sessionEnded(world: World, connector: 'asked' | 'told', name: string, bound: number) {
  await world.upstream.addPerson(name, ['team-a'])
  const person = await enter(world, connector, name)
  assert.deepEqual(await person.refresh(), ['x-a'])
  const { sub, sid } = JSON.parse(Buffer.from(person.idToken.split('.')[1] ?? '', 'base64url').toString())
  const told = () => world.heard.find(({ claims }) => claims['sub'] === sub)
  const began = Date.now()
  await world.upstream.endSession(name)
  const since = connector === 'told' ? began : Date.now()
  const [refused] = await Promise.all([
    secondsUntil(since, 15, person.refresh, (seen) => seen === 'invalid_grant'),
    secondsUntil(since, 15, told, (seen) => seen !== undefined),
  ])
  held(world, 'an ended session gets no refresh', refused, bound)
  held(world, 'our client is told of an ended session', ((told()?.at ?? 0) - since) / 1000, bound)
  assert.equal(told()?.claims['sid'], sid)
}
