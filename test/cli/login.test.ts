import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { parse } from 'yaml'
import { type Io, readArgs, UsageError } from '../../src/cli/command.ts'
import { loginCommand } from '../../src/cli/login.ts'
import { claimsIn, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { person, pickPerson } from '../support/sign-in.ts'
import { standard, standardConfig, standardEnv } from '../support/standard.ts'

const HEAD = 'listen: { port: 8080 }\nstore: { kind: embedded, path: ./x.db }\nkeys: { create: true }\n'
const API = '/v3/OS-FEDERATION/identity_providers/lotse/protocols/openid/auth'

interface Project {
  readonly id: string
  readonly name: string
  readonly domain_id: string
}

/** What a Keystone does for this command, and no more; the token's text says for what it is. */
interface Keystone {
  readonly url: string
  projects: readonly Project[]
  /** The status of the exchange. */
  status: number
  /** Whereto it redirects who asks for her projects; empty where it answers. */
  elsewhere: string
  /** Access tokens that came. */
  readonly bearers: string[]
  close(): Promise<void>
}

async function startKeystone(): Promise<Keystone> {
  const server = createServer((req, res) => void answer(keystone, req, res))
  const keystone: Keystone = {
    url: await listening(server),
    projects: [],
    status: 201,
    elsewhere: '',
    bearers: [],
    close: closing(server),
  }
  return keystone
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const closing = (server: Server) => async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}

async function answer(keystone: Keystone, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { pathname } = new URL(req.url ?? '/', keystone.url)
  const send = (status: number, body: unknown, headers = {}) =>
    res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
  const expires = '2027-01-15T09:00:00.000000Z'
  if (pathname === API) {
    keystone.bearers.push(req.headers.authorization?.replace('Bearer ', '') ?? '')
    if (keystone.status !== 201) return void send(keystone.status, { error: { message: 'not\u001b[2J you' } })
    return void send(201, { token: { expires_at: expires } }, { 'x-subject-token': 'unscoped-token' })
  }
  if (pathname === '/v3/auth/projects' && keystone.elsewhere !== '')
    return void res.writeHead(302, { location: keystone.elsewhere }).end()
  if (pathname === '/v3/auth/projects') return void send(200, { projects: keystone.projects })
  if (pathname !== '/v3/auth/tokens') return void send(404, { error: { message: 'no such identity provider' } })
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk as Buffer)
  const { auth } = JSON.parse(String(Buffer.concat(chunks)))
  const project = keystone.projects.find(({ id }) => id === auth.scope.project.id)
  if (auth.identity.token.id !== 'unscoped-token' || project === undefined) return void send(401, {})
  const domain = { id: project.domain_id, name: `domain ${project.domain_id}` }
  send(
    201,
    { token: { expires_at: expires, project: { ...project, domain } } },
    { 'x-subject-token': `for-${project.id}` },
  )
}

const web = { id: 'p1', name: 'web', domain_id: 'd1' }
const db = { id: 'p2', name: 'db', domain_id: 'd1' }
const otherWeb = { id: 'p3', name: 'web', domain_id: 'd2' }

let idp: Idp
let gateway: TestGateway
let keystone: Keystone
let folder: string
before(async () => {
  ;({ idp, gateway } = await standard())
  keystone = await startKeystone()
  folder = await mkdtemp(join(tmpdir(), 'lotse-login-'))
  const yaml = `issuer: ${gateway.issuer}\n${HEAD}${standardConfig(idp.issuer)}`
  await writeFile(join(folder, 'gateway.yaml'), yaml.replace('https://keystone.example', keystone.url))
})
beforeEach(() => {
  Object.assign(keystone, { projects: [web, db], status: 201, elsewhere: '' })
  keystone.bearers.length = 0
})
after(async () => {
  await Promise.all([gateway.close(), idp.close(), keystone.close()])
  await rm(folder, { recursive: true })
})

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs the command; whenever it waits, `does` gets what it has said so far. */
async function login(
  words: readonly string[],
  env = {},
  does: (said: string) => Promise<void> = confirm,
): Promise<Ran> {
  const out: string[] = []
  const err: string[] = []
  const io = {
    out: (text: string) => out.push(text),
    err: (text: string) => err.push(text),
    env: { ...standardEnv, ...env },
    cwd: folder,
    now: () => Math.floor(Date.now() / 1000),
    stop: new AbortController().signal,
  } as unknown as Io
  const command = loginCommand(() => () => does(err.join('\n')))
  const code = await command.run(readArgs(words, command.options), io)
  return { code, out: out.join('\n'), err: err.join('\n') }
}

const addressIn = (said: string) => /Open (\S+) in a browser/.exec(said)?.[1] ?? ''

/** The person of the test confirms the code and signs in as ada. */
async function confirm(said: string): Promise<void> {
  const who = person()
  const entry = await who.get(addressIn(said))
  assert.ok(said.includes(entry.form().fields['user_code'] ?? 'no code'))
  const page = await who.submit(entry, entry.form())
  await pickPerson(who, await who.submit(page, page.form(), { confirm: 'yes' }), 'ada')
}

const direct = () => ['--issuer', gateway.issuer, '--client', 'openstack', '--keystone', `${keystone.url}/v3`]

test('a person confirms a code, and the shell has a token for her project', async () => {
  const { code, out, err } = await login([...direct(), '--project', 'web'])
  assert.equal(code, 0)
  assert.match(err, /Open http\S+\/device\?user_code=\S+ in a browser\.\nIt must show the code [A-Z]{4}-[A-Z]{4}\./)
  assert.match(err, /Signed in to project web until 2027-01-15T09:00:00/)
  assert.deepEqual(out.split('\n').slice(1), [
    "export OS_AUTH_TYPE='v3token'",
    `export OS_AUTH_URL='${keystone.url}/v3'`,
    "export OS_IDENTITY_API_VERSION='3'",
    "export OS_TOKEN='for-p1'",
    "export OS_PROJECT_ID='p1'",
    "export OS_PROJECT_NAME='web'",
    "export OS_PROJECT_DOMAIN_NAME='domain d1'",
  ])
  assert.match(out, /^unset OS_CLOUD OS_USERNAME /)
  assert.doesNotMatch(err, /for-p1|unscoped-token/, 'a token goes to standard output alone')
  const claims = claimsIn(keystone.bearers[0] ?? '')
  assert.deepEqual([claims['aud'], claims['preferred_username']], ['keystone', 'corp:ada'])
  assert.match(String(claims['groups']), /os-web/)
})

test('without a project the choice is told, and the token is for none', async () => {
  const { code, out, err } = await login(direct())
  assert.equal(code, 0)
  assert.match(err, /Choose one of your projects with --project:\nPROJECT +ID +DOMAIN\nweb +p1 +d1\ndb +p2 +d1/)
  assert.match(out, /OS_TOKEN='unscoped-token'/)
  assert.match(out, /unset .*OS_PROJECT_ID/, 'one of an earlier sign-in would be taken')
  assert.doesNotMatch(out, /export OS_PROJECT/)
})

test('a single project is taken, and of two with one name the domain decides', async () => {
  keystone.projects = [db]
  assert.match((await login(direct())).out, /OS_TOKEN='for-p2'/)
  keystone.projects = [web, otherWeb]
  const both = await login([...direct(), '--project', 'web'])
  assert.deepEqual([both.code, both.out], [1, ''])
  assert.match(both.err, /Several projects are called web; say --project-domain:/)
  assert.match((await login([...direct(), '--project', 'web', '--project-domain', 'd2'])).out, /OS_TOKEN='for-p3'/)
})

test('a project that she has not is said with those that she has; nothing is printed', async () => {
  const { code, out, err } = await login([...direct(), '--project', 'secret'])
  assert.deepEqual([code, out], [1, ''])
  assert.match(err, /You have no project secret; there are:/)
})

test('a Keystone that sends her on for her projects gets her token taken to nobody else', async (t) => {
  const asked: string[] = []
  const other = createServer((req, res) => {
    asked.push(req.url ?? '')
    res.writeHead(200).end('{"projects":[]}')
  })
  t.after(closing(other))
  keystone.elsewhere = await listening(other)
  await assert.rejects(login([...direct(), '--project', 'web']), /does not list projects: status 302/)
  assert.deepEqual(asked, [])
})

test('the configuration of the gateway says everything, variables say the rest, and options win', async () => {
  const file = ['cloud', '--config', 'gateway.yaml', '--project', 'db']
  assert.match((await login(file)).out, /OS_TOKEN='for-p2'/)
  const env = { LOTSE_ISSUER: gateway.issuer, LOTSE_CLIENT: 'openstack', LOTSE_KEYSTONE: keystone.url }
  assert.match((await login(['--project', 'db'], env)).out, /OS_TOKEN='for-p2'/)
  const renamed = await login(file, { LOTSE_IDENTITY_PROVIDER: 'other' })
  assert.equal(renamed.code, 1)
  assert.match(renamed.err, /Keystone does not know the gateway under this name \(404: no such identity provider\)/)
})

test('an own authority is named by option or either variable, and openstack is told of it', async () => {
  const file = join(folder, 'own.pem')
  await writeFile(file, 'of nobody: nothing here is https')
  const ways = [
    [['--ca', 'own.pem'], { LOTSE_CA: 'other.pem' }],
    [[], { LOTSE_CA: file, OS_CACERT: 'other.pem' }],
    [[], { OS_CACERT: file }],
  ] as const
  for (const [words, env] of ways) {
    const { out } = await login([...direct(), '--project', 'web', ...words], env)
    assert.ok(out.includes(`export OS_CACERT='${file}'`), out)
  }
  const empty = await login([...direct(), '--project', 'web'], { LOTSE_CA: '', OS_CACERT: '' })
  assert.doesNotMatch(empty.out, /OS_CACERT/)
})

test('a name that moves the cursor is not printed: the id of the project says it', async () => {
  keystone.projects = [{ id: 'p9', name: "o'neil\u001b]0;x\u009b$(id)", domain_id: 'd1' }]
  const shell = await login(['cloud', ...direct()])
  assert.doesNotMatch(shell.out, /[^\n\x20-\x7e]/)
  assert.match(shell.out, /^unset .* OS_PROJECT_NAME\b.*$/m)
  assert.match(shell.out, /^export OS_PROJECT_ID='p9'$/m)
  assert.match(shell.out, /^export OS_PROJECT_DOMAIN_NAME='domain d1'$/m)
  const clouds = await login(['cl\u0085oud\u007f', ...direct(), '--clouds'])
  assert.doesNotMatch(clouds.out, /[^\n\x20-\x7e]/)
  assert.deepEqual(Object.keys(parse(clouds.out).clouds), ['cl\u0085oud\u007f'])
})

test('by a browser on this machine there is no code to confirm', async () => {
  const { code, out, err } = await login([...direct(), '--project', 'web', '--browser'], {}, async (said) => {
    const who = person()
    const done = await pickPerson(who, await who.get(addressIn(said)), 'ada')
    assert.match(done.text, /Go on in your terminal/)
    await new Promise(() => {}) // the wait for its time limit
  })
  assert.equal(code, 0)
  assert.match(out, /OS_TOKEN='for-p1'/)
  assert.match(err, /code_challenge_method=S256/)
})

test('another page cannot answer in the place of the gateway: it does not know the state', async () => {
  let turnedAway = 0
  const { code } = await login([...direct(), '--browser'], {}, async (said) => {
    const redirect = new URL(new URL(addressIn(said)).searchParams.get('redirect_uri') ?? '')
    redirect.search = '?code=stolen&state=guessed'
    turnedAway = (await fetch(redirect)).status
    const who = person()
    await pickPerson(who, await who.get(addressIn(said)), 'ada')
    await new Promise(() => {})
  })
  assert.deepEqual([code, turnedAway], [0, 404])
})

test('a request that is no address is turned away, and the sign-in goes on', async () => {
  let turnedAway: number | undefined
  const { code } = await login([...direct(), '--browser'], {}, async (said) => {
    const redirect = new URL(new URL(addressIn(said)).searchParams.get('redirect_uri') ?? '')
    const sent = get({ host: redirect.hostname, port: redirect.port, path: '//' })
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    turnedAway = answer.resume().statusCode
    const who = person()
    await pickPerson(who, await who.get(addressIn(said)), 'ada')
    await new Promise(() => {})
  })
  assert.deepEqual([code, turnedAway], [0, 404])
})

test('an answer that says it is of another provider is not redeemed, though it knows the state', async () => {
  const { code, out, err } = await login([...direct(), '--browser'], {}, async (said) => {
    const asked = new URL(addressIn(said)).searchParams
    const redirect = new URL(asked.get('redirect_uri') ?? '')
    redirect.search = String(
      new URLSearchParams({ code: 'theirs', state: asked.get('state') ?? '', iss: 'https://other.example' }),
    )
    await fetch(redirect)
    await new Promise(() => {})
  })
  assert.deepEqual([code, out], [1, ''])
  assert.match(err, /the answer came from another provider/)
})

test('a gateway that calls itself otherwise is asked for nothing', async (t) => {
  const asked: (string | undefined)[] = []
  const posing = createServer((req, res) => {
    asked.push(req.url)
    res.end(JSON.stringify({ issuer: gateway.issuer, token_endpoint: `${gateway.issuer}/token` }))
  })
  t.after(closing(posing))
  const words = ['--issuer', await listening(posing), '--client', 'openstack', '--keystone', keystone.url]
  await assert.rejects(login(words), /calls itself http.*; write that as the issuer/)
  assert.deepEqual(asked, ['/.well-known/openid-configuration'])
})

test('a gateway that names a file, or a program, as its page opens nothing on this machine', async (t) => {
  let issuer = ''
  const posing = createServer((_, res) => {
    const pages = {
      authorization_endpoint: 'file:///usr/share/applications/x.desktop',
      token_endpoint: `${issuer}/token`,
    }
    res.end(JSON.stringify({ issuer, ...pages }))
  })
  t.after(closing(posing))
  issuer = await listening(posing)
  const words = ['--issuer', issuer, '--client', 'openstack', '--keystone', keystone.url, '--browser']
  const { code, err } = await login(words, { BROWSER: 'false' }, async () => assert.fail('it waits for an answer'))
  assert.equal(code, 1)
  assert.equal(
    err,
    'lotse login: the authorization_endpoint of this gateway is no https address; its operator has to say why',
  )
})

test('--clouds writes a clouds.yaml, and --out a file that only its owner reads, also over an older one', async () => {
  await writeFile(join(folder, 'clouds.yaml'), 'old', { mode: 0o644 })
  const { code, out } = await login(['cloud', ...direct(), '--project', 'web', '--clouds', '--out', 'clouds.yaml'])
  assert.deepEqual([code, out], [0, ''])
  const file = join(folder, 'clouds.yaml')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.deepEqual(parse(await readFile(file, 'utf8')), {
    clouds: {
      cloud: {
        auth_type: 'v3token',
        identity_api_version: 3,
        auth: { auth_url: `${keystone.url}/v3`, token: 'for-p1', project_id: 'p1' },
      },
    },
  })
})

test('who declines, or may nothing there, is told so and gets nothing', async () => {
  const declined = await login(direct(), {}, async (said) => {
    const who = person()
    const entry = await who.get(addressIn(said))
    const page = await who.submit(entry, entry.form())
    await who.submit(page, page.form(), { abort: 'yes' })
  })
  assert.deepEqual([declined.code, declined.out], [1, ''])
  assert.match(declined.err, /the gateway refuses: it was declined, or the rules give you nothing there/)
  const unknown = await login(['--issuer', gateway.issuer, '--client', 'nobody', '--keystone', keystone.url])
  assert.equal(unknown.code, 1)
  assert.match(unknown.err, /does not know this client as a public one/)
})

test('what Keystone refuses is said in its own words, without moving the cursor', async () => {
  keystone.status = 401
  const { code, out, err } = await login([...direct(), '--project', 'web'])
  assert.deepEqual([code, out], [1, ''])
  assert.match(err, /Keystone does not take the gateway's token \(401: not\\u001b\[2J you\)/)
  keystone.status = 404
  assert.match((await login(direct())).err, /Keystone does not know the gateway under this name/)
})

for (const [words, said] of [
  [[], /say --issuer, or set LOTSE_ISSUER/],
  [['a', 'b'], /name one target/],
  [['--issuer', 'x', '--client', 'c', '--keystone', 'https://k'], /--issuer is no address/],
  [['nowhere', '--config', 'gateway.yaml'], /no Keystone or cluster "nowhere"; there is cloud, prod/],
  [
    ['--issuer', 'https://i', '--client', 'c', '--keystone', 'https://k', '--redirect', 'https://evil.example/cb'],
    /--redirect is no loopback address/,
  ],
  [['--issuer', 'https://i', '--client', 'c', '--keystone', 'https://k', '--protocol', '../x'], /--protocol is no id/],
  [
    ['--issuer', 'https://i', '--client', 'c', '--keystone', 'https://k', '--browser', '--device'],
    /exclude each other/,
  ],
] as const)
  test(`is not understood: login ${words.join(' ')}`, async () => {
    await assert.rejects(login(words), (error) => error instanceof UsageError && said.test(error.message))
  })
