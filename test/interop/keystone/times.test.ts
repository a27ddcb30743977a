import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { groupOf, openProofShelf } from '../../../src/lifecycle/proofs.ts'
import { openEmbedded } from '../../../src/store/embedded.ts'
import { rounds } from '../../support/rounds.ts'
import { refresh } from '../../support/sign-in.ts'
import { type Holding, hold, secondsToRefusal } from './holding.ts'
import { atEachReconciled, type Reconciled, subOf } from './reconciled.ts'

/** How often each is measured. */
const TIMES = rounds(1, 10)
const people = Array.from({ length: TIMES }, (_, n) => `p${n}`)

type Seconds = Awaited<ReturnType<typeof secondsToRefusal>>

/** What ends access, from the moment that is counted from. @returns that moment, in milliseconds of Unix time */
type Cause = (world: Reconciled, person: string, holding: Holding) => Promise<number>

const causes: Readonly<Record<string, Cause>> = {
  async '`lotse revoke`, from its start'(world, person) {
    const began = Date.now()
    const said = world.lotse(`revoke --subject ${subOf(person)}`)
    void said.then(({ code, err }) => assert.equal(code, 0, err.join('\n')))
    return began
  },
  async 'a logout token of the upstream'({ gateway, upstream }, person) {
    const token = await upstream.logoutToken(person)
    const began = Date.now()
    void gateway.post('/logout/back/corp', { logout_token: token })
    return began
  },
  async 'a recheck with fewer groups'({ gateway, upstream }, person, { refreshToken }) {
    upstream.says(person, ['/teams/db/dev'])
    await delay(3000) // as long as the last answer is believed
    const began = Date.now()
    void refresh(gateway, 'openstack', refreshToken)
    return began
  },
}

/** When the only sign-in of somebody by the connector `brief` runs out, in milliseconds of Unix time. */
async function endOf({ at }: Reconciled, person: string): Promise<number> {
  const now = () => Math.floor(Date.now() / 1000)
  const store = await openEmbedded({ path: join(at.folder, 'lotse.db'), now, mode: 'command' })
  try {
    const shelf = openProofShelf(store, now)
    const [id = ''] = await shelf.ids(groupOf.subject(subOf(person, 'brief')))
    return ((await shelf.get(id))?.goodUntil ?? 0) * 1000
  } finally {
    await store.close()
  }
}

/** `median (worst)`. */
function inWords(all: readonly number[]): string {
  const sorted = [...all].sort((one, other) => one - other)
  return `${(sorted[Math.floor(sorted.length / 2)] ?? 0).toFixed(1)} (${(sorted.at(-1) ?? 0).toFixed(1)})`
}

atEachReconciled({ people }, (world, kind) => {
  const tell = (t: TestContext, cause: string, all: readonly Seconds[]) => {
    const [tokens, credentials] = [all.map(({ token }) => token), all.map(({ credential }) => credential)]
    t.diagnostic(`| ${kind.label} | ${cause} | ${inWords(tokens)} | ${inWords(credentials)} |`)
    // A second to hear of it and one to write, on a machine that does nothing else; this one may be busy.
    assert.ok(Math.max(...tokens, ...credentials) < 30)
  }

  for (const [cause, end] of Object.entries(causes))
    test(`${TIMES} times, from ${cause} to a refused call`, async (t) => {
      const all: Seconds[] = []
      for (const person of people) {
        world().upstream.says(person, ['/teams/web/dev', '/teams/db/dev'])
        const holding = await hold(world(), person, 'web')
        all.push(await secondsToRefusal(world(), holding, await end(world(), person, holding)))
      }
      tell(t, cause, all)
    })

  test(`${TIMES} times, from the end of a proof to a refused call`, async (t) => {
    const all: Seconds[] = []
    await Promise.all(
      people.map(async (person, n) => {
        await delay(n * 15_000) // one after the other: they would wait for each other at Keystone
        world().upstream.says(person, ['/teams/web/dev'])
        const holding = await hold(world(), person, 'web', 'brief')
        const end = await endOf(world(), person)
        await delay(Math.max(0, end - 1000 - Date.now()))
        all.push(await secondsToRefusal(world(), holding, end))
      }),
    )
    assert.ok(
      all.every(({ token, credential }) => token >= 0 && credential >= 0),
      'and not before',
    )
    tell(t, 'a proof that ran out', all)
  })
})
