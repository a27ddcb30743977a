import { readFile, rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { createFetcher } from '../fetcher/fetcher.ts'
import { yamlText } from '../targets/quote.ts'
import { type Args, type Command, configOption, exit, type Io, UsageError } from './command.ts'
import { signInAtCluster } from './login-cluster.ts'
import { exchange, type KeystoneSession, type Project, projectsOf, scoped } from './login-keystone.ts'
import { type CloudDoor, doorOf } from './login-settings.ts'
import { gatewayOptions } from './sign-in/cluster.ts'
import { byDevice } from './sign-in/device.ts'
import { type SignInPorts, SignInRefused, sleeper } from './sign-in/gateway.ts'
import { byBrowser } from './sign-in/loopback.ts'
import { printable, tableOf } from './table.ts'

/** The claims of a Keystone come with these two; an address is worth having. */
const SCOPE = 'openid profile email'

/** `lotse login`: for kubectl at every cluster, and for people whose `openstack` can do neither v3websso nor the device flow. */
export const command: Command = loginCommand(sleeper)

/** @param patience how the command waits; tests have their own */
export function loginCommand(patience: (stop: AbortSignal) => SignInPorts['sleep']): Command {
  return {
    usage: '[TARGET] [--browser|--device] [--project NAME] [--clouds] [--out FILE]',
    details: `For a cluster: signs you in at the gateway and keeps that for \`lotse kubectl-credential\`, which kubectl runs. One sign-in serves all
clusters of the client, and nothing is printed. By a browser on this machine, or a code where there is no display.

For a Keystone: signs you in at the gateway, takes a token at the Keystone and prints what makes \`openstack\` use it:
  eval "$(lotse login cloud --project web)"
Without --project it says which projects there are; a single one is taken. Any openstack client works, however old.

Where to: from the configuration file if --config names one, or LOTSE_CONFIG; else from --issuer, --client and (for a Keystone)
--keystone, or LOTSE_ISSUER, LOTSE_CLIENT and LOTSE_KEYSTONE. Options go before variables, variables before the file. For a cluster,
what this machine keeps comes last.
The token goes to standard output or --out alone; it lives as long as Keystone says, and standard error says until when.`,
    options: {
      config: { ...configOption.config, help: 'take what is missing from this configuration of the gateway' },
      issuer: { value: 'URL', help: 'the gateway' },
      client: { value: 'ID', help: 'the public client of the gateway that command lines are' },
      cluster: { help: 'TARGET is a cluster, whatever LOTSE_KEYSTONE says' },
      keystone: { value: 'URL', help: 'the Keystone, as OS_AUTH_URL has it' },
      'identity-provider': { value: 'ID', help: 'the name of the gateway at the Keystone; lotse if absent' },
      protocol: { value: 'ID', help: 'the name of its protocol there; openid if absent' },
      ca: { value: 'FILE', help: 'PEM certificates of a CA of your own; LOTSE_CA or OS_CACERT if absent' },
      project: { value: 'NAME', help: 'the project, by name or id' },
      'project-domain': { value: 'ID', help: 'the id of its domain, where several projects are called so' },
      browser: gatewayOptions.browser,
      device: gatewayOptions.device,
      redirect: gatewayOptions.redirect,
      clouds: { help: 'print a clouds.yaml and not the environment' },
      out: { value: 'FILE', help: 'write into this file, which only you can read' },
    },
    async run(args, io) {
      const door = await doorOf(args, io)
      if (door === undefined) return exit.refused
      try {
        if (door.kind === 'cluster') return await signInAtCluster(door, args, io, patience(io.stop))
        const session = await signedIn(door, args, io, patience(io.stop))
        if (session === undefined) return exit.refused
        await hand(args.flag('clouds') ? cloudsOf(session, door) : environmentOf(session, door), args, io)
        io.err(
          `Signed in ${session.project ? `to project ${printable(session.project.name)} ` : ''}until ${session.expires}.`,
        )
        return exit.ok
      } catch (error) {
        if (!(error instanceof SignInRefused)) throw error
        io.err(`lotse login: ${error.message}`)
        return exit.refused
      }
    },
  }
}

/** A session, for a project where one was named or there is no other; undefined where the name fits none, which was said then. */
async function signedIn(
  door: CloudDoor,
  args: Args,
  io: Io,
  sleep: SignInPorts['sleep'],
): Promise<KeystoneSession | undefined> {
  const ca = door.ca === undefined ? {} : { ca: await readFile(door.ca, 'utf8') }
  const fetch = createFetcher({ reach: 'configured', timeoutMs: 30_000, maxBytes: 4 * 1024 * 1024, ...ca })
  const ports = { fetch, sleep, say: io.err }
  const signIn = args.flag('browser') ? byBrowser : byDevice
  const { accessToken } = await signIn(door, { scope: SCOPE, redirect: door.redirect }, ports)
  const session = await exchange(door, accessToken, fetch)
  const projects = await projectsOf(session, fetch)
  const wanted = args.text('project')
  const domain = args.text('project-domain')
  const fitting = projects.filter(
    ({ id, name, domain: of }) =>
      (wanted === undefined || name === wanted || id === wanted) && (domain === undefined || of === domain),
  )
  const [only, ...more] = fitting
  if (only !== undefined && more.length === 0) return await scoped(session, only, fetch)
  for (const line of choice(projects, fitting, wanted)) io.err(line)
  return wanted === undefined ? session : undefined
}

function choice(
  projects: readonly Project[],
  fitting: readonly Project[],
  wanted: string | undefined,
): readonly string[] {
  const head = ['PROJECT', 'ID', 'DOMAIN']
  const rows = (of: readonly Project[]) =>
    tableOf(
      head,
      of.map(({ name, id, domain }) => [name, id, domain]),
    )
  if (projects.length === 0) return ['You have no project at this Keystone; the token is for none.']
  if (wanted === undefined) return ['Choose one of your projects with --project:', ...rows(projects)]
  if (fitting.length > 1) return [`Several projects are called ${wanted}; say --project-domain:`, ...rows(fitting)]
  return [`You have no project ${wanted}; there are:`, ...rows(projects)]
}

/** Words for a POSIX shell; what an earlier sign-in left behind would contradict them. */
function environmentOf({ api, token, project }: KeystoneSession, { ca }: CloudDoor): string {
  // Somebody else's words, in a terminal perhaps; the id says which project it is.
  const named = (name: string, value: string) => (value === printable(value) ? { [name]: value } : {})
  const set: Readonly<Record<string, string>> = {
    OS_AUTH_TYPE: 'v3token',
    OS_AUTH_URL: api,
    OS_IDENTITY_API_VERSION: '3',
    OS_TOKEN: token,
    ...(project && {
      OS_PROJECT_ID: project.id,
      ...named('OS_PROJECT_NAME', project.name),
      ...named('OS_PROJECT_DOMAIN_NAME', project.domain),
    }),
    ...(ca !== undefined && { OS_CACERT: ca }),
  }
  const left = [
    'OS_CLOUD',
    'OS_USERNAME',
    'OS_PASSWORD',
    'OS_USER_DOMAIN_NAME',
    'OS_USER_DOMAIN_ID',
    'OS_PROJECT_DOMAIN_ID',
  ]
  const gone = [
    ...left,
    ...['OS_PROJECT_ID', 'OS_PROJECT_NAME', 'OS_PROJECT_DOMAIN_NAME'].filter((name) => !(name in set)),
  ]
  return [
    `unset ${gone.join(' ')}`,
    ...Object.entries(set).map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'`),
  ].join('\n')
}

function cloudsOf({ api, token, project }: KeystoneSession, { name, ca }: CloudDoor): string {
  return [
    'clouds:',
    `  ${yamlText(name)}:`,
    '    auth_type: v3token',
    ...(ca === undefined ? [] : [`    cacert: ${yamlText(ca)}`]),
    '    identity_api_version: 3',
    '    auth:',
    `      auth_url: ${yamlText(api)}`,
    `      token: ${yamlText(token)}`,
    ...(project === undefined ? [] : [`      project_id: ${yamlText(project.id)}`]),
  ].join('\n')
}

async function hand(text: string, args: Args, io: Io): Promise<void> {
  const out = args.text('out')
  if (out === undefined) {
    if (io.columns !== undefined && !args.flag('clouds'))
      io.err('Run it as  eval "$(lotse login …)"  and the token is not shown.')
    return io.out(text)
  }
  if (out === '') throw new UsageError('--out names a file')
  const file = resolve(io.cwd, out)
  // An older file may be readable for others: the mode counts only where a file is made.
  await rm(file, { force: true })
  await writeFile(file, `${text}\n`, { mode: 0o600, flag: 'wx' })
}
