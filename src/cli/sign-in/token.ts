import { type Granted, refreshed, type SignInPorts, SignInRefused } from './gateway.ts'
import { underLock } from './lock.ts'
import { emptySession, type Held, type Place, readSession, type Session, writeSession } from './session.ts'

/** Seconds before its end at which a token is not given out any more: the request that it is for has to arrive. */
const EARLY = 30
/** Seconds for which a no holds: one kubectl runs its plugin up to ten times. A gateway that did not answer may do so soon. */
const STANDS = { refused: 30, failed: 5 } as const

/** The resource of a sign-in itself, in `refused`. */
const SIGN_IN = ''

export interface TokenPorts extends Pick<SignInPorts, 'fetch' | 'sleep'> {
  /** Unix seconds. */
  readonly now: () => number
}

/** What a token is wanted for. */
export interface Want {
  readonly resource: string
  /** A token that its cluster refuses: another one is wanted. */
  readonly not?: Held
}

/** The token that is kept for a resource; undefined where none is, or it ends in a moment. */
export function heldToken(place: Place, { resource, not }: Want, now: number): Held | undefined {
  const held = readSession(place).tokens[resource]
  const isGood = held !== undefined && held.since <= now && now < held.until
  return isGood && held.token !== not?.token ? held : undefined
}

/**
 * A token for a resource: the one that is kept, or a refreshed one, or by a sign-in. In all processes of this person one asks at a
 * time, and the others take what it brought. After a refusal all are refused for half a minute, without asking anybody.
 * @param signIn how somebody signs in; absent where nobody is there to do it
 * @throws {SignInRefused} for the person, other errors where it may work later
 */
export function tokenFor(
  place: Place,
  want: Want,
  ports: TokenPorts,
  signIn: (() => Promise<Granted>) | undefined,
): Promise<Held> {
  const { resource } = want
  return underLock(
    place,
    ports.sleep,
    () => heldToken(place, want, ports.now()),
    async () => {
      refuseAgain(readSession(place), resource, ports.now())
      const next = await afterRefresh(place, resource, ports)
      if (next !== undefined) return next
      if (signIn === undefined) throw new SignInRefused('nobody is signed in')
      refuseAgain(readSession(place), SIGN_IN, ports.now())
      return await afterSignIn(place, resource, ports, signIn)
    },
  )
}

/** Signs in, whatever is kept; what was kept is given up only when the new one is there. @throws {SignInRefused} */
export async function afterSignIn(
  place: Place,
  resource: string,
  ports: TokenPorts,
  signIn: () => Promise<Granted>,
): Promise<Held> {
  const answer = await signIn().catch((error: unknown) => {
    note(place, SIGN_IN, ports.now(), error)
    throw error
  })
  return keep(place, emptySession(place.who), resource, answer, ports.now())
}

async function afterRefresh(place: Place, resource: string, ports: TokenPorts): Promise<Held | undefined> {
  const session = readSession(place)
  if (session.refreshToken === undefined) return undefined
  try {
    const answer = await refreshed(place.who, session.refreshToken, resource, ports)
    return keep(place, session, resource, answer, ports.now())
  } catch (error) {
    // Whatever else was given by a sign-in that is over is not to be shown around any longer.
    const over = error instanceof SignInRefused && error.code === 'invalid_grant'
    if (over) writeSession(place, emptySession(place.who))
    else note(place, resource, ports.now(), error)
    if (over) return undefined
    throw error
  }
}

function keep(place: Place, session: Session, resource: string, answer: Granted, now: number): Held {
  const { accessToken, expiresIn, refreshToken = session.refreshToken } = answer
  const held = { token: accessToken, since: now, until: now + Math.floor(expiresIn - Math.min(EARLY, expiresIn / 4)) }
  const { [resource]: _asked, [SIGN_IN]: _signIn, ...refused } = session.refused
  const kept = { ...session, tokens: { ...session.tokens, [resource]: held }, refused }
  writeSession(place, refreshToken === undefined ? kept : { ...kept, refreshToken })
  return held
}

/** A command that was broken off counts, too: else each of its siblings asks the same person once more. */
function note(place: Place, what: string, now: number, error: unknown): void {
  const session = readSession(place)
  const why = error instanceof Error ? error.message : String(error)
  const no =
    error instanceof SignInRefused || what === SIGN_IN
      ? { until: now + STANDS.refused, why }
      : ({ until: now + STANDS.failed, why, failed: true } as const)
  writeSession(place, { ...session, refused: { ...session.refused, [what]: no } })
}

function refuseAgain(session: Session, what: string, now: number): void {
  const no = session.refused[what]
  if (no === undefined) return
  const left = no.until - now
  // A clock that was set back would make it stand for ever.
  if (left <= 0 || left > STANDS.refused) return
  const again = `${no.why} (the gateway is asked again in ${left} s)`
  throw no.failed ? new Error(again) : new SignInRefused(again)
}
