import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { refreshWindow } from '../../src/http/oidc-adapter.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import { kinds } from '../../src/store/kinds.ts'
import type { Entry } from '../../src/store/store.ts'
import { type BusyIdp, startBusyIdp } from '../support/busy-idp.ts'
import { crowdedPlace, type Entered, enter, renew, until } from '../support/crowd.ts'
import { rounds } from '../support/rounds.ts'
import { type Place, type Serving, type SharedClock, serve, sharedClock } from '../support/serving.ts'

const script = fileURLToPath(new URL('refresh-client.ts', import.meta.url))
const processes = rounds(6, 20)
const times = rounds(2, 50)
const kills = rounds(4, 40)
/** Seconds after which the upstream is asked again. A round takes none of them: a second question in it is one too many. */
const RECHECK_AFTER = 2
const seconds = () => Math.floor(Date.now() / 1000)

/** A client in a process of its own. */
interface Client {
  readonly child: ChildProcess
  /** The next line that it says; undefined once it is dead. */
  next(): Promise<string | undefined>
  ask(token: string): void
}

let idp: BusyIdp
let at: Place
let gateway: Serving
let clock: SharedClock
const clients: Client[] = []
const people: Record<'ada' | 'bob' | 'carol', Entered> = {} as never
const signIns = { ada: 0, bob: 1, carol: 2 } as const

before(async () => {
  idp = await startBusyIdp('lotse')
  at = await crowdedPlace({
    upstreams: { up: { idp, more: `recheckAfter: ${RECHECK_AFTER}s` } },
    clients: { kubectl: '' },
  })
  clock = await sharedClock(at)
  gateway = serve(at, 'pipe', clock)
  await gateway.logged('serving')
  for (const sub of ['ada', 'bob', 'carol'] as const)
    people[sub] = await enter(at, { client: 'kubectl', connector: 'up', sub, idp })
  for (let n = 0; n < processes; n++) clients.push(start())
  await Promise.all(clients.map(({ next }) => next()))
})
after(async () => {
  for (const { child } of clients) child.kill('SIGKILL')
  await gateway.kill()
  await at.remove()
  await idp.close()
  clock.stop()
})

function start(): Client {
  const child = spawn(process.execPath, [script, at.issuer, 'kubectl'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    child,
    next: async () => (await lines.next()).value as string | undefined,
    ask: (token) => void child.stdin.write(`${token}\n`),
  }
}

/** All client processes use one token at once; what each was told. */
async function together(token: string): Promise<readonly (string | undefined)[]> {
  for (const { ask } of clients) ask(token)
  return Promise.all(
    clients.map(async ({ next }) => {
      assert.equal(await next(), 'sent')
      return next()
    }),
  )
}

/** Looks into the store of the running gateway, as an operator's command does. */
async function stored<T>(look: (tokens: readonly (Entry & { readonly grantId: string })[]) => T): Promise<T> {
  const store = await openEmbedded({ path: join(at.folder, 'lotse.db'), now: seconds, mode: 'command' })
  const tokens = await store.list(kinds.RefreshToken, 100_000)
  await store.close()
  return look(tokens.map((entry) => ({ ...entry, grantId: (JSON.parse(entry.value) as { grantId: string }).grantId })))
}

const questions = (signIn: number) => idp.asked.filter((asked) => asked.signIn === signIn).length

// Used for the first time here and shown again at the end, when the window is over.
let replayed = { token: '', successor: '' }
test('a token is used by its client', async () => {
  const token = people.carol.token
  assert.equal(await renew(at, 'kubectl', people.carol), 'tokens')
  replayed = { token, successor: people.carol.token }
})

test(`${processes} processes refresh at once by one token, ${times} times: each time one successor and one question to the upstream`, async (t) => {
  const took: number[] = []
  for (let n = 1; n <= times; n++) {
    clock.advance(RECHECK_AFTER)
    const begun = performance.now()
    const told = await together(people.ada.token)
    took.push(performance.now() - begun)
    assert.deepEqual([new Set(told).size, told[0]?.slice(0, 4)], [1, '200 '], `round ${n}: ${[...new Set(told)]}`)
    people.ada.token = told[0]!.slice(4)
    assert.equal(questions(signIns.ada), n, `round ${n}: questions to the upstream so far`)
  }
  assert.equal(idp.replays(), 0)
  assert.equal(await renew(at, 'kubectl', people.ada), 'tokens', 'the last successor is usable')
  const left = await stored((all) => {
    const own = all.find(({ id }) => id === people.ada.token)
    return all.filter(({ grantId, consumedAt }) => grantId === own?.grantId && consumedAt === undefined)
  })
  assert.deepEqual(
    left.map(({ id }) => id),
    [people.ada.token],
    'one token of the family is left',
  )
  took.sort((a, b) => a - b)
  t.diagnostic(`${times * processes} refreshes, ${questions(signIns.ada)} questions to the upstream`)
  t.diagnostic(`a round took ${took[times >> 1]!.toFixed(0)} ms in the middle, ${took.at(-1)!.toFixed(0)} ms at most`)
})

test(`a client that was killed before its answer came goes on with its old token, ${kills} times`, async (t) => {
  let lost = 0
  for (let n = 0; n < kills; n++) {
    // The first time the upstream holds the answer up, and is there before it to see the client die: this one is lost for certain.
    idp.become('well', n === 0 ? 500 : 0)
    if (n === 0) clock.advance(RECHECK_AFTER)
    const before = questions(signIns.bob)
    const asked = () => until('the upstream is asked', 20_000, () => questions(signIns.bob) > before)
    lost += await killedOnTheWay(people.bob.token, n === 0 ? asked : () => delay((n * 7) % 20))
    assert.equal(await renew(at, 'kubectl', people.bob), 'tokens', `kill ${n}: again with the old token`)
    assert.equal(await renew(at, 'kubectl', people.bob), 'tokens', `kill ${n}: by the successor`)
  }
  assert.ok(lost > 0)
  assert.equal(idp.replays(), 0)
  t.diagnostic(`of ${kills} answers ${lost} were lost after the gateway had used the token`)
})

/** Kills a client after its request went out, when the moment has come; 1 where the gateway used the token and the client never heard. */
async function killedOnTheWay(token: string, moment: () => Promise<unknown>): Promise<number> {
  const client = start()
  assert.equal(await client.next(), 'ready')
  client.ask(token)
  assert.equal(await client.next(), 'sent')
  await moment()
  const heard = client.next()
  client.child.kill('SIGKILL')
  const answered = (await heard) !== undefined
  const used = () => stored((all) => all.find(({ id }) => id === token)?.consumedAt !== undefined)
  await until('the gateway has used the token', 20_000, used)
  return answered ? 0 : 1
}

test(`a token that ${processes} processes show after its window ends the family for all`, async (t: TestContext) => {
  clock.advance(refreshWindow + 1)
  assert.deepEqual(new Set(await together(replayed.token)), new Set(['400 invalid_grant']))
  assert.equal(await renew(at, 'kubectl', { token: replayed.successor }), '400 invalid_grant')
  assert.equal(await renew(at, 'kubectl', people.ada), 'tokens', 'another family goes on')
  t.diagnostic(`${processes} replays refused`)
})
