import assert from 'node:assert/strict'
import { watch } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { kinds } from '../../src/store/kinds.ts'
import type { Store } from '../../src/store/store.ts'
import { fakeClock, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { CLIENT, cacheIn, clients, execInfo, expire, loginAs, startLotse } from '../support/plugin.ts'
import { rounds } from '../support/rounds.ts'
import { standard } from '../support/standard.ts'

/* `kill -9` of the plugin while it refreshes: the cache is whole, the sign-in goes on, and no lock is left. */

const KILLS = rounds(4, 50)

let idp: Idp
let gateway: TestGateway
let folder: string
let env: Readonly<Record<string, string>>
let clock: ReturnType<typeof fakeClock>

/** Where it is there, the gateway has made the next token, and tells nobody until it is let go. */
let holding: { readonly reached: () => void; readonly go: Promise<void> } | undefined
const slow = (store: Store): Store => ({
  ...store,
  async add(...entry) {
    const done = await store.add(...entry)
    if (entry[0] === kinds.RefreshToken) {
      holding?.reached()
      await holding?.go
    }
    return done
  },
})

before(async () => {
  // The gateway's own clock stands still: on a slow machine the next process comes after the 10 s in which an answer is given twice.
  clock = fakeClock()
  ;({ idp, gateway } = await standard({ extra: () => ({ clients }), store: slow }))
  folder = await mkdtemp(join(tmpdir(), 'lotse-crash-'))
  env = {
    LOTSE_CACHE: folder,
    LOTSE_ISSUER: gateway.issuer,
    LOTSE_CLIENT: CLIENT,
    KUBERNETES_EXEC_INFO: execInfo(false),
  }
  await loginAs('ada', env)
})
after(async () => {
  clock.stop()
  await gateway.close()
  await idp.close()
  await rm(folder, { recursive: true })
})

/** Resolves when an unfinished file appears beside the cache. */
function writing(): { readonly begun: Promise<void>; stop(): void } {
  const begun = Promise.withResolvers<void>()
  const watcher = watch(folder, (_event, name) => {
    if (name?.endsWith('.tmp')) begun.resolve()
  })
  return { begun: begun.promise, stop: () => watcher.close() }
}

/** Resolves when the gateway has made the next token, which it keeps to itself until `stop`. */
function made(): { readonly begun: Promise<void>; stop(): void } {
  const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  holding = { reached: reached.resolve, go: go.promise }
  return {
    begun: reached.promise,
    stop() {
      holding = undefined
      go.resolve()
    },
  }
}

/** Kills one plugin in the middle of a refresh; says whether it died before it had printed its token. */
async function killed(round: number): Promise<boolean> {
  const { begun, stop } = round % 2 === 0 ? writing() : made()
  const plugin = startLotse(['kubectl-credential'], env)
  await Promise.race([begun, plugin.ended])
  plugin.kill()
  stop()
  return (await plugin.ended).code === null
}

/** The session as the file has it. @throws where it is not whole */
async function kept(): Promise<{ readonly refreshToken?: string }> {
  const files = Object.entries(await cacheIn(folder)).filter(([name]) => name.endsWith('.json'))
  assert.equal(files.length, 1)
  return JSON.parse(files[0]?.[1].text ?? '')
}

test('a plugin that is killed while it writes leaves a whole cache, and the next one goes on with the same sign-in', async (t) => {
  let died = 0
  for (let round = 1; round <= KILLS; round += 1) {
    await expire(env)
    if (await killed(round)) died += 1
    assert.ok((await kept()).refreshToken, `round ${round}`)
    const next = await startLotse(['kubectl-credential'], env).ended
    assert.equal(next.code, 0, `round ${round}: ${next.err}`)
  }
  t.diagnostic(`${died} of ${KILLS} died in the middle`)
  assert.ok(died >= KILLS / 2, `${died} of ${KILLS} were killed in time`)
  assert.deepEqual(
    gateway.events.filter(({ event }) => event === 'family.revoked'),
    [],
  )
})

test('what killed ones left unfinished is gone after the next write: it holds tokens', async () => {
  await expire(env)
  await startLotse(['kubectl-credential'], env).ended
  const names = Object.keys(await cacheIn(folder))
  assert.deepEqual(names.map((name) => name.replace(/^[0-9a-f]{32}/, '')).sort(), ['.given', '.json', '.lock'])
})
