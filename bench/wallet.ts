/** What wallets cost: a verified presentation, and what presentations that come to nothing do to the sign-ins of others, all at one core. */
import { readFileSync, writeFileSync } from 'node:fs'
import { authority } from '../test/support/certificate.ts'
import { median, setting } from './compare.ts'
import type { Report } from './driver.ts'
import { gatewayPlan } from './gateway.ts'
import { ready, serverCore, start } from './process.ts'
import { type Bench, type Driver, openBench, openDriver, type Server } from './servers.ts'
import type { Invalid } from './wallet-load.ts'
import { verified } from './wallet-verify.ts'

/** Of the library's processor time, and milliseconds of the sign-ins' p99. */
const most = { ratio: 1.5, p99: 20 }
/** In a second: sign-ins by another upstream, whole sign-ins with an invalid presentation, answers to nobody's request. */
const [LOGINS, INVALID, STRAY] = [20, 20, 200]
/** The credential's type. */
const VCT = 'https://corp.example/credentials/employee'

/** The gateway with a connector to wallets beside its upstream. */
async function startWithWallets(bench: Bench): Promise<Server> {
  const party = authority('Root of relying parties').issue({ name: 'login.example', dns: ['login.example'] })
  const plan = await gatewayPlan(bench)
  const config = plan.words.at(-1) ?? ''
  const connector = `connectors:
  - id: wallets
    type: wallet
    label: Wallets
    certificate: { env: RP_CERTIFICATE }
    privateKey: { env: RP_KEY }
    anchors: { corp: { env: CORP } }
    credentials:
      - { id: employee, format: dc+sd-jwt, types: ['${VCT}'], about: person, issuedBy: [{ anchor: corp }], claims: [{ path: role }] }`
  writeFileSync(config, readFileSync(config, 'utf8').replace('connectors:', connector))
  const key = String(party.key.export({ type: 'pkcs8', format: 'pem' }))
  const root = authority('Root of issuers').root
  const env = { ...plan.options.env, RP_CERTIFICATE: party.chain, RP_KEY: key, CORP: root }
  const child = start(serverCore, plan.words, { ...plan.options, env })
  await ready(plan.origin, child, plan.options.log)
  return { child, target: { ...plan.target, connector: 'up' }, log: plan.options.log }
}

/** Sign-ins by the upstream, with or without what wallets send meanwhile; milliseconds of their p99. */
async function round(bench: Bench, server: Server, attacker?: Driver): Promise<number> {
  const seconds = setting('SECONDS', 10)
  const target = { ...server.target, connector: 'wallets' }
  const job = { kind: 'login', target: server.target, concurrency: 16, count: LOGINS * seconds, rate: LOGINS } as const
  const before = server.child.cpu()
  const [logins, invalid] = await Promise.all([
    bench.drive({ ...job, seconds }),
    attacker?.drive<Invalid, Report>({ target, vct: VCT, seconds, rate: INVALID, stray: STRAY }),
  ])
  const failures = [logins, invalid].flatMap((one) => Object.entries(one?.failures ?? {}))
  if (failures.length > 0) throw new Error(failures.map(([text, count]) => `${count} × ${text}`).join(', '))
  const share = (cpu: number) => `${((cpu / logins.seconds) * 100).toFixed(0)} %`
  const beside = invalid
    ? `; invalid presentations: ${invalid.done}, p50 ${invalid.p50.toFixed(0)} ms, p99 ${invalid.p99.toFixed(0)} ms`
    : ''
  console.log(
    `  ${logins.done} sign-ins: p50 ${logins.p50.toFixed(0)} ms, p99 ${logins.p99.toFixed(0)} ms${beside}; ` +
      `server ${share(server.child.cpu() - before)} of its core, load ${share(logins.driverCpu + (invalid?.driverCpu ?? 0))} of its own`,
  )
  return logins.p99
}

/** Milliseconds by which the p99 of sign-ins rises. */
async function flooded(): Promise<number> {
  const bench = await openBench()
  const attacker = openDriver(bench.folder, 'wallet-load.ts')
  const server = await startWithWallets(bench)
  await round(bench, server, attacker) // what is compiled meanwhile counts for neither
  const alone: number[] = []
  const beside: number[] = []
  for (let n = 1; n <= setting('ROUNDS', 5); n++) {
    alone.push(await round(bench, server))
    beside.push(await round(bench, server, attacker))
  }
  await Promise.all([server.child.stop(), attacker.stop(), bench.close()])
  return median(beside) - median(alone)
}

/** Says whether a verified presentation costs at most 1.5 of the library's calls, and invalid ones raise the p99 of sign-ins by at most 20 ms. */
export async function wallet(): Promise<boolean> {
  const ratio = await verified()
  const more = await flooded()
  console.log(
    `wallet: ${ratio.toFixed(2)} of jose's processor time (at most ${most.ratio}), p99 of sign-ins ${more.toFixed(0)} ms more ` +
      `beside ${INVALID} invalid presentations and ${STRAY} stray answers a second (at most ${most.p99})`,
  )
  return ratio <= most.ratio && more <= most.p99
}
