import { join } from 'node:path'
import type { Browser, Page } from '../../support/browser.ts'
import { freePort } from '../../support/gateway.ts'
import { cached, during } from './cache.ts'
import { output, type Server, startServer } from './server.ts'
import type { Registration, Upstream } from './upstream.ts'

const VERSION = '26.7.3'
const REALM = 'staff'
const PASSWORD = 'a-password-of-the-staff-realm'
const admin = { KC_BOOTSTRAP_ADMIN_USERNAME: 'admin', KC_BOOTSTRAP_ADMIN_PASSWORD: 'an-admin-password' }

/** Two cores that others share: the quick compiler alone, and little memory. */
const jvm = { JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx512m', JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1' }

/** The distribution from Maven Central, unpacked and built for an embedded H2 in memory; the folder of it. */
export function installKeycloak(): Promise<string> {
  return cached(`keycloak-${VERSION}`, async (folder) => {
    const artifact = `org.keycloak:keycloak-quarkus-dist:${VERSION}:tar.gz`
    const copy = ['-q', '-B', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`]
    await during(`Keycloak ${VERSION}, fetched by Maven`, () =>
      output({ command: 'mvn', args: copy, cwd: folder }, 300),
    )
    const archive = join(folder, `keycloak-quarkus-dist-${VERSION}.tar.gz`)
    await output({ command: 'tar', args: ['-xzf', archive, '-C', folder, '--strip-components=1'] }, 60)
    await output({ command: 'rm', args: [archive] }, 10)
    const build = { command: join(folder, 'bin/kc.sh'), args: ['build', '--db=dev-mem'], env: jvm }
    await during('Keycloak, built for its database', () => output(build, 240))
  })
}

/** Starts it on loopback, with the realm and nobody in it. */
export async function startKeycloak(folder: string): Promise<Server> {
  const port = await freePort()
  const args = ['start', '--optimized', '--cache=local', '--log-level=warn', '--http-enabled=true']
  const where = ['--hostname-strict=false', '--http-host=127.0.0.1', `--http-port=${port}`]
  const program = {
    command: join(folder, 'bin/kc.sh'),
    args: [...args, ...where],
    env: { ...jvm, ...admin },
    url: `http://127.0.0.1:${port}`,
    ready: '/realms/master',
  }
  return await during(`Keycloak ${VERSION}, started`, () => startServer(program, 180))
}

export interface Keycloak extends Upstream {
  /** The ids of somebody's sessions. */
  sessionsOf(name: string): Promise<readonly string[]>
  /** Ends one session and no other. */
  endOne(session: string): Promise<void>
}

/** A realm of a running Keycloak as delivered, with a mapper for groups. */
export async function openKeycloak(url: string): Promise<Keycloak> {
  const call = callAs(url)
  const people = new Map<string, string>()
  const groups = new Map<string, string>()
  const person = (name: string) => `/${REALM}/users/${people.get(name)}`
  const groupId = async (name: string) => {
    if (!groups.has(name)) groups.set(name, await created(call, `/${REALM}/groups`, { name }))
    return groups.get(name)
  }
  await call('POST', '', { realm: REALM, enabled: true, sslRequired: 'none' })
  return {
    name: 'Keycloak',
    issuer: `${url}/realms/${REALM}`,
    scope: 'openid profile email',
    async register(registration) {
      await call('POST', `/${REALM}/clients`, clientOf(registration))
    },
    async addPerson(name, of) {
      people.set(name, await created(call, `/${REALM}/users`, personOf(name)))
      for (const group of of) await call('PUT', `${person(name)}/groups/${await groupId(group)}`)
    },
    leaveGroup: async (name, group) => void (await call('DELETE', `${person(name)}/groups/${await groupId(group)}`)),
    disable: async (name) => void (await call('PUT', person(name), { enabled: false })),
    endSession: async (name) => void (await call('POST', `${person(name)}/logout`)),
    async sessionsOf(name) {
      const answer = await call('GET', `${person(name)}/sessions`)
      return ((await answer.json()) as readonly { readonly id: string }[]).map(({ id }) => id)
    },
    endOne: async (session) => void (await call('DELETE', `/${REALM}/sessions/${session}`)),
    signIn: (who, page, name) => fill(who, page, { username: name, password: PASSWORD }),
    asksWho: (page) => page.forms.some(({ id }) => id === 'kc-form-login'),
  }
}

const fill = (who: Browser, page: Page, fields: Readonly<Record<string, string>>) =>
  who.submit(page, page.form('kc-form-login'), fields)

const personOf = (name: string) => ({
  username: name,
  enabled: true,
  email: `${name}@corp.example`,
  emailVerified: true,
  firstName: name,
  lastName: 'Staff',
  credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
})

const clientOf = ({ clientId, secret, callback, returned, back }: Registration) => ({
  clientId,
  secret,
  protocol: 'openid-connect',
  standardFlowEnabled: true,
  directAccessGrantsEnabled: false,
  redirectUris: [callback],
  attributes: {
    'post.logout.redirect.uris': returned,
    ...(back !== undefined && { 'backchannel.logout.url': back, 'backchannel.logout.session.required': 'true' }),
  },
  protocolMappers: [
    {
      name: 'groups',
      protocol: 'openid-connect',
      protocolMapper: 'oidc-group-membership-mapper',
      config: {
        'claim.name': 'groups',
        'full.path': 'false',
        'id.token.claim': 'true',
        'userinfo.token.claim': 'true',
      },
    },
  ],
})

/** A body that is a text is XML. */
export type Call = (method: string, path: string, body?: object | string) => Promise<Response>

const typeOf = (body: object | string) => (typeof body === 'string' ? 'application/xml' : 'application/json')

/** The admin API; its tokens live for a minute, so each request brings a new one. */
export function callAs(url: string): Call {
  return async (method, path, body) => {
    const form = { grant_type: 'password', client_id: 'admin-cli' }
    const login = { username: admin.KC_BOOTSTRAP_ADMIN_USERNAME, password: admin.KC_BOOTSTRAP_ADMIN_PASSWORD }
    const answer = await fetch(`${url}/realms/master/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams({ ...form, ...login }),
    })
    const { access_token: token } = (await answer.json()) as { access_token: string }
    const done = await fetch(`${url}/admin/realms${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': typeOf(body) }) },
      ...(body && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    if (!done.ok) throw new Error(`${method} ${path}: ${done.status} ${await done.text()}`)
    return done
  }
}

/** The id of what was made. */
export async function created(call: Call, path: string, body: object): Promise<string> {
  const { headers } = await call('POST', path, body)
  return headers.get('location')?.split('/').at(-1) ?? ''
}
