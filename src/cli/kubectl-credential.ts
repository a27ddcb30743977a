import { shellWord } from '../targets/quote.ts'
import { type Args, type Command, exit, type Io, UsageError } from './command.ts'
import {
  type ClusterDoor,
  clusterDoor,
  gatewayFetch,
  gatewayOptions,
  placeOf,
  said,
  signInAt,
} from './sign-in/cluster.ts'
import { asObject, type Json, type SignInPorts, SignInRefused, sleeper } from './sign-in/gateway.ts'
import { noteGiven, refusals } from './sign-in/given.ts'
import type { Held } from './sign-in/session.ts'
import { heldToken, tokenFor } from './sign-in/token.ts'
import { instant, printable } from './table.ts'

/** `lotse kubectl-credential`: what kubectl runs before it asks a cluster. @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins */
export const command: Command = credentialCommand(sleeper)

/** @param patience how the command waits; tests have their own */
export function credentialCommand(patience: (stop: AbortSignal) => SignInPorts['sleep']): Command {
  return {
    usage: '[--target ID] --issuer URL --client ID',
    details: `For the \`exec\` of a user in a kubeconfig, with apiVersion client.authentication.k8s.io/v1. Prints the token that is kept for the
cluster while it is good, else a refreshed one. Where nobody is signed in it signs in, once, if kubectl says that somebody is there
(interactiveMode IfAvailable), and says what to do otherwise. A refusal stands for half a minute, without asking again.
One sign-in serves all clusters of the client. Which cluster: --target, or with provideClusterInfo the \`target\` (or \`audience\`) in the
cluster's extension client.authentication.k8s.io/exec.`,
    options: {
      target: { value: 'ID', help: 'the target at the gateway that the cluster is; LOTSE_TARGET if absent' },
      ...gatewayOptions,
    },
    async run(args, io) {
      const info = execInfo(io.env['KUBERNETES_EXEC_INFO'])
      const door = doorOf(args, io, info)
      try {
        io.out(credential(info, await given({ door, info, args, io, sleep: patience(io.stop) })))
        return exit.ok
      } catch (error) {
        if (!(error instanceof SignInRefused)) throw error
        io.err(`lotse: ${error.message}`)
        io.err(`lotse: to sign in: ${loginFor(door, io)}`)
        return exit.refused
      }
    },
  }
}

/** The line that signs in, as it is pasted. */
function loginFor({ target, issuer, client, ca }: ClusterDoor, io: Io): string {
  const words = [
    'lotse',
    'login',
    target,
    '--issuer',
    issuer,
    '--client',
    client,
    ...(ca === undefined ? [] : ['--ca', ca]),
  ]
  // A folder may have a blank in its name, and the kubeconfig is perhaps somebody else's.
  return printable([...words, ...(io.env['LOTSE_KEYSTONE'] ? ['--cluster'] : [])].map(shellWord).join(' '))
}

/** One run of the plugin. */
interface Run {
  readonly door: ClusterDoor
  readonly info: ExecInfo
  readonly args: Args
  readonly io: Io
  readonly sleep: SignInPorts['sleep']
}

/** What is kept, or what is fetched; and where this kubectl comes back with what it was given a moment ago, another. */
async function given(run: Run): Promise<Held> {
  const { door, info, io } = run
  const place = placeOf(io, door)
  const kept = heldToken(place, door, io.now())
  // By hand or in a script the same shell may ask as often as it likes.
  if (!info.byKubectl || io.parent === undefined) return kept ?? (await fetched(run))
  const by = { parent: io.parent, now: io.now() }
  const refused = kept === undefined ? 'none' : refusals(place, door.resource, kept, by)
  const held = kept === undefined ? await fetched(run) : await unlessRefused(kept, refused, run)
  noteGiven(place, door.resource, held, { ...by, again: refused !== 'none' })
  return held
}

async function unlessRefused(kept: Held, refused: ReturnType<typeof refusals>, run: Run): Promise<Held> {
  if (refused === 'twice')
    run.io.err(`lotse: ${printable(run.door.target)} refuses every token that it is shown; its operators can see why`)
  return refused === 'once' ? await fetched(run, kept).catch((error: unknown) => orKept(kept, error)) : kept
}

async function fetched({ door, info, args, io, sleep }: Run, not?: Held): Promise<Held> {
  const ports = { fetch: await gatewayFetch(door.ca), sleep, say: io.err, now: io.now }
  const signIn = info.interactive ? () => signInAt(door, args, io, ports) : undefined
  return await tokenFor(placeOf(io, door), { resource: door.resource, ...(not && { not }) }, ports, signIn)
}

/** A gateway that is down is no reason to give nothing: it may be good after all. */
function orKept(kept: Held, error: unknown): Held {
  if (error instanceof SignInRefused) throw error
  return kept
}

/** What kubectl says. */
interface ExecInfo {
  /** It was kubectl, or another program with its library, that asked. */
  readonly byKubectl: boolean
  readonly apiVersion: string
  /** Somebody is at the terminal. */
  readonly interactive: boolean
  /** What the cluster's extension in the kubeconfig says. */
  readonly cluster: Json
}

const VERSIONS = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1']

/** @throws {UsageError} where it is for another program, or in another version */
function execInfo(text: string | undefined): ExecInfo {
  // Run by hand: nobody is asked to sign in by what looks like a test.
  if (!text) return { byKubectl: false, apiVersion: VERSIONS[0]!, interactive: false, cluster: {} }
  const object = parsed(text)
  const { interactive, cluster } = asObject(object['spec'])
  const apiVersion = String(object['apiVersion'])
  if (!VERSIONS.includes(apiVersion))
    throw new UsageError(`the kubeconfig asks for ${apiVersion}; write apiVersion: ${VERSIONS[0]}`)
  return {
    byKubectl: true,
    apiVersion,
    interactive: interactive === true,
    cluster: asObject(asObject(cluster)['config']),
  }
}

function parsed(text: string): Json {
  try {
    return asObject(JSON.parse(text))
  } catch (cause) {
    throw new UsageError('KUBERNETES_EXEC_INFO is no JSON', { cause })
  }
}

function doorOf(args: Args, io: Io, { cluster }: ExecInfo): ClusterDoor {
  if (args.words.length > 0) throw new UsageError('name the cluster by --target')
  const target = said(args, io, 'target') ?? cluster['target'] ?? cluster['audience']
  if (typeof target !== 'string' || target === '')
    throw new UsageError(
      'no cluster is named: give --target, or provideClusterInfo and a target in the cluster’s extension',
    )
  return clusterDoor(target, {}, args, io)
}

/** The token stands here, and in the cache of its owner, and nowhere else. */
const credential = ({ apiVersion }: ExecInfo, { token, until }: Held): string =>
  JSON.stringify({ apiVersion, kind: 'ExecCredential', status: { token, expirationTimestamp: instant(until) } })
