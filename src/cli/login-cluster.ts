import { type Args, exit, type Io } from './command.ts'
import { type ClusterDoor, gatewayFetch, placeOf, signInAt } from './sign-in/cluster.ts'
import { revoked, type SignInPorts, SignInRefused } from './sign-in/gateway.ts'
import { underLock } from './sign-in/lock.ts'
import { type Held, readSession } from './sign-in/session.ts'
import { afterSignIn } from './sign-in/token.ts'
import { instant } from './table.ts'

/**
 * Signs in anew, whatever this machine keeps, and keeps it for kubectl. What it kept before is given back.
 * @returns the exit code
 * @throws {SignInRefused}
 */
export async function signInAtCluster(
  door: ClusterDoor,
  args: Args,
  io: Io,
  sleep: SignInPorts['sleep'],
): Promise<number> {
  const ports = { fetch: await gatewayFetch(door.ca), sleep, say: io.err, now: io.now }
  const place = placeOf(io, door)
  const { until } = await underLock<Held>(
    place,
    sleep,
    () => undefined,
    async () => {
      const { refreshToken: before } = readSession(place)
      const held = await afterSignIn(place, door.resource, ports, () => signInAt(door, args, io, ports))
      if (before !== undefined) await revoked(door, before, ports).catch(() => {}) // it runs out by itself
      return held
    },
  )
  if (readSession(place).refreshToken === undefined)
    throw new SignInRefused(
      'the gateway gave no refresh token; its operator has to give the client the grant refresh and offlineAccess',
    )
  io.err(
    `Signed in at ${door.issuer}. kubectl has a token for ${door.target} until ${instant(until)}, and takes the next ones by itself.`,
  )
  return exit.ok
}
