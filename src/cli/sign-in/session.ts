import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir, platform } from 'node:os'
import { join } from 'node:path'
import { asObject, type CliClient } from './gateway.ts'

/** A token for one target, as it came. */
export interface Held {
  readonly token: string
  /** Unix seconds at which it came: a clock that says less was put back since. */
  readonly since: number
  /** Unix seconds at which another should be asked for: a little before it ends. */
  readonly until: number
}

/** A no of a moment ago, so that nobody asks ten times in one second. */
export interface No {
  /** Unix seconds until which it stands. */
  readonly until: number
  readonly why: string
  /** Nobody refused: the gateway could not answer. */
  readonly failed?: true
}

/** At which gateway, as which client. */
export interface Where extends CliClient {
  /** The path of the certificates that it needs, absolute: a later command has to reach it, too. */
  readonly ca?: string | undefined
}

/** One sign-in of one person at one gateway, as this machine keeps it. Serves every target of the client. */
export interface Session extends Where {
  /** Absent where nobody is signed in any more. */
  readonly refreshToken?: string
  /** By resource. */
  readonly tokens: Readonly<Record<string, Held>>
  /** By resource, or under the empty text for a sign-in itself. */
  readonly refused: Readonly<Record<string, No>>
}

/** Where one person's sign-in at one gateway is kept. */
export interface Place {
  /** The cache folder. */
  readonly folder: string
  readonly who: Where
}

type Environment = Readonly<Record<string, string | undefined>>

/** The person's cache folder: LOTSE_CACHE, or what her system has for this. */
export function cacheFolder(env: Environment): string {
  if (env['LOTSE_CACHE']) return env['LOTSE_CACHE']
  if (env['XDG_CACHE_HOME']) return join(env['XDG_CACHE_HOME'], 'lotse')
  const home = env['HOME'] || homedir()
  if (platform() === 'darwin') return join(home, 'Library', 'Caches', 'lotse')
  if (platform() === 'win32') return join(env['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local'), 'lotse')
  return join(home, '.cache', 'lotse')
}

const nameOf = ({ issuer, client }: CliClient) =>
  createHash('sha256').update(`${issuer}\n${client}`).digest('hex').slice(0, 32)

/** The file of a sign-in; `.lock` beside it is held while it changes. */
export const fileOf = ({ folder, who }: Place): string => join(folder, `${nameOf(who)}.json`)

/** A sign-in in which nothing is held yet. */
export const emptySession = ({ issuer, client, ca }: Where): Session => ({
  issuer,
  client,
  ca,
  tokens: {},
  refused: {},
})

/** The file beside it that says who was given a token last; for it nobody takes the lock. */
export const givenFileOf = (place: Place): string => fileOf(place).replace(/\.json$/, '.given')

/** A file of a new name, to be renamed when it is whole; one that is left is swept away at the next write. */
export const unfinishedOf = (place: Place): string => `${fileOf(place)}.${randomBytes(6).toString('hex')}.tmp`

/** What this machine keeps of a sign-in; an empty one where nothing is kept, or what stands there was not written by us. */
export function readSession(place: Place): Session {
  const read = sessionIn(fileOf(place))
  const { issuer, client } = place.who
  return read?.issuer === issuer && read.client === client ? read : emptySession(place.who)
}

function sessionIn(file: string): Session | undefined {
  try {
    const { issuer, client, ca, refreshToken, tokens, refused } = asObject(JSON.parse(readFileSync(file, 'utf8')))
    if (typeof issuer !== 'string' || typeof client !== 'string') return undefined
    return {
      ...emptySession({ issuer, client, ca: typeof ca === 'string' ? ca : undefined }),
      ...(typeof refreshToken === 'string' && { refreshToken }),
      tokens: entriesOf<Held>(tokens, { token: 'string', since: 'number', until: 'number' }),
      refused: entriesOf<No>(refused, { why: 'string', until: 'number' }),
    }
  } catch {
    return undefined
  }
}

/** The entries that are what they are to be; others were written by another version, or by no version. */
function entriesOf<T>(
  value: unknown,
  fields: Readonly<Record<string, 'string' | 'number'>>,
): Readonly<Record<string, T>> {
  const fits = ([, each]: readonly [string, unknown]) =>
    Object.entries(fields).every(([name, type]) => typeof asObject(each)[name] === type)
  return Object.fromEntries(Object.entries(asObject(value)).filter(fits)) as Record<string, T> // as just seen
}

/** Every sign-in that this machine keeps. */
export function sessionsIn(folder: string): readonly Session[] {
  return filesIn(folder)
    .filter((name) => /^[0-9a-f]{32}\.json$/.test(name))
    .flatMap((name) => sessionIn(join(folder, name)) ?? [])
}

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

/**
 * Replaces what is kept, whole: a process that dies in the middle leaves the old one. Only who holds the lock calls this. The file is for
 * its owner alone.
 * @throws where the folder cannot be written
 */
export function writeSession(place: Place, session: Session): void {
  const file = fileOf(place)
  dropUnfinished(place)
  const unfinished = unfinishedOf(place)
  const opened = openSync(unfinished, 'wx', 0o600)
  try {
    writeFileSync(opened, JSON.stringify(session))
    fsyncSync(opened)
  } finally {
    closeSync(opened)
  }
  renameSync(unfinished, file)
}

/** Takes away what is kept. Only who holds the lock calls this. */
export function dropSession(place: Place): void {
  dropUnfinished(place)
  for (const file of [fileOf(place), givenFileOf(place)]) rmSync(file, { force: true })
}

/** What processes left that were killed while they wrote; they hold tokens. */
function dropUnfinished({ folder, who }: Place): void {
  const left = new RegExp(`^${nameOf(who)}\\.json\\.[0-9a-f]+\\.tmp$`)
  for (const name of filesIn(folder)) if (left.test(name)) rmSync(join(folder, name), { force: true })
}

/** Makes the folder where it is missing, for its owner alone. @throws where it cannot be made */
export const makeFolder = (folder: string): void => void mkdirSync(folder, { recursive: true, mode: 0o700 })
