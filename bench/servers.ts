/** Everything that takes part in a measure: the upstream, the driver and the servers that are compared. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Job, Report } from './driver.ts'
import { type Child, freePort, loadCore, ready, type StartOptions, serverCore, start, workFolder } from './process.ts'
import type { Target } from './walk.ts'

/** A server under measure. */
export interface Server {
  readonly child: Child
  readonly target: Target
  readonly log: string
}

/** What all measures need beside the servers. */
export interface Bench {
  readonly folder: string
  /** The upstream's issuer. */
  readonly upstream: string
  readonly stub: Child
  /** @throws where the driver ended */
  drive(job: Omit<Job, 'upstreamHost'>): Promise<Report>
  close(): Promise<void>
}

const here = import.meta.dirname
/** Inside node_modules, so that what is put there finds the project's packages. */
const cache = join(here, '../node_modules/.cache/lotse-bench')

/** Starts upstream and driver on their core. */
export async function openBench(): Promise<Bench> {
  const folder = workFolder()
  const port = await freePort('127.0.0.2')
  const upstream = `http://127.0.0.2:${port}`
  const stubLog = join(folder, 'stub.log')
  const stub = start(loadCore, [process.execPath, join(here, 'stub-upstream.ts'), String(port)], { log: stubLog })
  await ready(upstream, stub, stubLog)
  const driver = openDriver(folder, 'driver.ts')
  return {
    folder,
    upstream,
    stub,
    drive: (job) => driver.drive<Job, Report>({ ...job, upstreamHost: new URL(upstream).host }),
    async close() {
      await Promise.all([driver.stop(), stub.stop()])
    },
  }
}

/** A process on the load's core that takes one job after another. */
export interface Driver {
  /** @throws where the driver ended */
  drive<Work extends object, Done>(job: Work): Promise<Done>
  stop(): Promise<void>
}

/** @param script of this folder, which answers each message with one */
export function openDriver(folder: string, script: string): Driver {
  const log = join(folder, `${script}.log`)
  const { process: child, stop } = start(loadCore, [process.execPath, join(here, script)], { log, ipc: true })
  return {
    stop,
    drive: <Work extends object, Done>(job: Work) =>
      new Promise<Done>((resolve, reject) => {
        const died = () => reject(new Error(`the driver ended: ${readFileSync(log, 'utf8').slice(-2000)}`))
        child.once('exit', died)
        child.once('message', (report) => {
          child.off('exit', died)
          resolve(report as Done)
        })
        child.send(job)
      }),
  }
}

/** The bare baseline as plain JavaScript, like the built gateway: type stripping at start would cost it 20 ms and 10 MB. */
function bareScript(): string {
  mkdirSync(cache, { recursive: true })
  writeFileSync(join(cache, 'package.json'), '{ "type": "module" }\n')
  const how = '--ignoreConfig --module nodenext --target es2024 --types node --noCheck --outDir'.split(' ')
  const tsc = join(here, '../node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [tsc, ...how, cache, join(here, 'bare.ts')], { stdio: 'inherit' })
  return join(cache, 'bare.js')
}

/** Node's flags for CPU profiles of the servers under measure, where `LOTSE_BENCH_PROFILE` names a folder for them. */
export function profiling(): readonly string[] {
  const folder = process.env['LOTSE_BENCH_PROFILE']
  return folder ? ['--cpu-prof', `--cpu-prof-dir=${folder}`] : []
}

/** How to start the bare baseline, and where it will answer. */
/** @param store a Redis URL; an SQLite file of its own if absent */
export async function barePlan({ folder, upstream }: Pick<Bench, 'folder' | 'upstream'>, store?: string) {
  const port = await freePort('127.0.0.1')
  const options: StartOptions = { log: join(folder, 'bare.log'), env: { NODE_ENV: 'production' } }
  const words = [
    process.execPath,
    ...profiling(),
    bareScript(),
    String(port),
    store ?? join(folder, 'bare.db'),
    upstream,
  ]
  const origin = `http://127.0.0.1:${port}`
  return { words, options, origin, target: { name: 'bare', origin, clientId: 'es', secret: 's' } }
}

/** Starts the bare baseline on the servers' core. @param clientId one whose access tokens are JWTs, or `op` for opaque ones */
export async function startBare(bench: Bench, clientId = 'es', store?: string): Promise<Server> {
  const { words, options, origin, target: usual } = await barePlan(bench, store)
  const target = { ...usual, clientId }
  const child = start(serverCore, words, options)
  await ready(origin, child, options.log)
  return { child, target, log: options.log }
}

/** Starts the script that the bare baseline was written after. */
export async function startOriginal(bench: Bench, path: string): Promise<Server> {
  const { options, ...plan } = await barePlan(bench)
  const script = join(cache, 'original.mjs')
  copyFileSync(path, script)
  const port = new URL(plan.origin).port
  const log = join(bench.folder, 'original.log')
  const words = [process.execPath, script, port, `sqlite:${join(bench.folder, 'original.db')}`, bench.upstream]
  const child = start(serverCore, words, { ...options, log })
  await ready(plan.origin, child, log)
  return { child, target: { ...plan.target, name: 'original' }, log }
}
