import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { tokensOf } from '../../support/sign-in.ts'
import { ask, type Json, type Told } from './cloud.ts'
import { type Reconciled, subOf } from './reconciled.ts'
import { exchange, scope } from './websso.ts'

const json = { 'content-type': 'application/json' }

/** Everything with which somebody gets at a project, as she has it after a sign-in on the command line. */
export interface Holding {
  /** Her id at Keystone. */
  readonly user: string
  readonly refreshToken: string
  readonly unscoped: string
  /** A token for the project. */
  readonly scoped: string
  readonly credential: { readonly id: string; readonly secret: string }
  /** A token for the project, made by the application credential. */
  readonly made: string
}

/** The user of a person at Keystone, as its administrator sees her. */
export async function userOf({ cloud }: Reconciled, person: string, connector = 'corp') {
  const who = { idp_id: 'lotse', protocol_id: 'openid', unique_id: subOf(person, connector) }
  const { body } = await cloud.api('GET', `/users?${new URLSearchParams(who)}`)
  return body.users[0] as { readonly id: string; readonly name: string; readonly enabled: boolean } | undefined
}

/** An application credential as a way in. */
export function byCredential({ keystone }: Reconciled, { id, secret }: Holding['credential']): Promise<Told> {
  const identity = { methods: ['application_credential'], application_credential: { id, secret } }
  return ask(`${keystone.url}/v3/auth/tokens`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ auth: { identity } }),
  })
}

/** Whether a token still does anything: 200 where it does. */
export async function look({ keystone }: Reconciled, token: string): Promise<number> {
  const headers = { 'x-auth-token': token, 'x-subject-token': token }
  return (await ask(`${keystone.url}/v3/auth/tokens`, { headers })).status
}

/** A sign-in at a client of the gateway. */
export const enter = ({ gateway }: Reconciled, client: string, person: string, connector = 'corp') =>
  tokensOf(gateway, client, person, { connector })

/** A sign-in by command line to a token for a project, and an application credential made with it. */
export async function hold(world: Reconciled, person: string, project: string, connector = 'corp'): Promise<Holding> {
  const tokens = await enter(world, 'openstack', person, connector)
  const place = { name: project, domain: 'corp' }
  // Where the gateway did not get to it in the two seconds that a sign-in waits, Keystone says 409 while her user is being made, and gives
  // a token that never works while she is disabled, and now and then right after she was enabled: a worker of Keystone 30 reads the user
  // of a token in its memory of its request before, sees her disabled still, and revokes all that she got up to this second. She comes
  // again.
  const come = async () => {
    const login = await exchange(world, tokens.access_token)
    if (login.status !== 201) return { login, scoped: login, made: login }
    const scoped = await scope(world, login.token, place)
    return { login, scoped, made: scoped.status === 201 ? await makeCredential(world, login, scoped.token) : scoped }
  }
  const { login, scoped, made } = await until(`${person} is in ${project}`, come, (seen) => seen.made.status === 201)
  const user = login.body.token.user.id as string
  const { id, secret } = told(made, 201).body.application_credential
  const token = told(await byCredential(world, { id, secret }), 201).token
  return {
    ...{ user, unscoped: login.token, scoped: scoped.token, credential: { id, secret }, made: token },
    refreshToken: tokens.refresh_token,
  }
}

/** Makes an application credential of somebody who signed in, for the project of her token. */
function makeCredential({ keystone }: Reconciled, login: Told, token: string): Promise<Told> {
  return ask(`${keystone.url}/v3/users/${login.body.token.user.id}/application_credentials`, {
    method: 'POST',
    headers: { ...json, 'x-auth-token': token },
    body: JSON.stringify({ application_credential: { name: `lotse-${randomUUID()}` } }),
  })
}

function told(answer: Told, status: number): Told {
  if (answer.status !== status) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`)
  return answer
}

/** Looks until it is so. @throws after 30 s, with what was seen last */
export async function until<T>(
  what: string,
  see: () => Promise<T>,
  isSo: (seen: T) => boolean,
  seconds = 30,
): Promise<T> {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const seen = await see()
    if (isSo(seen)) return seen
    if (Date.now() > end) throw new Error(`${what}: not so after ${seconds} s: ${JSON.stringify(seen)}`)
    await delay(50)
  }
}

/** Seconds from a moment until Keystone refuses each of them for the first time: the token for the project, and the credential. */
export async function secondsToRefusal(
  world: Reconciled,
  { scoped, credential }: Pick<Holding, 'scoped' | 'credential'>,
  since: number,
) {
  const passed = () => (Date.now() - since) / 1000
  const dead = async (see: () => Promise<number>) => {
    await until('refused', see, (status) => status >= 400, 60)
    return passed()
  }
  const [token, way] = await Promise.all([
    dead(() => look(world, scoped)),
    dead(async () => (await byCredential(world, credential)).status),
  ])
  return { token, credential: way }
}

/** The gateway has nothing left to do, and is at nobody. */
export async function settled(world: Reconciled): Promise<void> {
  const looked = async () => {
    const { code, out } = await world.lotse('reconcile --dry-run --json')
    const targets = JSON.parse(out.join('') || '[]') as Json[]
    return { code, open: targets.flatMap(({ plans, left }) => [...plans, ...left]) }
  }
  await until('nothing is left to do', looked, ({ code, open }) => code === 0 && open.length === 0, 60)
}

/** What an administrator does: a project that the gateway did not make, and a role in it that it did not give. */
export async function grantByHand({ cloud }: Reconciled, user: string): Promise<void> {
  const domain_id = await cloud.domain('corp')
  const { body: made } = await cloud.api('POST', '/projects', { project: { name: 'hand', domain_id } })
  const { body: found } = await cloud.api('GET', '/roles?name=reader')
  const path = `/projects/${made.project?.id}/users/${user}/roles/${found.roles[0].id}`
  const { status } = await cloud.api('PUT', path)
  if (status !== 204) throw new Error(`${path}: ${status}`)
}
