import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../support/gateway.ts'
import { cached, during } from './cache.ts'
import { output, type Program, type Server, startServer } from './server.ts'
import type { Registration, Upstream } from './upstream.ts'

/** Canaille speaks OpenID Connect by Authlib, the library of most Python providers, so what is seen here is seen at many. */
const VERSION = '0.3.6'
const AUTHLIB = '1.9.10'
const PASSWORD = 'a-password-of-the-staff'

/** The packages from PyPI, in a folder of their own; the folder. */
export function installCanaille(): Promise<string> {
  const packages = [`canaille[front,oidc,server,sqlite]==${VERSION}`, `authlib==${AUTHLIB}`]
  return cached(`canaille-${VERSION}-authlib-${AUTHLIB}`, async (folder) => {
    const args = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check', '--target', folder]
    const pip = { command: 'python3', args: [...args, ...packages], env: { PIP_ROOT_USER_ACTION: 'ignore' } }
    await during(`Canaille ${VERSION}, fetched by pip`, () => output(pip, 300))
  })
}

const program = (folder: string, work: string, args: readonly string[]): Program => ({
  command: 'python3',
  args: ['-m', 'canaille.commands', ...args],
  env: { PYTHONPATH: folder, CANAILLE_CONFIG: join(work, 'canaille.toml'), PYTHONWARNINGS: 'ignore' },
  cwd: work,
})

/** Starts it on loopback, with nobody in it; its configuration and database are in `work`. */
export async function startCanaille(folder: string, work: string): Promise<Server> {
  const address = `127.0.0.1:${await freePort()}`
  await writeFile(join(work, 'canaille.toml'), configuration(address, work))
  return await during(`Canaille ${VERSION}, started`, async () => {
    await output(program(folder, work, ['install']), 60)
    const run = program(folder, work, ['run', '--bind', address, '--workers', '0'])
    return await startServer({ ...run, url: `http://${address}`, ready: '/.well-known/openid-configuration' }, 60)
  })
}

function configuration(address: string, work: string): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = Object.entries(privateKey.export({ format: 'jwk' })).map(([name, value]) => `${name} = "${value}"`)
  return `SECRET_KEY = "${randomBytes(16).toString('hex')}"
SERVER_NAME = "${address}"
PREFERRED_URL_SCHEME = "http"
[CANAILLE]
DATABASE = "sql"
JAVASCRIPT = false
[CANAILLE_SQL]
DATABASE_URI = "sqlite:///${join(work, 'canaille.sqlite')}"
[CANAILLE_OIDC]
ACTIVE_JWKS = [{ ${jwk.join(', ')}, kid = "interop" }]
`
}

/** A running Canaille, administrated by its command line. */
export function openCanaille(url: string, folder: string, work: string): Upstream {
  const people = new Map<string, { readonly id: string; readonly groups: readonly string[] }>()
  const groups = new Map<string, string>()
  const say = (...args: readonly string[]) => output(program(folder, work, args), 60)
  const create = async (...args: readonly string[]) => (JSON.parse(await say('create', ...args)) as { id: string }).id
  const idOf = (name: string) => people.get(name)?.id ?? ''
  const belong = async (name: string, id: string, of: readonly string[]) => {
    people.set(name, { id, groups: of })
    await say('set', 'user', id, ...of.flatMap((group) => ['--groups', groups.get(group) ?? '']))
  }
  return {
    name: 'Canaille',
    issuer: url,
    scope: 'openid profile email groups',
    async register(registration) {
      const id = await create('client', ...clientOf(registration, url))
      await say('set', 'client', id, '--audience', id) // as its own form does: the `aud` of ID tokens
    },
    async addPerson(name, of) {
      const id = await create('user', ...personOf(name))
      for (const group of of.filter((one) => !groups.has(one)))
        groups.set(group, await create('group', '--display-name', group, '--members', id))
      await belong(name, id, of)
    },
    async leaveGroup(name, group) {
      const before = people.get(name)?.groups ?? []
      await belong(
        name,
        idOf(name),
        before.filter((one) => one !== group),
      )
    },
    disable: async (name) => void (await say('set', 'user', idOf(name), '--lock-date', '2020-01-01T00:00:00+00:00')),
    // It has no list of sessions: an administrator revokes tokens.
    async endSession(name) {
      const tokens = JSON.parse(await say('get', 'token', '--subject', idOf(name))) as readonly Record<string, string>[]
      for (const { id = '', revokation_date: revoked } of tokens)
        if (revoked === undefined) await say('set', 'token', id, '--revokation-date', new Date().toISOString())
    },
    async signIn(who, page, name) {
      const asked = await who.submit(page, page.form('loginform'), { login: name })
      return await who.submit(asked, asked.forms.find(({ fields }) => 'password' in fields)!, { password: PASSWORD })
    },
    asksWho: (page) => page.forms.some(({ fields }) => 'login' in fields),
  }
}

const clientOf = ({ clientId, secret, callback, returned }: Registration, uri: string) => [
  ...flags({ 'client-id': clientId, 'client-secret': secret, 'client-name': clientId, 'client-uri': uri }),
  ...flags({ 'redirect-uris': callback, 'post-logout-redirect-uris': returned, 'response-types': 'code' }),
  ...flags({ 'token-endpoint-auth-method': 'client_secret_basic', 'id-token-signed-response-alg': 'RS256' }),
  ...['authorization_code', 'refresh_token'].flatMap((grant) => ['--grant-types', grant]),
  ...['openid', 'profile', 'email', 'groups'].flatMap((scope) => ['--scope', scope]),
]

const personOf = (name: string) => [
  ...flags({ 'user-name': name, password: PASSWORD, emails: `${name}@corp.example` }),
  ...flags({ 'given-name': name, 'family-name': 'Staff', 'display-name': name }),
]

const flags = (options: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
