import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type BusyIdp, startBusyIdp } from '../support/busy-idp.ts'
import { atOnce, crowdedPlace, type Entered, enter, quantile, renew, until } from '../support/crowd.ts'
import { rounds } from '../support/rounds.ts'
import { type Place, type Serving, serve } from '../support/serving.ts'

/** Refreshes a second. */
const rate = rounds(40, 200)
/** More sessions than there can be refreshes that wait for an upstream that is silent, 3 s each. */
const sessions = rate * 3.5
/** Seconds: first the upstream takes questions and does not answer, then it drops them. */
const silent = rounds(3.5, 30)
const broken = rounds(1.5, 30)
const RECHECK_AFTER = rounds(3, 15)
/** Questions at once to one upstream, as lifecycle/gate.ts has it. */
const LIMIT = 16
/** Milliseconds that the upstream takes to answer once it is back: so many are at once that the limit shows. */
const SLOW = 60

/** A refresh under load. */
interface Refreshed {
  readonly begun: number
  readonly took: number
  readonly told: string
}

let idp: BusyIdp
/** Behind a connector whose grace is a second. */
let strict: BusyIdp
let at: Place
let gateway: Serving
let crowd: readonly Entered[]
let few: readonly Entered[]

before(async () => {
  idp = await startBusyIdp('lotse')
  strict = await startBusyIdp('lotse')
  const recheckAfter = `recheckAfter: ${RECHECK_AFTER}s`
  at = await crowdedPlace({
    upstreams: {
      up: { idp, more: `${recheckAfter}, recheckGrace: 10m` },
      strict: { idp: strict, more: `${recheckAfter}, recheckGrace: 1s` },
    },
    clients: { kubectl: '' },
  })
  gateway = serve(at)
  await gateway.logged('serving')
  const names = Array.from({ length: sessions }, (_, n) => `person-${n}`)
  crowd = await atOnce(names, 8, (sub) => enter(at, { client: 'kubectl', connector: 'up', sub, idp }))
  few = await atOnce(names.slice(0, 4), 4, (sub) =>
    enter(at, { client: 'kubectl', connector: 'strict', sub, idp: strict }),
  )
})
after(async () => {
  await gateway.kill()
  await at.remove()
  await idp.close()
  await strict.close()
})

/** What happened under load. */
interface Load {
  readonly refreshed: readonly Refreshed[]
  /** Milliseconds that the slowest of many answers took for which the gateway waits for nobody: what the machine takes by itself. */
  readonly machine: number
}

/** Everybody refreshes in turn, so many a second whatever the answers take, as long as anybody is not waiting; the returned function stops it. */
function underLoad(): () => Promise<Load> {
  const idle = [...crowd]
  const refreshed: Refreshed[] = []
  const running = new Set<Promise<void>>()
  const start = performance.now()
  let sent = 0
  const one = async (entered: Entered) => {
    const begun = performance.now()
    const told = await renew(at, 'kubectl', entered).catch((error: unknown) => String(error))
    refreshed.push({ begun, took: performance.now() - begun, told })
    idle.push(entered)
  }
  const timer = setInterval(() => {
    for (const due = ((performance.now() - start) / 1000) * rate; sent < due && idle.length > 0; sent++) {
      const work = one(idle.shift()!).finally(() => running.delete(work))
      running.add(work)
    }
  }, 20)
  const probing = probe()
  return async () => {
    clearInterval(timer)
    await Promise.all(running)
    return { refreshed, machine: await probing() }
  }
}

/** Asks for the keys again and again; the returned function stops it and says what the slowest answer took. */
function probe(): () => Promise<number> {
  let [over, slowest] = [false, 0]
  const ask = async () => {
    while (!over) {
      const begun = performance.now()
      await (await fetch(`${at.issuer}/jwks`)).text()
      slowest = Math.max(slowest, performance.now() - begun)
      await delay(20)
    }
  }
  const asking = ask()
  return async () => {
    over = true
    await asking
    return slowest
  }
}

/** Seconds of the upstreams in one mood; the moments of begin and end. */
async function spell(mood: 'silent' | 'broken', seconds: number) {
  for (const each of [idp, strict]) each.become(mood)
  const begun = performance.now()
  await delay(seconds * 1000)
  return { begun, ended: performance.now() }
}

const during = <T extends { readonly begun: number }>(all: readonly T[], from: number, to: number) =>
  all.filter(({ begun }) => begun >= from && begun < to)

/** Milliseconds between each two questions in a row about one sign-in since a moment; the shortest. */
function shortestGap(since: number): number {
  const last = new Map<number, number>()
  let shortest = Number.POSITIVE_INFINITY
  for (const { signIn, at: now } of idp.asked.filter((asked) => asked.at >= since)) {
    shortest = Math.min(shortest, now - (last.get(signIn) ?? Number.NEGATIVE_INFINITY))
    last.set(signIn, now)
  }
  return shortest
}

function figures(t: TestContext, name: string, all: readonly Refreshed[]): void {
  const took = all.map((each) => each.took).sort((a, b) => a - b)
  const [half, most, worst] = [0.5, 0.99, 1].map((part) => quantile(took, part).toFixed(0))
  t.diagnostic(
    `${name}: ${all.length} refreshes, half within ${half} ms, 99 % within ${most} ms, the slowest ${worst} ms`,
  )
}

test(`an upstream that is down for ${silent + broken} s under ${rate} refreshes a second costs nobody the session, and is not overrun`, async (t) => {
  const stop = underLoad()
  const begun = performance.now()
  await delay(RECHECK_AFTER * 1000)
  const quiet = await spell('silent', silent)
  const down = await spell('broken', broken)
  const tokens = few.map(({ token }) => token)
  const refused = await Promise.all(few.map((entered) => renew(at, 'kubectl', entered)))
  const back = performance.now()
  for (const each of [idp, strict]) each.become('well', SLOW)
  const answered = () => idp.asked.some((asked) => asked.at >= back)
  const waited = await until('the upstream is asked again', 20_000, answered)
  await delay((RECHECK_AFTER - 1) * 1000)
  const most = idp.most()
  const { refreshed: all, machine } = await stop()
  const over = performance.now()

  assert.deepEqual(new Set(all.map(({ told }) => told)), new Set(['tokens']), 'nobody within the grace is refused')
  const slowest = Math.max(...all.map(({ took }) => took))
  // It may meet what the machine takes by itself three times: on the way in, with the upstream, and on the way back.
  assert.ok(slowest < 4000 + 3 * machine, `the slowest refresh took ${slowest} ms, the keys ${machine} ms`)
  const asked = idp.asked.filter(({ mood }) => mood !== 'well').length
  assert.ok(asked <= LIMIT + 8, `${asked} questions to an upstream that was down`)
  assert.ok(shortestGap(back) > (RECHECK_AFTER - 1) * 1000, `the shortest gap is ${shortestGap(back)} ms`)
  assert.ok(most <= LIMIT, `${most} questions at once`)
  assert.equal(idp.replays(), 0)
  assert.ok(idp.asked.length > sessions / 2, 'the crowd is asked about again')

  assert.deepEqual(new Set(refused), new Set(['503 temporarily_unavailable']), 'after the grace')
  assert.deepEqual(
    few.map(({ token }) => token),
    tokens,
  )
  await until('the refused tokens are still good', 20_000, async () => {
    const told = await Promise.all(few.map((entered) => renew(at, 'kubectl', entered)))
    assert.ok(
      told.every((each) => each === 'tokens' || each === '503 temporarily_unavailable'),
      told.join(),
    )
    return told.every((each) => each === 'tokens')
  })
  figures(t, 'before', during(all, begun, quiet.begun))
  figures(t, 'silent', during(all, quiet.begun, quiet.ended))
  figures(t, 'broken', during(all, down.begun, down.ended))
  figures(t, 'back', during(all, back, over))
  const again = idp.asked.filter((each) => each.at >= back)
  t.diagnostic(`the slowest answer without the upstream took ${machine.toFixed(0)} ms`)
  t.diagnostic(`${asked} questions while it was down; asked again ${waited.toFixed(0)} ms after it was back`)
  t.diagnostic(
    `then ${again.length} questions about ${new Set(again.map(({ signIn }) => signIn)).size} of ${sessions} proofs, at most ${most} at once`,
  )
})
