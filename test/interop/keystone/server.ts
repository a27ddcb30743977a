import { chmod, copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { freePort } from '../../support/gateway.ts'
import { output, startServer } from '../upstreams/server.ts'
import type { Kind } from './install.ts'

/** What a Keystone is set up with. */
export interface Setup {
  readonly kind: Kind
  readonly port: number
  /** PEM texts: of its Apache, and the authority that it and everything else here trusts beside the system's. */
  readonly tls: { readonly key: string; readonly cert: string }
  readonly printed: Printed | ((place: Place) => Promise<Printed>)
}

/** What is known of a Keystone before it starts. */
export interface Place {
  readonly kind: Kind
  /** `https://127.0.0.1:PORT`, without `/v3`. */
  readonly url: string
  /** Its own; readable by Apache. */
  readonly folder: string
  /** Where uwsgi listens beside its socket, where `site` is kolla-ansible's. */
  readonly wsgiPort: number
}

/** Paths of files that `lotse print` wrote; Apache and Keystone read nothing else about the gateway. */
export interface Printed {
  /** Read inside the virtual host, before the lines that hand requests on. */
  readonly apache: readonly string[]
  /** Read after the plain configuration of Keystone. */
  readonly keystone: string
  /** Read in place of the whole virtual host. */
  readonly site?: string
}

export interface Keystone extends Place {
  /** Starts it anew on the same database, with other files. */
  restart(files: Printed): Promise<void>
  /** Ends it and leaves everything as it is, for `restart`. */
  halt(): Promise<void>
  /** The end of what Apache and Keystone wrote down. */
  log(): Promise<string>
  stop(): Promise<void>
}

/** Seconds; a machine with other work needs more than the five that it takes alone. */
const PATIENCE = 150

/** Debian's user for web servers, who has nothing. */
const USER = 'www-data'

/** A Keystone of its own behind an Apache of its own, with nobody in it but the administrator. @throws where it does not come up, with what it wrote down */
export async function startKeystone(setup: Setup): Promise<Keystone> {
  const { kind, port, printed } = setup
  const folder = await mkdtemp(join(tmpdir(), `lotse-keystone-${kind.name}-`))
  const url = `https://127.0.0.1:${port}`
  const place: Place = { kind, url, folder, wsgiPort: await freePort() }
  const run = async (files: Printed) => {
    await writeFile(join(folder, 'federation.conf'), await readFile(files.keystone))
    await writeFile(join(folder, 'httpd.conf'), httpdConf(folder, kind, { port, printed: files }))
    const program = { command: 'unshare', args: ['--mount', 'sh', '-euc', starter(place, files)] }
    return await startServer({ ...program, url, ready: '/v3' }, PATIENCE).catch(async (error: unknown) => {
      throw new Error(`${kind.label} did not start:\n${await logs(folder)}`, { cause: error })
    })
  }
  const clear = () => rm(folder, { recursive: true, force: true })
  try {
    await furnish(folder, setup)
    let server = await run(typeof printed === 'function' ? await printed(place) : printed)
    return {
      ...place,
      async restart(files) {
        await server.stop()
        server = await run(files)
      },
      halt: () => server.stop(),
      log: () => logs(folder),
      async stop() {
        await server.stop()
        await clear()
      },
    }
  } catch (error) {
    await clear()
    throw error
  }
}

async function furnish(folder: string, { kind, port, tls }: Setup) {
  const conf = join(folder, 'keystone.conf')
  const files: Readonly<Record<string, string>> = {
    'keystone.conf': keystoneConf(folder, port),
    'keystone.wsgi': wsgi([conf, join(folder, 'federation.conf')]),
    'tls.key': tls.key,
    'tls.crt': tls.cert,
    'sso.html': await readFile(join(kind.venv, 'etc/keystone/sso_callback_template.html'), 'utf8'),
    'ca.pem': `${await readFile('/etc/ssl/certs/ca-certificates.crt', 'utf8')}\n${tls.cert}`,
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  for (const name of ['log', 'policy.d']) await mkdir(join(folder, name))
  for (const name of ['fernet-keys', 'credential-keys'])
    await cp(join(kind.ground, name), join(folder, name), { recursive: true })
  await copyFile(join(kind.ground, 'keystone.db'), join(folder, 'keystone.db'))
  const database = new DatabaseSync(join(folder, 'keystone.db'))
  // Without it a reader that was not closed blocks each commit: "database is locked".
  database.exec('PRAGMA journal_mode=WAL')
  database.prepare('UPDATE endpoint SET url = ?').run(`https://127.0.0.1:${port}/v3/`)
  database.close()
  await output({ command: 'chown', args: ['-R', `${USER}:${USER}`, folder] }, 20)
  await chmod(folder, 0o755)
}

/**
 * One shell, so that one signal to its group ends all. In a mount namespace of its own, where the system trusts the authority of
 * the test, as an operator's machine trusts his: mod_oauth2 knows no other way.
 */
function starter({ folder, kind: { front, venv }, wsgiPort }: Place, { site }: Printed): string {
  const port = site === undefined ? [] : ['--socket', `127.0.0.1:${wsgiPort}`]
  const socket = ['--socket', `${folder}/uwsgi.sock`, ...port, '--chmod-socket=666', '--buffer-size', '65535']
  const workers = ['--master', '--processes', '2', '--threads', '1', '--die-on-term']
  const code = ['--virtualenv', venv, '--wsgi-file', `${folder}/keystone.wsgi`]
  const uwsgi = ['uwsgi-core', '--plugin', 'python3', ...socket, ...workers, ...code].join(' ')
  return [
    `mount --bind ${folder}/ca.pem /etc/ssl/certs/ca-certificates.crt`,
    ...(front === 'uwsgi' ? [`${uwsgi} >${folder}/log/uwsgi.log 2>&1 &`] : []),
    `exec apache2 -DFOREGROUND -f ${folder}/httpd.conf`,
  ].join('\n')
}

async function logs(folder: string): Promise<string> {
  const names = ['error.log', 'keystone.log', 'uwsgi.log']
  const texts = await Promise.all(names.map((name) => readFile(join(folder, 'log', name), 'utf8').catch(() => '')))
  return texts.map((text, at) => (text === '' ? '' : `--- ${names[at]}\n${ends(text)}\n`)).join('')
}

/** The first error says why, the last what became of it. */
const ends = (text: string) => (text.length < 6000 ? text : `${text.slice(0, 3000)}\n…\n${text.slice(-3000)}`)

const wsgi = (files: readonly string[]) => `import os, sys
sys.argv = ['keystone-wsgi-public']
os.environ['OS_KEYSTONE_CONFIG_FILES'] = '${files.join(';')}'
from keystone.server.wsgi import initialize_public_application
application = initialize_public_application()
`

/** As an installation without federation has it. */
const keystoneConf = (folder: string, port: number) => `[DEFAULT]
log_file = ${folder}/log/keystone.log
public_endpoint = https://127.0.0.1:${port}
[database]
connection = sqlite:///${folder}/keystone.db
sqlite_synchronous = false
[token]
provider = fernet
[fernet_tokens]
key_repository = ${folder}/fernet-keys
[fernet_receipts]
key_repository = ${folder}/fernet-keys
[credential]
key_repository = ${folder}/credential-keys
[federation]
sso_callback_template = ${folder}/sso.html
[oslo_policy]
policy_dirs = ${folder}/policy.d
`

const modules = [
  ...['mpm_event', 'authz_core', 'authz_user', 'authn_core', 'env', 'headers', 'setenvif', 'socache_shmcb', 'ssl'],
  'auth_openidc',
]

function httpdConf(
  folder: string,
  kind: Kind,
  { port, printed }: { readonly port: number; readonly printed: Printed },
): string {
  const load = (name: string) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`
  const [more, on] = fronts[kind.front](folder)
  // kolla-ansible's image has no mod_oauth2, which would take its AuthType auth-openidc for its own.
  const bearer = printed.site === undefined ? ['oauth2'] : []
  return `ServerRoot "${folder}"
ServerName 127.0.0.1
PidFile "${folder}/httpd.pid"
User ${USER}
Group ${USER}
ErrorLog "${folder}/log/error.log"
LogLevel warn
LogFormat "%t \\"%r\\" %>s %b %D" short
${[...modules, ...bearer, ...more].map(load).join('\n')}
StartServers 1
ServerLimit 2
ThreadsPerChild 16
MaxRequestWorkers 32
${printed.site === undefined ? site(folder, { port, apache: printed.apache, on }) : `Include "${printed.site}"`}
`
}

const site = (
  folder: string,
  { port, apache, on }: { readonly port: number; readonly apache: readonly string[]; readonly on: string },
) => `Listen 127.0.0.1:${port}
<VirtualHost 127.0.0.1:${port}>
  CustomLog "${folder}/log/access.log" short
  SSLEngine on
  SSLCertificateFile "${folder}/tls.crt"
  SSLCertificateKeyFile "${folder}/tls.key"
${apache.map((path) => `  Include "${path}"`).join('\n')}
${on}
</VirtualHost>`

/** Further modules, and the lines that hand requests on. */
const fronts: Readonly<Record<Kind['front'], (folder: string) => readonly [readonly string[], string]>> = {
  wsgi: (folder) => [
    ['wsgi'],
    `  WSGIDaemonProcess keystone-${folder.split('-').at(-1)} processes=2 threads=1 user=${USER} group=${USER}
  WSGIProcessGroup keystone-${folder.split('-').at(-1)}
  WSGIApplicationGroup %{GLOBAL}
  WSGIPassAuthorization On
  WSGIScriptAlias / ${folder}/keystone.wsgi
  <Directory ${folder}>
    Require all granted
  </Directory>`,
  ],
  uwsgi: (folder) => [
    ['proxy', 'proxy_uwsgi'],
    `  ProxyPass /redirect_uri !
  ProxyPass / unix:${folder}/uwsgi.sock|uwsgi://keystone/`,
  ],
}
