import type { Account, Question } from '../../live.ts'
import type { KeystoneConfig } from '../options.ts'
import type { KeystoneApi } from './api.ts'
import type { Directory } from './directory.ts'
import { holderOf, type UserSeen } from './snapshot.ts'
import { personOf, subsOf, unlinkedUser } from './user.ts'

/** What looking at a Keystone needs. */
export interface Looking {
  readonly config: KeystoneConfig
  readonly api: KeystoneApi
  readonly directory: Directory
}

/** Users by `sub`. */
export type People = ReadonlyMap<string, UserSeen>

/** Each by a question of her own. @throws {TargetUnavailable} */
export async function somePeople(looking: Looking, questions: readonly Question[]): Promise<People> {
  const people = new Map<string, UserSeen>()
  await Promise.all(
    questions.map(async ({ account }) => {
      const user = (await personOf(looking, account.sub)) ?? (await unlinkedHolder(looking, account))
      if (user !== undefined) people.set(account.sub, user)
    }),
  )
  return people
}

const holdersOf = ({ leases }: Account) => [...new Set(Object.keys(leases).map(holderOf))]

async function unlinkedHolder({ api }: Looking, account: Account): Promise<UserSeen | undefined> {
  for (const id of holdersOf(account)) {
    const user = await unlinkedUser(api, id)
    if (user !== undefined) return user
  }
  return undefined
}

/**
 * By the users whom their leases name, which costs one list; a question for each of those who have none or several, or whose user others
 * claim, too. Not checked: whether an administrator moved a user to an identity that has no account here; that shows when either is asked
 * about among few.
 * @returns `presumed`, by their leases alone, and `known`, by questions
 * @throws {TargetUnavailable}
 */
export async function allPeople(
  looking: Looking,
  questions: readonly Question[],
): Promise<{ readonly presumed: People; readonly known: People }> {
  const { identityProvider, protocol } = looking.config
  const query = new URLSearchParams({ idp_id: identityProvider, protocol_id: protocol })
  const rows = await looking.api.rows<UserSeen>('users', `/users?${query}`)
  const byId = new Map(rows.map((row) => [row.id, row]))
  const claims = new Map<string, number>()
  for (const { account } of questions) for (const id of holdersOf(account)) claims.set(id, (claims.get(id) ?? 0) + 1)
  const presumed = new Map<string, UserSeen>()
  const unclear: Question[] = []
  const bare: Account[] = []
  for (const question of questions) {
    const { account, wanted } = question
    const [holder, another] = holdersOf(account)
    const user = another === undefined && claims.get(holder ?? '') === 1 ? byId.get(holder ?? '') : undefined
    if (user !== undefined) presumed.set(account.sub, user)
    else if (holder === undefined && wanted === 'gone') bare.push(account)
    else unclear.push(question)
  }
  const known = await somePeople(looking, unclear)
  const met = new Set([...presumed.values(), ...known.values()].map(({ id }) => id))
  const open = rows.filter(({ id, enabled }) => enabled && !met.has(id))
  return { presumed, known: new Map([...known, ...(await openPeople(looking, bare, open))]) }
}

/**
 * Who of those that are gone without a lease is not locked: she alone matters. Whichever are fewer are asked about, accounts or users; where
 * every user is somebody else's or locked, nobody is.
 */
async function openPeople(looking: Looking, bare: readonly Account[], open: readonly UserSeen[]): Promise<People> {
  if (bare.length <= open.length)
    return await somePeople(
      looking,
      bare.map((account) => ({ account, wanted: 'gone' })),
    )
  const subs = new Set(bare.map(({ sub }) => sub))
  const found = await Promise.all(
    open.map(async (user) => (await subsOf(looking, user.id)).map((sub) => [sub, user] as const)),
  )
  return new Map(found.flat().filter(([sub]) => subs.has(sub)))
}
