import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { text } from 'node:stream/consumers'
import { after, before, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { accountId } from '../../src/core/subject.ts'
import { groupOf } from '../../src/lifecycle/proofs.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import { type BusyIdp, startBusyIdp } from '../support/busy-idp.ts'
import { atOnce, crowdedPlace, type Entered, enter, quantile, renew, until } from '../support/crowd.ts'
import { claimsIn } from '../support/gateway.ts'
import { rounds } from '../support/rounds.ts'
import { type Place, type Serving, serve } from '../support/serving.ts'
import { authorization, toldAt } from '../support/sign-in.ts'

const sessions = rounds(60, 1000)
const WIDTH = 8
const clients = ['portal', 'wiki'] as const
const ada = accountId({ connector: 'up', id: 'ada' })

/** A session of ada's: what each client holds of it. */
type Session = Readonly<Record<(typeof clients)[number], Entered>>

let idp: BusyIdp
let receiver: Server
/** The sessions of which each client was told that they are over. */
const told = { portal: new Map<string, number>(), wiki: new Map<string, number>() }
let at: Place
let gateway: Serving
const hers: Session[] = []
const others: Entered[] = []

before(async () => {
  idp = await startBusyIdp('lotse')
  receiver = createServer(async (request, response) => {
    const { sub, sid } = claimsIn(new URLSearchParams(await text(request)).get('logout_token') ?? '')
    const heard = told[request.url?.slice(1) as keyof typeof told]
    assert.equal(sub, ada, 'nobody else has signed out')
    heard.set(String(sid), (heard.get(String(sid)) ?? 0) + 1)
    response.writeHead(200).end()
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
  const backChannel = (id: string) => [id, `backchannelLogout: { url: '${url}/${id}', private: true }`]
  at = await crowdedPlace({
    upstreams: { up: { idp, more: 'recheckAfter: 1h' } },
    clients: Object.fromEntries(clients.map(backChannel)),
  })
  gateway = serve(at)
  await gateway.logged('serving')
  const people = Array.from({ length: sessions }, () => 'ada')
  hers.push(
    ...(await atOnce(people, WIDTH, async (sub) => {
      const portal = await enter(at, { client: 'portal', connector: 'up', sub, idp })
      return { portal, wiki: await enter(at, { client: 'wiki', who: portal.who }) }
    })),
  )
  others.push(...(await atOnce(['bob', 'carol', 'dave'], WIDTH, comeIn)))
})
after(async () => {
  await gateway.kill()
  await at.remove()
  receiver.closeAllConnections()
  await new Promise((resolve) => receiver.close(resolve))
  await idp.close()
})

const comeIn = (sub: string) => enter(at, { client: 'portal', connector: 'up', sub, idp })

/** People who sign in one after another until they are told to stop; milliseconds that each took. */
function keepComing(): () => Promise<{ readonly took: readonly number[]; readonly failed: number }> {
  const took: number[] = []
  let failed = 0
  let over = false
  const worker = async (name: string) => {
    for (let n = 0; !over; n++) {
      const begun = performance.now()
      const entered = await comeIn(`${name}-${n}`).catch(() => undefined) // nobody comes in while the gateway is dead
      if (entered) {
        others.push(entered)
        took.push(performance.now() - begun)
      } else failed += 1
      await delay(entered ? 50 : 20)
    }
  }
  const running = ['eve', 'fred'].map(worker)
  return async () => {
    over = true
    await Promise.all(running)
    return { took: took.sort((a, b) => a - b), failed }
  }
}

/** The ends of ada's sign-ins that stand in the audit log: how many lines, and of how many sign-ins. */
async function endings(): Promise<{ readonly lines: number; readonly signIns: number }> {
  const lines = (await readFile(join(at.folder, 'audit.jsonl'), 'utf8'))
    .split('\n')
    .filter((line) => line.includes('"session.ended"') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as { readonly signIn: string; readonly personal: { readonly sub: string } })
  assert.deepEqual(new Set(lines.map(({ personal }) => personal.sub)), new Set(lines.length > 0 ? [ada] : []))
  return { lines: lines.length, signIns: new Set(lines.map(({ signIn }) => signIn)).size }
}

const beside = () =>
  openEmbedded({ path: join(at.folder, 'lotse.db'), now: () => Math.floor(Date.now() / 1000), mode: 'command' })

/** Kills the gateway as soon as the store has no more than so many sign-ins of ada's; says how many were left. */
async function killAt(most: number): Promise<number> {
  const store = await beside()
  try {
    const few = async () => (await store.members(groupOf.subject(ada))).length <= most
    await until('some have ended', 60_000, few)
    await gateway.kill()
  } finally {
    await store.close()
  }
  return left()
}

/** How many sign-ins of ada's the store still has. */
async function left(): Promise<number> {
  const store = await beside()
  const { length } = await store.members(groupOf.subject(ada))
  await store.close()
  return length
}

/** Changes the gateway's database beside it. */
function change(sql: string): void {
  const db = new DatabaseSync(join(at.folder, 'lotse.db'), { timeout: 5000 })
  db.exec(sql)
  db.close()
}

/**
 * From now on the deletion that would leave fewer of ada's sign-ins takes for ever, as on a disk that hangs: however late on a busy machine
 * whoever kills looks, the gateway is in the middle of its work. @returns undoes it
 */
function hangsBelow(least: number): () => void {
  const hers = `kind = 'Proof' and '${groupOf.subject(ada)}' in (g1, g2, g3, g4, g5)`
  const forEver = 'with recursive n(i) as (values(0) union all select i + 1 from n) select count(*) from n'
  change(
    `create trigger hangs after delete on entry when (select count(*) from entry where ${hers}) < ${least} begin ${forEver}; end`,
  )
  return () => change('drop trigger hangs')
}

const sayLogout = () =>
  fetch(`${at.issuer}/logout/back/up`, {
    method: 'POST',
    body: new URLSearchParams({ logout_token: idp.logoutToken('ada') }),
  })

/** What each client and the browser of a session of ada's is told when it goes on. */
async function goesOn(session: Session): Promise<string> {
  const refreshed = await Promise.all(clients.map((client) => renew(at, client, session[client])))
  const silent = await session.portal.who.get(authorization(at, 'portal', { prompt: 'none' }).url)
  return [...refreshed, toldAt(silent).get('error') ?? 'code'].join(', ')
}

const untold = () => clients.flatMap((client) => hers.filter((session) => !told[client].has(session[client].sid)))

test(`one logout token ends ${sessions} sessions of a person, though the gateway is killed at the first and in the middle`, async (t: TestContext) => {
  const stop = keepComing()
  t.after(stop)
  await delay(200)
  const goesOnAtHalf = hangsBelow(sessions / 2)
  const answer = sayLogout().then(
    ({ status }) => `status ${status}`,
    () => 'none',
  )
  const first = await killAt(sessions - 1)
  goesOnAtHalf()
  const goesOnAtTheLast = hangsBelow(1)
  gateway = serve(at)
  const second = await killAt(sessions / 2)
  goesOnAtTheLast()
  gateway = serve(at)
  await gateway.logged('serving')
  const again = await comeIn('ada')
  const dead = await until('every session is dead', 5000, async () => (await left()) === 1)
  const found = new Set(await atOnce(hers, WIDTH, goesOn))
  assert.deepEqual(found, new Set(['400 invalid_grant, 400 invalid_grant, login_required']))
  assert.equal(await renew(at, 'portal', again), 'tokens', 'who signed in again after the message stays')
  const heard = await until('every client was told of every session', 60_000, () => untold().length === 0)
  // A line is written after its end; what a kill left in the store follows a little later.
  await until('every end stands in the audit log', 20_000, async () => (await endings()).signIns === sessions)
  const { lines } = await endings()
  const { took, failed } = await stop()

  for (const other of others) assert.equal(await renew(at, 'portal', other), 'tokens', 'nobody else is ended')
  assert.equal(told.portal.has(again.sid), false)
  assert.ok(first > 0 && second > 0, 'both kills came in the middle')

  const twice = clients.flatMap((client) => [...told[client].values()].filter((count) => count > 1)).length
  const inMs = (part: number) => `${quantile(took, part).toFixed(0)} ms`
  t.diagnostic(`at the kills ${first} and ${second} of ${sessions} sign-ins are left`)
  t.diagnostic(`the upstream's answer: ${await answer}; all dead ${dead.toFixed(0)} ms after the last start`)
  t.diagnostic(
    `both clients were told of all ${heard.toFixed(0)} ms after that, of ${twice} of ${2 * sessions} twice; ${lines} ends in the audit log`,
  )
  t.diagnostic(
    `${took.length} sign-ins of others meanwhile: half in ${inMs(0.5)}, the slowest in ${inMs(1)}; ${failed} failed while the gateway was dead`,
  )
})
