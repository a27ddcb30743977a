import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cached, during } from '../upstreams/cache.ts'
import { output } from '../upstreams/server.ts'
import type { Cloud } from './cloud.ts'
import type { Place, Printed } from './server.ts'

const VERSION = '22.2.0'

/** What kolla-ansible's role for Keystone makes. */
interface Rendered {
  readonly httpd: string
  readonly keystone: string
  readonly metadata: Readonly<Record<string, string>>
  readonly providers: readonly Readonly<Record<string, string>>[]
  readonly mappings: readonly { readonly name: string; readonly file: string }[]
}

/** The package of kolla-ansible, unpacked; the folder. @param venv has the pip that fetches it */
export function installKolla(venv: string): Promise<string> {
  const python = join(venv, 'bin/python')
  return cached(`kolla-ansible-${VERSION}`, (folder) =>
    during(`kolla-ansible ${VERSION}, fetched by pip`, async () => {
      const quiet = ['--quiet', '--no-input', '--disable-pip-version-check', '--no-deps', '--dest', folder]
      await output({ command: python, args: ['-m', 'pip', 'download', ...quiet, `kolla-ansible==${VERSION}`] }, 120)
      const [wheel = ''] = (await readdir(folder)).filter((name) => name.endsWith('.whl'))
      await output({ command: python, args: ['-m', 'zipfile', '-e', join(folder, wheel), folder] }, 60)
    }),
  )
}

/** Its templates, filled with the printed globals and what a deployment is asked for by everybody. */
async function render({ kind, url, wsgiPort }: Pick<Place, 'kind' | 'url' | 'wsgiPort'>, printed: string) {
  const python = join(kind.venv, 'bin/python')
  const folder = await installKolla(kind.venv)
  const ansible = join(folder, `kolla_ansible-${VERSION}.data/data/share/kolla-ansible/ansible`)
  const facts = {
    enable_keystone_federation: true,
    keystone_enable_federation_openid: true,
    kolla_base_distro: 'debian',
    keystone_enable_tls_backend: true,
    kolla_enable_tls_external: true,
    api_interface_address: '127.0.0.1',
    keystone_public_listen_port: new URL(url).port,
    keystone_public_url: url,
    keystone_wsgi_socket_port: String(wsgiPort),
    keystone_federation_openid_crypto_password: 'a-password-of-kolla-genpwd',
    keystone_federation_openid_certificate_key_ids: [],
    enable_memcached: false,
    node_custom_config: join(printed, 'kolla/config'),
    horizon_trusted_dashboards: [],
    skyline_trusted_dashboards: [],
  }
  const args = [
    join(import.meta.dirname, 'kolla.py'),
    ansible,
    join(printed, 'kolla/globals-lotse.yml'),
    JSON.stringify(facts),
  ]
  return JSON.parse(await output({ command: python, args }, 60)) as Rendered
}

/** Apache and Keystone as kolla-ansible's containers have them, whose paths lie in the place's own folder here. */
export async function dressAsKolla(place: Place, printed: string): Promise<Printed> {
  const { folder } = place
  const { httpd, keystone, metadata } = await render(place, printed)
  const inside: Readonly<Record<string, string>> = {
    '/var/log/kolla/keystone': `${folder}/log`,
    '/etc/keystone/certs/keystone-cert.pem': `${folder}/tls.crt`,
    '/etc/keystone/certs/keystone-key.pem': `${folder}/tls.key`,
    '/etc/keystone/sso_callback_template.html': `${folder}/sso.html`,
    '/etc/apache2/metadata': `${folder}/metadata`,
  }
  const mounted = (text: string) => Object.entries(inside).reduce((so, [from, to]) => so.replaceAll(from, to), text)
  await mkdir(join(folder, 'metadata'), { recursive: true })
  for (const [name, text] of Object.entries(metadata)) await writeFile(join(folder, 'metadata', name), text)
  const [site, conf] = [join(folder, 'kolla.conf'), join(folder, 'kolla-keystone.conf')]
  await writeFile(site, mounted(httpd))
  // kolla-ansible merges what the operator adds into its own.
  await writeFile(conf, `${mounted(keystone)}\n${await readFile(join(printed, 'kolla/config/keystone.conf'), 'utf8')}`)
  return { apache: [], keystone: conf, site }
}

/** What the role registers, in its order: domain, mapping (without a version), identity provider, protocol. */
export async function registerAsKolla(cloud: Cloud, place: Place, printed: string): Promise<void> {
  const { providers, mappings } = await render(place, printed)
  for (const { openstack_domain: name } of providers) await cloud.must('POST', '/domains', { domain: { name } })
  for (const { name, file } of mappings) {
    const rules = JSON.parse(await readFile(file, 'utf8'))
    await cloud.must('PUT', `/OS-FEDERATION/mappings/${name}`, { mapping: { rules } })
  }
  for (const { name, identifier, openstack_domain = '', public_name, protocol, attribute_mapping } of providers) {
    const domain_id = await cloud.domain(openstack_domain)
    const idp = { domain_id, remote_ids: [identifier], description: public_name, enabled: true }
    const path = `/OS-FEDERATION/identity_providers/${name}`
    await cloud.must('PUT', path, { identity_provider: idp })
    await cloud.must('PUT', `${path}/protocols/${protocol}`, { protocol: { mapping_id: attribute_mapping } })
  }
}
