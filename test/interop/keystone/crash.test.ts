import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openLedger } from '../../../src/leases/ledger.ts'
import { groupOf, openProofShelf } from '../../../src/lifecycle/proofs.ts'
import { openEmbedded } from '../../../src/store/embedded.ts'
import { kinds } from '../../../src/store/kinds.ts'
import type { Store } from '../../../src/store/store.ts'
import { rounds } from '../../support/rounds.ts'
import { chance } from '../../targets/world.ts'
import type { Json } from './cloud.ts'
import { enter, grantByHand, settled, until, userOf } from './holding.ts'
import { atEachReconciled, type Reconciled, subOf } from './reconciled.ts'

/* `kill -9` of the gateway while it writes into a real Keystone: what is there in the end is what the rules say, and the ledger knows it. */

const KILLS = rounds(3, 30)
const people = ['ada', 'bob', 'eve']
const teams = ['web', 'db', 'ops', 'lab']

const now = () => Math.floor(Date.now() / 1000)

/** The store of the gateway, beside it or in its place. */
async function withStore<T>({ at }: Reconciled, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openEmbedded({ path: join(at.folder, 'lotse.db'), now, mode: 'command' })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

/** Half a minute passes: what the dead process was at is free for the next one. @returns how many accounts it was at */
const claimsRunOut = (world: Reconciled) =>
  withStore(world, async (store) => {
    const claims = await store.list(kinds.Settling, 1000)
    for (const { id } of claims) await store.delete(kinds.Settling, id)
    return claims.length
  })

/** What somebody is to have by the sign-ins that are in the store, and what the ledger says that she has. */
const known = (world: Reconciled, person: string) =>
  withStore(world, async (store) => {
    const shelf = openProofShelf(store, now)
    const ids = await shelf.ids(groupOf.subject(subOf(person)))
    const proofs = (await Promise.all(ids.map((id) => shelf.get(id)))).flatMap((proof) => proof ?? [])
    const groups = new Set(proofs.flatMap(({ subject }) => subject.claims['groups'] ?? []))
    const ledger = await openLedger(store).get('cloud', subOf(person))
    return { signedIn: proofs.length > 0, wanted: [...groups].map(inWords).sort(), ledger }
  })

function inWords(group: string): string {
  const [, kind, name, rank] = group.split('/')
  if (kind === 'circles') return `group ${name}`
  return `project ${name}: ${rank === 'dev' ? 'member' : 'reader'}`
}

/** What somebody has at Keystone, in words and as leases are written, without what an administrator gave. */
async function seen(world: Reconciled, person: string) {
  const { cloud } = world
  const user = await userOf(world, person)
  if (!user) return undefined
  const { body: all } = await cloud.api('GET', `/role_assignments?user.id=${user.id}&include_names=true`)
  const { body: own } = await cloud.api('GET', `/users/${user.id}/groups`)
  const direct = all.role_assignments.filter(({ scope }: Json) => scope.project.name !== 'hand')
  const byHand = all.role_assignments.length - direct.length
  return {
    ...{ enabled: user.enabled, byHand },
    words: [
      ...direct.map(({ scope, role }: Json) => `project ${scope.project.name}: ${role.name}`),
      ...own.groups.map(({ name }: Json) => `group ${name}`),
    ].sort() as readonly string[],
    leases: [
      ...direct.map(({ scope, role }: Json) => `project:${scope.project.id}:${role.id}:${user.id}`),
      ...own.groups.map(({ id }: Json) => `group:${id}:${user.id}`),
    ].sort() as readonly string[],
  }
}

/** Everything about somebody, twice in the same shape: as it is, and as it is to be. */
async function compared(world: Reconciled, person: string) {
  const [{ signedIn, wanted, ledger }, found] = [await known(world, person), await seen(world, person)]
  const byHand = person === 'ada' ? 1 : 0
  if (!found) return { is: { wanted, ledger }, isToBe: { wanted: [], ledger: undefined } }
  const is = { ...found, locked: ledger?.locked, ledger: Object.keys(ledger?.leases ?? {}).sort() }
  const words = signedIn ? wanted : []
  return {
    is,
    isToBe: { words, byHand, enabled: signedIn, leases: found.leases, locked: !signedIn, ledger: found.leases },
  }
}

const random = chance(20_261_129)
const { below, pick } = random

/** Something happens to somebody, of which the gateway hears now. */
async function happens(world: Reconciled, person: string): Promise<unknown> {
  const { upstream, gateway } = world
  const groups = teams.filter(() => below(2) === 0).map((team) => `/teams/${team}/${pick(['dev', 'reader'])}`)
  upstream.says(person, [...groups, '/teams/all/reader', ...(below(2) ? ['/circles/friends'] : [])])
  if (below(3) > 0) return await enter(world, 'openstack', person)
  return await gateway.post('/logout/back/corp', { logout_token: await upstream.logoutToken(person) })
}

/** Waits until Keystone has answered so many times since a mark, or has nothing to answer for 3 s. @returns how often it answered */
async function answered(world: Reconciled, since: number, most: number): Promise<number> {
  let [count, last] = [0, Date.now()]
  while (count < most && Date.now() - last < (count === 0 ? 15_000 : 3000)) {
    await delay(2)
    const now = (await world.mark()) - since
    if (now > count) [count, last] = [now, Date.now()]
  }
  return count
}

atEachReconciled({ people }, (world) => {
  test(`after each of ${KILLS} kills Keystone has what the rules say, and the ledger names exactly that`, async (t) => {
    const round = async (answers: number, then: () => Promise<unknown>) => {
      const since = await world().mark()
      const happening = Promise.allSettled(people.map((person) => happens(world(), person)))
      const count = await answered(world(), since, answers)
      await then()
      await happening
      return count
    }
    for (const person of people) world().upstream.says(person, ['/teams/all/reader'])
    await Promise.all(people.map((person) => enter(world(), 'openstack', person)))
    await settled(world())
    await grantByHand(world(), (await userOf(world(), 'ada'))?.id ?? '')
    // Nobody kills it once, to know how much there is to do.
    let whole = await round(Number.POSITIVE_INFINITY, async () => {})
    let atWork = 0
    let slowest = 0
    let kills = 0
    for (; atWork < KILLS && kills < 3 * KILLS; kills++) {
      const count = await round(1 + below(whole), async () => {
        await delay(below(120))
        await world().serving().kill()
      })
      // Who had nothing left to do when it was killed shows nothing; the next one is killed earlier.
      if ((await claimsRunOut(world())) > 0) atWork++
      else whole = Math.max(5, Math.min(whole, count))
      const began = Date.now()
      await world().serve()
      for (const person of people) {
        const { is, isToBe } = await until(
          `${person} after kill ${kills + 1}`,
          () => compared(world(), person),
          ({ is, isToBe }) => JSON.stringify(sorted(is)) === JSON.stringify(sorted(isToBe)),
          60,
        )
        assert.deepEqual(is, isToBe)
      }
      slowest = Math.max(slowest, (Date.now() - began) / 1000)
    }
    await settled(world())
    const after = await world().mark()
    assert.equal((await world().lotse('reconcile')).code, 0)
    assert.deepEqual(await world().writes(after), [], 'nothing is left to do')
    t.diagnostic(
      `${atWork} of ${kills} kills came while it wrote; all was right ${slowest.toFixed(1)} s after a start at the latest`,
    )
    assert.equal(atWork, KILLS)
  })
})

const sorted = (one: object) => Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1))
