/**
 * Presentations that come to nothing, as a process of its own on the load's core: whole sign-ins with a wallet whose credential is signed by somebody that no anchor
 * knows, so that everything is looked at before the refusal; and answers to requests that nobody made.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { holder, issue, issuerOf, open, present, send } from '../test/support/wallet.ts'
import type { Report } from './driver.ts'
import { spread } from './spread.ts'
import { showWallet, type Target } from './walk.ts'

/** What to do for so many seconds. */
export interface Invalid {
  readonly target: Target
  /** The credential's type. */
  readonly vct: string
  readonly seconds: number
  /** Whole sign-ins in a second, and answers to nobody's request. */
  readonly rate: number
  readonly stray: number
}

const mallory = issuerOf('https://mallory.example')
const phone = holder()

async function wholly({ target, vct }: Invalid): Promise<void> {
  const held = issue(mallory, { vct, claims: { role: 'developer' } }, phone)
  const told = await showWallet(target, async (link) => {
    const read = await open(link)
    const token = { [read.query.credentials[0]?.id ?? '']: [present(held, phone, read)] }
    const { body, status } = await send(read, token)
    if (status !== 200) throw new Error(`the answer was not taken: ${status}`)
    return new URL(body['redirect_uri'] ?? '')
  })
  if (told !== 'access_denied') throw new Error(`not refused: ${told}`)
}

/** As large as an encrypted presentation. */
const nothing = randomBytes(4096).toString('base64url')

async function astray({ target }: Invalid): Promise<void> {
  const url = `${target.origin}/wallet/response/${randomBytes(24).toString('base64url')}`
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams({ response: nothing }) })
  await answer.arrayBuffer()
  if (answer.status < 400 || answer.status >= 500) throw new Error(`a stray answer got ${answer.status}`)
}

interface Pace {
  readonly rate: number
  readonly seconds: number
}

/** Begins at a rate, however long each takes. */
async function paced(
  { rate, seconds }: Pace,
  times: number[],
  failures: Record<string, number>,
  one: () => Promise<void>,
) {
  const begun = performance.now()
  const running: Promise<void>[] = []
  for (let n = 0; n < rate * seconds; n += 1) {
    await delay(Math.max(0, begun + (n * 1000) / rate - performance.now()))
    const at = performance.now()
    running.push(
      one().then(
        () => void times.push(performance.now() - at),
        (error: Error) => {
          failures[error.message] = (failures[error.message] ?? 0) + 1
        },
      ),
    )
  }
  await Promise.all(running)
}

async function run(invalid: Invalid): Promise<Report> {
  const times: number[] = []
  const failures: Record<string, number> = {}
  const [begun, cpu] = [performance.now(), process.cpuUsage()]
  const { seconds } = invalid
  await Promise.all([
    paced({ rate: invalid.rate, seconds }, times, failures, () => wholly(invalid)),
    paced({ rate: invalid.stray, seconds }, [], failures, () => astray(invalid)),
  ])
  const { user, system } = process.cpuUsage(cpu)
  return { ...spread(times), seconds: (performance.now() - begun) / 1000, failures, driverCpu: (user + system) / 1e6 }
}

process.on('message', (invalid: Invalid) => void run(invalid).then((report) => process.send?.(report)))
process.on('disconnect', () => process.exit(0))
