import { openEmbedded } from '../../src/store/embedded.ts'
import { kinds } from '../../src/store/kinds.ts'
import { StoreUnavailable } from '../../src/store/store.ts'

/**
 * A process that writes until it is killed, and says on standard output what was acknowledged, a line each: `put ID`,
 * `consumed ID`, `revoked ID`. Another mode races for ids and says `won VERB ID`.
 */
const [path = '', mode = '', name = ''] = process.argv.slice(2)
const now = () => 1_800_000_000
const say = (line: string) => process.stdout.write(`${line}\n`)
const store = await openEmbedded({ path, now, mode: mode === 'race' ? 'command' : 'serve' })

if (mode === 'load') await Promise.all(Array.from({ length: 16 }, (_, n) => load(n)))
else await race()
await store.close()

async function load(worker: number): Promise<void> {
  for (let n = 0; ; n++) {
    const id = `${name}-${worker}-${n}`
    await store.put(kinds.RefreshToken, id, `value ${id}`, 1000, { groups: [`grant:${id}`] })
    say(`put ${id}`)
    if (n % 3 === 0) say(`consumed ${await store.consume(kinds.RefreshToken, id)} ${id}`)
    if (n % 7 === 1) {
      await store.revoke(`grant:${id}`, 1000)
      say(`revoked ${id}`)
    }
  }
}

async function race(): Promise<void> {
  say('ready')
  await new Promise((go) => process.stdin.once('data', go))
  process.stdin.destroy()
  await Promise.all(Array.from({ length: 100 }, (_, n) => raceFor(`race-${n}`)))
}

async function raceFor(id: string): Promise<void> {
  if (await patient(() => store.add(kinds.ReplayDetection, id, name, 1000))) say(`won add ${id}`)
  if ((await patient(() => store.consume(kinds.RefreshToken, id))) === 'first') say(`won consume ${id}`)
  if (await patient(() => store.swap(kinds.Session, id, 'from', name, 1000))) say(`won swap ${id}`)
  if (await patient(() => store.take(kinds.DeviceCode, id))) say(`won take ${id}`)
}

/** A write that was refused because the lock was taken for a second was not done, so it may be tried again. */
async function patient<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || tries === 20) throw error
    }
  }
}
