/** A federation's metadata of 76 MB under sign-ins: how long it takes, what it holds, and whom it holds up. */
import { readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { signer } from '../test/support/saml-metadata.ts'
import { median, setting } from './compare.ts'
import { gatewayPlan } from './gateway.ts'
import { type Child, ready, start } from './process.ts'
import { entityAt, federationKey, writeAggregate } from './saml-aggregate.ts'
import { openBench, type Server } from './servers.ts'
import { spread } from './spread.ts'

const ENTITIES = setting('ENTITIES', 10_000)
/** Sign-ins in a second: half of what one core does. */
const LOGINS = setting('LOGINS', 40)
/** Seconds, megabytes above idle, milliseconds more of the 99th percentile, milliseconds for the discovery page. */
const most = { seconds: 5, megabytes: 150, p99: 20, page: 50 } as const

/** Seconds of load around one reading: the gateway looks at the file every ten. */
const ROUND = 24

const validUntil = Math.floor(Date.now() / 1000) + 10 * 86_400

interface Line {
  readonly time: string
  readonly message: string
  readonly milliseconds?: number
}

const linesOf = (log: string): readonly Line[] =>
  readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line)
const readings = (log: string) => linesOf(log).filter(({ message }) => message === 'metadata was read')

async function until<T>(what: string, look: () => T | undefined, seconds = 30): Promise<T> {
  const limit = performance.now() + seconds * 1000
  while (performance.now() < limit) {
    const found = look()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${what} did not come in ${seconds} s`)
}

/** Watches how much memory a process holds at most. */
function watch(child: Child) {
  let peak = 0
  const timer = setInterval(() => {
    peak = Math.max(peak, child.rss() / 1024)
  }, 20)
  return () => {
    clearInterval(timer)
    return peak
  }
}

/** The gateway with a federation beside the upstream that people sign in at. It has all cores, as a machine of an operator has several. */
async function startFederated(bench: Awaited<ReturnType<typeof openBench>>, file: string, certificate: string) {
  const plan = await gatewayPlan(bench)
  const config = plan.words.at(-1) ?? ''
  const federation = `connectors:\n  - { id: dfn, type: saml, label: Federation, metadata: { file: ${file}, certificate: { env: FEDERATION } } }`
  writeFileSync(config, readFileSync(config, 'utf8').replace('connectors:', federation))
  const options = { ...plan.options, env: { ...plan.options.env, FEDERATION: certificate } }
  const child = start('any', plan.words, options)
  await ready(plan.origin, child, options.log)
  return { child, target: { ...plan.target, connector: 'up' }, log: options.log }
}

/** Milliseconds in which the page with a search over the federation is answered. */
async function pageTimes({ target }: Server): Promise<readonly number[]> {
  const query = new URLSearchParams({
    client_id: target.clientId,
    response_type: 'code',
    redirect_uri: 'http://127.0.0.3:9000/cb',
    scope: 'openid',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
    connector: 'dfn',
  })
  const begun = await fetch(`${target.origin}/auth?${query}`, { redirect: 'manual' })
  const cookie = begun.headers
    .getSetCookie()
    .map((each) => each.split(';')[0])
    .join('; ')
  const page = new URL(begun.headers.get('location') ?? '', target.origin)
  const times: number[] = []
  for (let n = 0; n < 60; n++) {
    const words = ['', 'uni', 'Universität', `${n * 10}`, entityAt(n * 20).scope, 'nothing like it'][n % 6]!
    const at = performance.now()
    const answer = await fetch(`${page}?${new URLSearchParams({ connector: 'dfn', q: words })}`, {
      headers: { cookie },
    })
    const text = await answer.text()
    times.push(performance.now() - at)
    if (answer.status !== 200 || !text.includes('id="words"')) throw new Error(`no page: ${answer.status}`)
  }
  return times
}

/** One reading under sign-ins: what it took, and the times of sign-ins that met it and of those that did not. */
async function round(bench: Awaited<ReturnType<typeof openBench>>, server: Server, file: string) {
  const before = readings(server.log).length
  const begun = Date.now()
  utimesSync(file, new Date(), new Date())
  const stop = watch(server.child)
  const load = { kind: 'login', target: server.target, concurrency: 16, seconds: ROUND, count: LOGINS * ROUND } as const
  const report = await bench.drive({ ...load, rate: LOGINS, timeline: true })
  const failures = Object.entries(report.failures).map(([text, count]) => `${count} × ${text}`)
  if (failures.length > 0) throw new Error(failures.join(', '))
  const read = await until('a reading', () => readings(server.log)[before])
  const to = Date.parse(read.time)
  const from = to - (read.milliseconds ?? 0)
  // Two seconds for what is compiled anew and for the first look at the file.
  const times = (report.timeline ?? []).filter(({ at }) => at > begun + 2000)
  const met = times.filter(({ at, took }) => at + took > from && at < to).map(({ took }) => took)
  const others = times.filter(({ at, took }) => at + took <= from || at >= to).map(({ took }) => took)
  return { seconds: (read.milliseconds ?? 0) / 1000, peak: stop(), met, others }
}

/** Loads the aggregate again and again while people sign in. */
export async function metadata(): Promise<boolean> {
  const bench = await openBench()
  const file = join(bench.folder, 'federation.xml')
  const pair = federationKey()
  const { certificate } = signer(pair)
  writeAggregate(file, { entities: 2, validUntil, key: pair.privateKey })
  const server = await startFederated(bench, file, certificate)
  await until('the first reading', () => readings(server.log)[0])
  const warm = { kind: 'login', target: server.target, concurrency: 8, seconds: 60, count: 600 } as const
  await bench.drive(warm)
  await new Promise((resolve) => setTimeout(resolve, 2000))
  const idle = server.child.rss() / 1024
  const bytes = writeAggregate(file, { entities: ENTITIES, validUntil, key: pair.privateKey })
  console.log(`  ${ENTITIES} entities, ${(bytes / 1e6).toFixed(0)} MB; the gateway idles at ${idle.toFixed(0)} MB`)

  const rounds: Awaited<ReturnType<typeof round>>[] = []
  for (let n = 1; n <= setting('ROUNDS', 4); n++) {
    const one = await round(bench, server, file)
    rounds.push(one)
    const [met, others] = [spread([...one.met]), spread([...one.others])]
    console.log(
      `  round ${n}: read in ${one.seconds.toFixed(1)} s, ${(one.peak - idle).toFixed(0)} MB above idle; ` +
        `${met.done} sign-ins meanwhile: p50 ${met.p50.toFixed(0)} ms, p99 ${met.p99.toFixed(0)} ms; ` +
        `${others.done} without: p50 ${others.p50.toFixed(0)} ms, p99 ${others.p99.toFixed(0)} ms`,
    )
  }
  const page = await pageTimes(server)
  const refusal = await changedByOneByte(server, file)
  await Promise.all([server.child.stop(), bench.close()])

  const seconds = median(rounds.map((one) => one.seconds))
  const above = Math.max(...rounds.map(({ peak }) => peak)) - idle
  const more = spread(rounds.flatMap(({ met }) => met)).p99 - spread(rounds.flatMap(({ others }) => others)).p99
  console.log(`  the discovery page: median ${median(page).toFixed(1)} ms, at most ${Math.max(...page).toFixed(1)} ms`)
  console.log(`  one changed byte: ${refusal}`)
  console.log(
    `metadata: ${seconds.toFixed(1)} s (at most ${most.seconds}), ${above.toFixed(0)} MB above idle (at most ${most.megabytes}), ` +
      `p99 of sign-ins ${more.toFixed(0)} ms more (at most ${most.p99}), page ${median(page).toFixed(0)} ms (at most ${most.page})`,
  )
  return seconds <= most.seconds && above <= most.megabytes && more <= most.p99 && median(page) <= most.page
}

/** @returns what the gateway says of it @throws where it takes the document */
async function changedByOneByte(server: Server, file: string): Promise<string> {
  const document = readFileSync(file)
  const at = document.length >> 1
  document[document.indexOf('Universit', at)] = 0x76
  writeFileSync(file, document)
  const refused = (line: Line & { readonly error?: string }) => line.message.startsWith('metadata could not be read')
  const line = await until('the refusal', () => linesOf(server.log).find(refused))
  return String((line as { error?: string }).error)
}
