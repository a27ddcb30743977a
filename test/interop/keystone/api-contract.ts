import { setTimeout as sleep } from 'node:timers/promises'

/** A Keystone to be asked, as its administrator. */
export interface ApiServer {
  /** Ends in /v3. */
  readonly url: string
  /** Of the user admin in the domain Default, who is admin in the project admin. */
  readonly password: string
  /** An identity provider and a protocol of it that are registered there. */
  readonly identityProvider: string
  readonly protocol: string
}

/** What was asked, the status, and what of the answer matters; ids are told by the names that the list gives them. */
export interface Exchange {
  readonly what: string
  readonly status: number
  readonly seen: unknown
}

type Json = Readonly<Record<string, unknown>>
type Body = (id: (name: string) => string) => unknown

interface Step {
  readonly what: string
  /** `POST /users`; `{name}` is the id that an earlier step kept. */
  readonly ask: string
  readonly body?: Body
  /** `users` for a list, `user` for one thing; then the keys that matter. */
  readonly look?: readonly [key: string, ...fields: string[]]
  /** Keeps the id of what was made, or found first. */
  readonly keep?: string
}

const x = (n: number | string) => `c-${n}`
const federated = (server: ApiServer, sub: string) => [
  { idp_id: server.identityProvider, protocols: [{ protocol_id: server.protocol, unique_id: sub }] },
]
const grant = (role = '{member}', user = '{ada}', place = '{web}') => `/projects/${place}/users/${user}/roles/${role}`

/** What, the request, its body, what of the answer matters, and the name under which its id is kept. */
type Row = readonly [what: string, ask: string, body?: Body | undefined, look?: Step['look'] | undefined, keep?: string]

/** Everything that the gateway asks of a Keystone, and what of it may go wrong. @param run makes names that nobody has yet */
function steps(server: ApiServer, run: string): readonly Step[] {
  const fed = (sub: string) => federated(server, `${sub}-${run}`)
  const user = (name: string, sub: string, more: Json = {}): Body => {
    return (id) => ({ user: { name: x(name), domain_id: id('corp'), federated: fed(sub), ...more } })
  }
  const identity = (sub: string) =>
    `/users?idp_id=${server.identityProvider}&protocol_id=${server.protocol}&unique_id=${sub}-${run}`
  const place = (kind: string, name: string, more: Json = {}): Body => {
    return (id) => ({ [kind]: { name: x(name), domain_id: id('corp'), ...more } })
  }
  const nowhere =
    (kind: string): Body =>
    () => ({ [kind]: { name: x('lost'), domain_id: 'nowhere' } })
  const patch =
    (change: Json): Body =>
    () => ({ user: change })
  const domain = () => ({ domain: { name: `c-${run}`, description: 'x' } })
  const locked = ['user', 'enabled', 'lotse_locked', 'email'] as const
  const assignments = ['role_assignments', 'role', 'user', 'scope'] as const
  const rows: readonly Row[] = [
    ['a domain is made', 'POST /domains', domain, ['domain', 'enabled', 'description'], 'corp'],
    ['a domain twice', 'POST /domains', domain],
    ['the domain Federated', 'POST /domains', () => ({ domain: { name: 'Federated' } })],
    ['domains by name', `GET /domains?name=c-${run}`, undefined, ['domains', 'id']],
    [
      'a project is made',
      'POST /projects',
      place('project', 'web', { description: 'x', tags: ['lotse'] }),
      ['project', 'name', 'domain_id', 'description', 'tags', 'enabled'],
      'web',
    ],
    ['a project twice', 'POST /projects', place('project', 'web')],
    ['a project in no domain', 'POST /projects', nowhere('project')],
    [
      'projects by name',
      `GET /projects?domain_id={corp}&name=${x('web')}`,
      undefined,
      ['projects', 'id', 'name', 'domain_id'],
    ],
    ['no project of that name', `GET /projects?domain_id={corp}&name=${x('none')}`, undefined, ['projects', 'id']],
    [
      'a group is made',
      'POST /groups',
      place('group', 'dev', { description: 'x' }),
      ['group', 'name', 'domain_id', 'description'],
      'dev',
    ],
    ['a group twice', 'POST /groups', place('group', 'dev')],
    ['a group in no domain', 'POST /groups', nowhere('group')],
    ['roles by name', 'GET /roles?name=member', undefined, ['roles', 'name'], 'member'],
    ['no role of that name', `GET /roles?name=${x('none')}`, undefined, ['roles', 'name']],
    [
      'a user before her first sign-in',
      'POST /users',
      user('ada', 'ada', { email: 'ada@corp.example' }),
      ['user', 'name', 'domain_id', 'email', 'enabled', 'federated'],
      'ada',
    ],
    [
      'a user of no identity provider',
      'POST /users',
      (id) => ({
        user: {
          name: x('nobody'),
          domain_id: id('corp'),
          federated: [{ idp_id: x('none'), protocols: [{ protocol_id: 'openid', unique_id: 'x' }] }],
        },
      }),
    ],
    ['a user in no domain', 'POST /users', nowhere('user')],
    ['a user by another one’s name', 'POST /users', user('ada', 'eve')],
    ['a user by another one’s identity', 'POST /users', user('eve', 'ada')],
    [
      'who stays behind, without identity',
      `GET /users?domain_id={corp}&name=${x('eve')}`,
      undefined,
      ['users', 'name', 'enabled', 'federated'],
      'eve',
    ],
    ['and is shown without one', 'GET /users/{eve}', undefined, ['user', 'name', 'federated']],
    [
      'a user by her identity; lists show none',
      `GET ${identity('ada')}`,
      undefined,
      ['users', 'id', 'name', 'email', 'enabled', 'federated'],
    ],
    ['nobody by an identity', `GET ${identity('none')}`, undefined, ['users', 'id']],
    ['a user by her id', 'GET /users/{ada}', undefined, ['user', 'name', 'federated']],
    ['nobody by an id', 'GET /users/none'],
    ['a role is given', `PUT ${grant()}`],
    ['a role is given again', `PUT ${grant()}`],
    ['the role is there', `HEAD ${grant()}`],
    ['roles of a user', 'GET /role_assignments?user.id={ada}', undefined, assignments],
    ['roles of a user, with names', 'GET /role_assignments?user.id={ada}&include_names', undefined, assignments],
    ['roles of nobody', 'GET /role_assignments?user.id=none', undefined, assignments],
    ['a role in no project', `PUT ${grant('{member}', '{ada}', 'none')}`],
    ['a role for nobody', `PUT ${grant('{member}', 'none')}`],
    ['no role', `PUT ${grant('none')}`],
    ['a role is taken back', `DELETE ${grant()}`],
    ['a role is taken back again', `DELETE ${grant()}`],
    ['a role is taken back in no project', `DELETE ${grant('{member}', '{ada}', 'none')}`],
    ['a role is taken back from nobody', `DELETE ${grant('{member}', 'none')}`],
    ['a role in a domain', 'PUT /domains/{corp}/users/{ada}/roles/{member}'],
    ['a role that projects inherit', 'PUT /OS-INHERIT/projects/{web}/users/{ada}/roles/{member}/inherited_to_projects'],
    ['both, told apart', 'GET /role_assignments?user.id={ada}', undefined, assignments],
    ['the role in the domain is taken back', 'DELETE /domains/{corp}/users/{ada}/roles/{member}'],
    ['into a group', 'PUT /groups/{dev}/users/{ada}'],
    ['into a group again', 'PUT /groups/{dev}/users/{ada}'],
    ['into no group', 'PUT /groups/none/users/{ada}'],
    ['nobody into a group', 'PUT /groups/{dev}/users/none'],
    ['groups of a user', 'GET /users/{ada}/groups', undefined, ['groups', 'id', 'name', 'membership_expires_at']],
    ['users of a group', 'GET /groups/{dev}/users', undefined, ['users', 'id', 'name']],
    ['users of no group', 'GET /groups/none/users'],
    ['out of a group', 'DELETE /groups/{dev}/users/{ada}'],
    ['out of a group again', 'DELETE /groups/{dev}/users/{ada}'],
    ['an address', 'PATCH /users/{ada}', patch({ email: 'new@corp.example' }), ['user', 'email', 'federated']],
    [
      'a name alone, which nobody sees',
      'PATCH /users/{ada}',
      patch({ name: x('ada2') }),
      ['user', 'name', 'federated'],
    ],
    ['though she is found by it', `GET /users?domain_id={corp}&name=${x('ada2')}`, undefined, ['users', 'id', 'name']],
    [
      'a name with her identity',
      'PATCH /users/{ada}',
      patch({ name: x('ada3'), federated: fed('ada') }),
      ['user', 'name', 'federated'],
    ],
    ['a name with her identity, taken', 'PATCH /users/{ada}', patch({ name: x('eve'), federated: fed('ada') })],
    ['her identity is away then', `GET ${identity('ada')}`, undefined, ['users', 'id']],
    ['and put back', 'PATCH /users/{ada}', patch({ federated: fed('ada') }), ['user', 'name', 'federated']],
    [
      'another identity',
      'PATCH /users/{ada}',
      patch({ federated: fed('ada-moved') }),
      ['user', 'id', 'name', 'federated'],
    ],
    ['she is known by that alone', `GET ${identity('ada')}`, undefined, ['users', 'id']],
    ['locked, and by whom', 'PATCH /users/{ada}', patch({ enabled: false, lotse_locked: true }), locked],
    ['locked, in a list', `GET ${identity('ada-moved')}`, undefined, ['users', 'id', 'enabled', 'lotse_locked']],
    ['locked, and shown by her id', 'GET /users/{ada}', undefined, locked],
    ['unlocked', 'PATCH /users/{ada}', patch({ enabled: true, lotse_locked: false }), locked],
    ['unlocked, in a list', `GET ${identity('ada-moved')}`, undefined, ['users', 'id', 'enabled', 'lotse_locked']],
    [
      'a user with a password',
      'POST /users',
      (id) => ({ user: { name: x('bob'), domain_id: id('corp'), password: 'bobs-Secret-1' } }),
      ['user', 'name'],
      'bob',
    ],
    ['a role for him', `PUT ${grant('{member}', '{bob}')}`],
    ['a group for him', 'PUT /groups/{dev}/users/{bob}'],
  ]
  return rows.map(([what, ask, body, look, keep]) => ({
    what,
    ask,
    ...(body && { body }),
    ...(look && { look }),
    ...(keep && { keep }),
  }))
}

/** Asks everything, in order, and then what becomes of tokens and application credentials when access is taken. */
export async function apiAnswers(server: ApiServer): Promise<readonly Exchange[]> {
  const run = Math.random().toString(36).slice(2, 10)
  const admin = await signIn(
    server,
    { name: 'admin', domain: { id: 'default' }, password: server.password },
    { name: 'admin', domain: { id: 'default' } },
  )
  const ids = new Map<string, string>()
  const id = (name: string) => ids.get(name) ?? `unknown-${name}`
  const send = async (ask: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) => {
    const [method = '', path = ''] = ask.replace(/\{(\w+)\}/g, (_, name: string) => id(name)).split(/ (.*)/)
    const sent = { ...(body !== undefined && { body: JSON.stringify(body) }), method }
    const answer = await fetch(server.url + path, {
      ...sent,
      headers: { 'content-type': 'application/json', 'x-auth-token': admin.token, ...headers },
    })
    return { status: answer.status, body: read(await answer.text()) }
  }
  const told: Exchange[] = []
  for (const { what, ask, body, look, keep } of steps(server, run)) {
    const answer = await send(ask, body?.(id))
    const thing = look && answer.body[look[0]]
    const first = (Array.isArray(thing) ? thing[0] : thing) as { readonly id?: string } | undefined
    if (keep && first?.id) ids.set(keep, first.id)
    told.push({ what, status: answer.status, seen: look && named(picked(thing, look.slice(1)), ids, run) })
  }
  return [...told, ...(await endings({ server, send, id }))]
}

interface Hands {
  readonly server: ApiServer
  readonly send: (
    ask: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<{ status: number; body: Json }>
  readonly id: (name: string) => string
}

/** The table of what cuts what: a scoped token, one without scope, an application credential and a token of it. */
async function endings({ server, send, id }: Hands): Promise<readonly Exchange[]> {
  const bob = { id: id('bob'), password: 'bobs-Secret-1' }
  const scoped = async () => await signIn(server, bob, { id: id('web') })
  let [unscoped, inWeb] = [await signIn(server, bob), await scoped()]
  const body = { application_credential: { name: 'one' } }
  const made = await send('POST /users/{bob}/application_credentials', body, { 'x-auth-token': inWeb.token })
  const { id: credential = '', secret = '' } = (made.body['application_credential'] ?? {}) as {
    id?: string
    secret?: string
  }
  const byCredential = async () =>
    await auth(server, {
      identity: { methods: ['application_credential'], application_credential: { id: credential, secret } },
    })
  const ofCredential = await byCredential()
  const valid = async (token: string) =>
    (await send('GET /auth/tokens', undefined, { 'x-subject-token': token })).status
  const told: Exchange[] = [{ what: 'an application credential', status: made.status, seen: undefined }]
  const state = async (what: string, status: number) => {
    const seen = [
      await valid(unscoped.token),
      await valid(inWeb.token),
      await valid(ofCredential.token),
      (await byCredential()).status,
    ]
    told.push({ what, status, seen })
  }
  const cut = async (what: string, ask: string, change?: Json) =>
    state(what, (await send(ask, change && { user: change })).status)
  await state('before', 200)
  await cut('a direct role is taken: tokens of that project', `DELETE ${grant('{member}', '{bob}')}`)
  await cut('and given again: they live again', `PUT ${grant('{member}', '{bob}')}`)
  await cut('out of a group: every token', 'DELETE /groups/{dev}/users/{bob}')
  // A Keystone counts whole seconds in what it has ended.
  await sleep(2100)
  ;[unscoped, inWeb] = [await signIn(server, bob), await scoped()]
  await state('signed in again', 200)
  await cut('locked: everything', 'PATCH /users/{bob}', { enabled: false })
  told.push({ what: 'a sign-in while locked', status: (await signIn(server, bob)).status, seen: undefined })
  await cut('unlocked: the credential alone', 'PATCH /users/{bob}', { enabled: true })
  const refused = { 'x-auth-token': 'none' }
  told.push({
    what: 'with no such token',
    status: (await send('GET /users', undefined, refused)).status,
    seen: undefined,
  })
  const wrong = await signIn(server, { ...bob, password: 'wrong' })
  told.push({ what: 'with a wrong password', status: wrong.status, seen: undefined })
  return told
}

interface SignedIn {
  readonly status: number
  readonly token: string
}

async function signIn(server: ApiServer, user: Json, project?: Json): Promise<SignedIn> {
  const identity = { methods: ['password'], password: { user } }
  return await auth(server, { identity, scope: project ? { project } : 'unscoped' })
}

async function auth(server: ApiServer, given: Json): Promise<SignedIn> {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${server.url}/auth/tokens`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ auth: given }),
  })
  await answer.text()
  return { status: answer.status, token: answer.headers.get('x-subject-token') ?? '' }
}

function read(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    return {}
  }
}

/** The fields that matter, of one thing or of each row; sorted rows, since no order is promised. */
function picked(thing: unknown, fields: readonly string[]): unknown {
  const one = (row: unknown) =>
    Object.fromEntries(
      fields.flatMap((field) => ((row as Json)?.[field] === undefined ? [] : [[field, (row as Json)[field]]])),
    )
  if (!Array.isArray(thing)) return thing === undefined ? undefined : one(thing)
  return thing.map(one).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

/** Ids and the run's own names, told by what the list calls them. */
function named(value: unknown, ids: ReadonlyMap<string, string>, run: string): unknown {
  let text = JSON.stringify(value ?? null)
  for (const [name, own] of ids) text = text.replaceAll(own, `{${name}}`)
  return JSON.parse(text.replaceAll(run, '{run}'), (_, inner) => sorted(inner))
}

const sorted = (value: unknown) =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value
