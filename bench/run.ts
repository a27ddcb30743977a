/** `npm run bench -- NAME…`: measures, each printing its figure last; the exit code is 1 where one is not reached. */
import { type Comparison, compare, setting } from './compare.ts'
import { credential } from './credential.ts'
import { startGateway } from './gateway.ts'
import { growth } from './growth.ts'
import { jwks } from './jwks.ts'
import { metadata } from './metadata.ts'
import { pinning } from './process.ts'
import { saml } from './saml.ts'
import { scale } from './scale.ts'
import { startBare, startOriginal } from './servers.ts'
import { coldStart } from './start.ts'
import { wallet } from './wallet.ts'

/** Prints its figure as its last line; says whether it was measured and reached. */
type Scenario = () => Promise<boolean>

const refreshing = (): Comparison => ({
  kind: 'refresh',
  concurrency: 16,
  sessions: setting('SESSIONS', 400),
  rounds: setting('ROUNDS', 8),
  seconds: setting('SECONDS', 4),
})

/** JWTs at the gateway; the bare library introspects opaque tokens only. */
const introspecting = (): Comparison => ({ ...refreshing(), kind: 'introspect' })

const signingIn = (): Comparison => ({
  kind: 'login',
  concurrency: 8,
  sessions: 200,
  rounds: setting('ROUNDS', 8),
  seconds: setting('SECONDS', 5),
})

/** The gateway beside the bare library. @param least ratio of the rates at which the figure is reached */
async function beside(comparison: Comparison, least: number): Promise<boolean> {
  const { rate, cpu } = await compare(comparison, async (bench) => [
    await startGateway(bench),
    await startBare(bench, comparison.kind === 'introspect' ? 'op' : 'es'),
  ])
  console.log(`CPU time: the bare library needs ${cpu.toFixed(2)} of what the gateway needs`)
  console.log(`${comparison.kind}: ${rate.toFixed(2)} of the bare library's rate (at least ${least})`)
  return rate >= least
}

/** Whether bench/bare.ts is as fast as what it was written after, so that nothing is measured against a slow copy. */
async function baseline(): Promise<boolean> {
  const original = process.env['LOTSE_BARE_ORIGINAL']
  if (!original) {
    console.log('baseline: not measured; let LOTSE_BARE_ORIGINAL name the original bare.mjs')
    return false
  }
  const ratios: number[] = []
  for (const comparison of [refreshing(), signingIn()]) {
    const half = { ...comparison, rounds: Math.ceil(comparison.rounds / 2) }
    const { rate } = await compare(half, async (bench) => [
      await startBare(bench),
      await startOriginal(bench, original),
    ])
    console.log(`${comparison.kind}: ${rate.toFixed(2)} of the original's rate`)
    ratios.push(rate)
  }
  console.log(`baseline: ${ratios.map((rate) => rate.toFixed(2)).join(' and ')} of the original (at least 0.9)`)
  return ratios.every((rate) => rate >= 0.9)
}

async function decide(): Promise<boolean> {
  const { status } = await import('node:child_process').then(({ spawnSync }) =>
    spawnSync(process.execPath, [`${import.meta.dirname}/decide.ts`], { stdio: 'inherit' }),
  )
  return status === 0
}

// biome-ignore format: the columns are read downwards
const scenarios: Readonly<Record<string, readonly [about: string, run: Scenario]>> = {
  refresh:    ['rotating refresh, JWT access and ID token, ES256, durable: at least 0.9 of the bare library',       () => beside(refreshing(), 0.9)],
  login:      ['first sign-in through an upstream: at least 1.2 of the bare library',                               () => beside(signingIn(), 1.2)],
  introspect: ['whether an access token is active, a JWT beside the bare library’s opaque one: at least 0.8 of it', () => beside(introspecting(), 0.8)],
  memory:     ['memory over 20,000 sign-ins',                                                                       growth],
  start:      ['from exec to the first answer, and idle memory',                                                    coldStart],
  jwks:       ['the key set at 3,000 fetches a second and 20 sign-ins: 99 of 100 within 10 ms',                   jwks],
  credential: ['kubectl’s plugin with a token that is kept, from exec to output: at most 150 ms',                  credential],
  metadata:   ['10,000 entities of a federation under sign-ins: 5 s, 150 MB, 20 ms of their p99, page in 50 ms',        metadata],
  decide:     ['the rules, for a subject with 23 groups',                                                           decide],
  saml:       ['an accepted SAML response, with all checks: at most 1.3 of node-saml’s processor time',              saml],
  wallet:     ['a presentation verified: at most 1.5 of the libraries’ own calls; invalid ones beside sign-ins: 20 ms of p99', wallet],
  scale:      ['on Redis: one gateway at most 1.25 of the bare library’s CPU time, a second one 5 % more each',         scale],
  baseline:   ['whether the bare library here is as fast as its original (LOTSE_BARE_ORIGINAL)',                    baseline],
}

const names = process.argv.slice(2)
const unknown = names.filter((name) => !Object.hasOwn(scenarios, name))
if (names.length === 0 || unknown.length > 0) {
  if (unknown.length > 0) console.error(`no measure is called ${unknown.join(', ')}`)
  console.error('usage: npm run bench -- NAME…')
  for (const [name, [about]] of Object.entries(scenarios)) console.error(`  ${name.padEnd(11)} ${about}`)
  process.exit(2)
}
if (pinning) console.log(pinning)
let missed = false
for (const name of names) {
  const [, run] = scenarios[name]!
  missed = !(await run()) || missed
}
process.exit(missed ? 1 : 0)
