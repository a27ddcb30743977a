import type { GeneratedFile } from '../../../core/ports.ts'
import { schemaOf } from '../options.ts'
import { made, type Setting } from './setting.ts'

/** What to do with which of these files, in which order. */
export function readme(setting: Setting, files: readonly GeneratedFile[]): GeneratedFile {
  const steps = [...(setting.flavour === 'kolla' ? kolla(setting) : apache(setting)), ...after(setting)]
  const secrets = files.filter(({ secret }) => secret).map(({ path }) => `\`${path}\``)
  const text = `# Keystone ${setting.config.id} and the gateway ${setting.issuer}

${made(setting, `How ${setting.api} signs people in by the gateway; flavour \`${setting.flavour}\`.`).join('\n')}

${steps.map((step, index) => `${index + 1}. ${step}`).join('\n')}
${secrets.length === 0 ? '' : `\nSecrets are in ${secrets.join(' and ')}; ${secrets.length === 1 ? 'it is' : 'they are'} written for their owner alone (0600).\n`}
Printed again after a change of the gateway's configuration, only what changed is different: keep this folder in version control, without
the files that hold secrets. \`lotse check --live ${setting.config.id}\` asks the running Keystone from outside whether it is set up like this.
`
  return { path: 'README.md', content: text }
}

const version = ({ config }: Setting): string => {
  const schema = schemaOf(config)
  if (schema === '1.0') return 'The mapping has schema 1.0, for any Keystone.'
  return `The mapping has schema ${schema}, for Keystone ${schema === '2.0' ? '25.0.0 (2024.1)' : '29.0.0 (2026.1)'} or newer.`
}

function apache(setting: Setting): readonly string[] {
  const { flavour, redirect, config } = setting
  const modules = flavour === 'mod_oauth2' ? 'mod_auth_openidc and mod_oauth2' : 'mod_auth_openidc (2.4.12 or newer)'
  return [
    `Apache with ${modules} hands requests to Keystone by mod_wsgi or
   mod_proxy_uwsgi, **never by mod_proxy_http**: over HTTP claims would be headers, and anybody could send them.`,
    `Copy \`apache/*.conf\` to \`/etc/apache2/lotse/\` on each host, and write into the virtual host of Keystone, before the line that
   hands requests on: \`Include /etc/apache2/lotse/*.conf\`. Where TLS ends before Apache, the virtual host says
   \`ServerName ${new URL(redirect).origin}\`. Several hosts need sessions of one browser at one host, or a shared OIDCCacheType.`,
    `Add \`keystone/keystone.conf.part\` to \`keystone.conf\`, keeping your own \`[auth] methods\` in the list. Restart Keystone and Apache.`,
    `Run \`keystone/register.sh\` as cloud administrator, or the tasks in \`ansible/keystone-federation.yml\`. ${version(setting)}`,
    ...(config.dashboards.length === 0
      ? [`No dashboard is named: add \`dashboards: [https://…/auth/websso/]\` to the target for Horizon.`]
      : ['Horizon: `horizon/local_settings.d/_lotse.py` into `openstack_dashboard/local/local_settings.d/`.']),
  ]
}

function kolla(setting: Setting): readonly string[] {
  return [
    `Made for kolla-ansible 22.2.0 (2026.1), whose Keystone is reached by mod_proxy_uwsgi. \`kolla/globals-lotse.yml\` goes to
   \`/etc/kolla/globals.d/\`, \`kolla/config/\` over \`/etc/kolla/config/\` (\`node_custom_config\`).`,
    `\`keystone_public_url\` has to be \`${setting.publicUrl}\`. With a certificate authority of your own:
   \`kolla_copy_ca_into_containers: "yes"\`, and \`OIDCCABundlePath\` among the additional options.`,
    `\`kolla-ansible reconfigure --tags keystone,horizon\`: it writes Apache's configuration, registers identity provider, mapping and
   protocol, and tells Horizon. ${version(setting)} Where the mapping was there before with another version, run \`keystone/register.sh\`.`,
    `\`keystone_federation_oidc_response_type: id_token\` is the implicit flow of stock kolla-ansible: the gateway gives ID tokens for it by
   form_post only, and access tokens never.`,
  ]
}

function after({ config }: Setting): readonly string[] {
  const { reconcile } = config
  const given =
    reconcile === undefined
      ? 'Groups that rules name have to exist, with roles in projects: Keystone passes over those that do not.'
      : `\`keystone/reconciler.sh\` makes the account by which the gateway writes users, groups and roles; the mapping says who somebody is
   and nothing more.`
  return [
    given,
    '`cli/clouds.yaml` is for people: `openstack --os-cloud NAME …`; the first entry opens the browser.',
    `Keystone warns "Ignoring user" at each sign-in of somebody with an e-mail address: two rules fit then, and the first counts. That is
   how people without an address get in, and harmless.`,
  ]
}
