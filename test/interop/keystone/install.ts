import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { installPackages } from '../group.ts'
import { cached, during } from '../upstreams/cache.ts'
import { output } from '../upstreams/server.ts'

/** A Keystone as people install it. */
export interface Kind {
  readonly name: 'debian' | 'newest'
  readonly label: string
  /** `22.0.2`. */
  readonly version: string
  /** With which its code runs. */
  readonly python: string
  /** How Apache reaches it: in a process of its own, or as kolla-ansible has it. */
  readonly front: 'wsgi' | 'uwsgi'
  /** The newest mapping that it takes. */
  readonly schema: '1.0' | '3.0'
  /** Its database after `db_sync` and `bootstrap`, and its keys: what each run begins with. */
  readonly ground: string
  /** Where its own sign-on page, `openstack` and the rest of the packages are. */
  readonly venv: string
}

/** The password of the administrator that `bootstrap` makes. */
export const ADMIN_PASSWORD = 'a-password-of-the-cloud-admin'

const KEYSTONE = '30.0.0'
const pinned = [
  'keystoneauth1==5.18.1',
  'python-openstackclient==10.5.0',
  'keystonemiddleware==13.0.1',
  'jinja2==3.1.6',
]

/** Debian's Keystone, the Apache modules that people put before one, and what runs the newest. No package that starts a server. */
export const packages: Readonly<Record<string, string>> = {
  apache2: 'apache2-bin',
  'keystone-manage': 'python3-keystone',
  openstack: 'python3-openstackclient',
  'uwsgi-core': 'uwsgi-core',
  '/usr/lib/uwsgi/plugins/python3_plugin.so': 'uwsgi-plugin-python3',
  '/usr/lib/apache2/modules/mod_wsgi.so': 'libapache2-mod-wsgi-py3',
  '/usr/lib/apache2/modules/mod_auth_openidc.so': 'libapache2-mod-auth-openidc',
  '/usr/lib/apache2/modules/mod_oauth2.so': 'libapache2-mod-oauth2',
  '/var/lib/dpkg/info/python3-venv.list': 'python3-venv',
  chromium: 'chromium',
}

/** Both Keystones, ready to be started; what was fetched and made once is taken again. */
export async function installKeystones(): Promise<readonly Kind[]> {
  await installPackages(packages)
  const venv = await installNewest()
  const version = (await output({ command: 'dpkg-query', args: ['-Wf', `$\{Version}`, 'python3-keystone'] }, 20)).trim()
  const release = version.replace(/^\d+:|-.*$/g, '')
  const debian = { python: '/usr/bin/python3', venv }
  const newest = { python: join(venv, 'bin/python'), venv }
  return [
    {
      ...debian,
      name: 'debian',
      label: `Keystone ${release} (Debian)`,
      version: release,
      front: 'wsgi',
      schema: '1.0',
      ground: await makeGround(`keystone-ground-${version.replace(/[^\w.-]/g, '_')}`, debian.python),
    },
    {
      ...newest,
      name: 'newest',
      label: `Keystone ${KEYSTONE} (PyPI)`,
      version: KEYSTONE,
      front: 'uwsgi',
      schema: '3.0',
      ground: await makeGround(`keystone-ground-${KEYSTONE}`, newest.python),
    },
  ]
}

/** Made by Debian's Python, which mod_wsgi and uwsgi embed. It is called by `bin/python -m`: pip's scripts name the folder in which it was made. */
function installNewest(): Promise<string> {
  return cached(`keystone-${KEYSTONE}-1`, (folder) =>
    during(`Keystone ${KEYSTONE}, fetched by pip`, async () => {
      await output({ command: '/usr/bin/python3', args: ['-m', 'venv', folder] }, 60)
      const quiet = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check']
      await output({ command: join(folder, 'bin/python'), args: [...quiet, `keystone==${KEYSTONE}`, ...pinned] }, 600)
      const openstack = join(folder, 'bin/openstack')
      await writeFile(openstack, '#!/bin/sh\nexec "$(dirname "$0")/python" -m openstackclient.shell "$@"\n')
      await chmod(openstack, 0o755)
    }),
  )
}

/** Runs `keystone-manage` on a configuration. */
export const manage = (python: string, config: string, args: readonly string[]) =>
  output(
    {
      command: python,
      args: ['-c', 'from keystone.cmd.manage import main; main()', '--config-file', config, ...args],
    },
    180,
  )

function makeGround(name: string, python: string): Promise<string> {
  return cached(name, (folder) =>
    during(`${name}: database and keys`, async () => {
      const config = join(folder, 'ground.conf')
      await writeFile(config, groundConf(folder))
      await Promise.all(['fernet-keys', 'credential-keys'].map((path) => mkdir(join(folder, path))))
      await manage(python, config, ['db_sync'])
      const who = ['--keystone-user', 'root', '--keystone-group', 'root']
      await manage(python, config, ['fernet_setup', ...who])
      await manage(python, config, ['credential_setup', ...who])
      // The address is that of each run: the server writes it into the copy.
      const urls = ['admin', 'internal', 'public'].flatMap((one) => [`--bootstrap-${one}-url`, 'http://ground/v3/'])
      const admin = ['--bootstrap-password', ADMIN_PASSWORD, '--bootstrap-region-id', 'RegionOne']
      await manage(python, config, ['bootstrap', ...admin, ...urls])
    }),
  )
}

const groundConf = (folder: string) => `[database]
connection = sqlite:///${folder}/keystone.db
[fernet_tokens]
key_repository = ${folder}/fernet-keys
[credential]
key_repository = ${folder}/credential-keys
`
