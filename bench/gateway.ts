/** The gateway as an operator runs it: built JavaScript, a configuration file, the embedded store and an audit file. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, ready, type StartOptions, serverCore, start } from './process.ts'
import { type Bench, profiling, type Server } from './servers.ts'
import { redirectUri } from './walk.ts'

const root = join(import.meta.dirname, '..')

/** The built gateway; `LOTSE_BENCH_MAIN` names one that was built elsewhere, such as that of another version. */
function built(): string {
  const given = process.env['LOTSE_BENCH_MAIN']
  if (given) return given
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
  const main = join(root, 'dist/main.js')
  if (!existsSync(main)) throw new Error(`the build left no ${main}`)
  return main
}

/** Node's flags in `CMD ["node", …flags, "/app/dist/main.js", "serve"]`: what is measured runs as the image does. */
function flagsOfTheImage(): readonly string[] {
  const [, words = '[]'] = /^CMD (.*)$/m.exec(readFileSync(join(root, 'Dockerfile'), 'utf8')) ?? []
  return (JSON.parse(words) as string[]).slice(1, -2)
}

const configuration = (port: number, upstream: string, { name, store }: Instance): string => `
issuer: http://127.0.0.1:${port}
listen: { address: 127.0.0.1, port: ${port} }
store: ${store}
keys: { dir: ./keys, create: true }
audit: { path: ./audit-${name}.log }
connectors:
  - { id: up, type: oidc, label: Upstream, issuer: ${upstream}, clientId: broker, clientSecret: { env: BENCH_SECRET },
      emailDomains: [up.example] }
targets:
  - { id: api, type: kubernetes, label: API, server: https://127.0.0.1:6443, audience: api, alg: ES256, ttl: 5m }
clients:
  - { id: es, target: api, auth: client_secret_basic, secret: { env: BENCH_SECRET }, grants: [code, refresh],
      redirectUris: ['${redirectUri}'], alwaysRefresh: true }
rules:
  - name: groups
    from: [up]
    each: { claim: groups, pattern: '<group>' }
    give:
      - { target: api, group: '<space><group>' }
`

/** One of several gateways that may share keys and a store. */
export interface Instance {
  readonly name: string
  /** YAML. */
  readonly store: string
}

const alone: Instance = { name: 'gateway', store: '{ kind: embedded, path: ./data/lotse.db }' }

const secret = 'a-secret-of-the-bench-that-is-long-enough'
let main: string | undefined

/** How to start the gateway on a configuration of its own, and where it will answer; the first start makes its keys. */
export async function gatewayPlan({ folder, upstream }: Pick<Bench, 'folder' | 'upstream'>, instance = alone) {
  main ??= built()
  const own = join(folder, 'gateway')
  mkdirSync(join(own, 'data'), { recursive: true })
  mkdirSync(join(own, 'keys'), { recursive: true, mode: 0o700 })
  const port = await freePort('127.0.0.1')
  const config = join(own, `${instance.name}.yaml`)
  writeFileSync(config, configuration(port, upstream, instance))
  const log = join(own, `${instance.name}.log`)
  const options: StartOptions = { log, env: { BENCH_SECRET: secret, NODE_ENV: 'production' } }
  const words = [process.execPath, ...flagsOfTheImage(), ...profiling(), main, 'serve', '--config', config]
  const origin = `http://127.0.0.1:${port}`
  return { words, options, origin, target: { name: instance.name, origin, clientId: 'es', secret } }
}

/** Starts the gateway on the servers' core. */
export async function startGateway(bench: Bench, instance = alone): Promise<Server> {
  const { words, options, origin, target } = await gatewayPlan(bench, instance)
  const child = start(serverCore, words, options)
  await ready(origin, child, options.log)
  return { child, target, log: options.log }
}
