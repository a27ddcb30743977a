import { type Args, type Command, exit, type Io, UsageError } from './command.ts'
import { folderOf, gatewayFetch, gatewayOptions, issuerOf, placeOf, said } from './sign-in/cluster.ts'
import { revoked, sleeper } from './sign-in/gateway.ts'
import { underLock } from './sign-in/lock.ts'
import { dropSession, readSession, type Session, sessionsIn } from './sign-in/session.ts'

/** `lotse logout`: ends at the gateway what `lotse login` and kubectl began on this machine. */
export const command: Command = {
  usage: '[--issuer URL] [--client ID] [--forget]',
  details: `Gives the refresh tokens that this machine keeps back to their gateways, so that they are worth nothing any more, and forgets them
with all that came by them. Everything that is kept, or one gateway's or client's. Tokens that a cluster has seen are good there until
they end, minutes later. A gateway that does not answer is named, and what is kept stays, unless --forget says otherwise.
Your browser stays signed in at the gateway; its page /logout ends that, too.`,
  options: {
    issuer: { ...gatewayOptions.issuer, help: 'of this gateway only' },
    client: { ...gatewayOptions.client, help: 'of this client only' },
    ca: gatewayOptions.ca,
    forget: { help: 'forget what is kept, even where the gateway does not take it back' },
  },
  async run(args, io) {
    if (args.words.length > 0) throw new UsageError('one sign-in serves all targets: logout takes no target')
    const chosen = sessionsIn(folderOf(io)).filter((session) => isMeant(session, args))
    if (chosen.length === 0) io.err('Nobody is signed in.')
    let worst: number = exit.ok
    for (const session of chosen) worst = Math.max(worst, await end(session, args, io))
    return worst
  },
}

function isMeant({ issuer, client }: Session, args: Args): boolean {
  const [only, of] = [args.text('issuer'), args.text('client')]
  return (only === undefined || issuerOf(only) === issuer) && (of === undefined || of === client)
}

async function end(session: Session, args: Args, io: Io): Promise<number> {
  const place = placeOf(io, session)
  const sleep = sleeper(io.stop)
  return await underLock<number>(
    place,
    sleep,
    () => undefined,
    async () => {
      const { refreshToken } = readSession(place) // another process may have got the next one meanwhile
      try {
        const ports = { fetch: await gatewayFetch(said(args, io, 'ca') ?? session.ca) } // throws where that file is gone
        if (refreshToken !== undefined) await revoked(session, refreshToken, ports)
        io.err(`Signed out at ${session.issuer} (${session.client}).`)
      } catch (error) {
        io.err(`lotse logout: ${session.issuer}: ${error instanceof Error ? error.message : String(error)}`)
        if (!args.flag('forget')) return exit.failed
        io.err('Forgotten on this machine only; the gateway lets the sign-in run out.')
      }
      dropSession(place)
      return exit.ok
    },
  )
}
