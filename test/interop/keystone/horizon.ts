import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cached, during } from '../upstreams/cache.ts'
import { output, type Server, startServer } from '../upstreams/server.ts'
import type { World } from './world.ts'

const VERSION = '27.0.0'

/** Its package's own place for settings, which leads to files that each run names. */
const LEAD = `import os
for path in os.environ['LOTSE_HORIZON_SETTINGS'].split(':'):
    with open(path) as settings:
        exec(compile(settings.read(), path, 'exec'))
`

/** Horizon from PyPI, in a folder of its own; the folder. */
export function installHorizon(): Promise<string> {
  return cached(`horizon-${VERSION}-1`, (folder) =>
    during(`Horizon ${VERSION}, fetched by pip`, async () => {
      await output({ command: '/usr/bin/python3', args: ['-m', 'venv', folder] }, 60)
      const python = join(folder, 'bin/python')
      const quiet = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check']
      await output({ command: python, args: [...quiet, `horizon==${VERSION}`] }, 600)
      const where =
        'import importlib.util as u; print(u.find_spec("openstack_dashboard").submodule_search_locations[0])'
      const found = (await output({ command: python, args: ['-c', where] }, 60)).trim()
      await writeFile(join(found, 'local/local_settings.py'), LEAD)
    }),
  )
}

/** What an operator has in his settings beside the printed ones: where its Keystone is, and where sessions are kept. */
const settings = (keystone: string, ca: string, folder: string) => `
DEBUG = True
ALLOWED_HOSTS = ['127.0.0.1']
SECRET_KEY = 'a-secret-of-the-dashboard'
OPENSTACK_KEYSTONE_URL = '${keystone}/v3'
OPENSTACK_SSL_CACERT = '${ca}'
SESSION_ENGINE = 'django.contrib.sessions.backends.file'
SESSION_FILE_PATH = '${folder}'
CACHES = {'default': {'BACKEND': 'django.core.cache.backends.locmem.LocMemCache'}}
# Nobody looks at it: styles are not made.
COMPRESS_ENABLED = False
COMPRESS_OFFLINE = False
COMPRESS_PRECOMPILERS = ()
`

/** Starts the dashboard of a Keystone, with the printed settings. @param port that the configuration names */
export async function startHorizon({ keystone, printed, ca }: World, port: number): Promise<Server> {
  const folder = join(printed, 'horizon-run')
  await mkdir(folder)
  const own = join(folder, 'settings.py')
  await writeFile(own, settings(keystone.url, ca, folder))
  const files = [own, join(printed, 'horizon/local_settings.d/_lotse.py')]
  const address = `127.0.0.1:${port}`
  return await startServer(
    {
      command: join(await installHorizon(), 'bin/python'),
      args: ['-m', 'django', 'runserver', '--noreload', '--insecure', address],
      env: {
        DJANGO_SETTINGS_MODULE: 'openstack_dashboard.settings',
        LOTSE_HORIZON_SETTINGS: files.join(':'),
        PYTHONWARNINGS: 'ignore',
        REQUESTS_CA_BUNDLE: ca,
      },
      cwd: folder,
      url: `http://${address}`,
      ready: '/auth/login/',
    },
    120,
  )
}
