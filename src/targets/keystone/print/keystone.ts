import type { GeneratedFile } from '../../../core/ports.ts'
import { jsonText, osloText, shellWord } from '../../quote.ts'
import { type KeystoneConfig, schemaOf } from '../options.ts'
import { keystoneMapping } from './mapping.ts'
import { comments, made, type Setting } from './setting.ts'

/** What Keystone itself needs, whatever stands in front of it. */
export function keystoneFiles(setting: Setting): readonly GeneratedFile[] {
  const { rules } = keystoneMapping(setting.config, new URL(setting.issuer))
  return [
    // The bare rules: what both `openstack mapping create` and kolla-ansible read.
    { path: 'keystone/mapping.json', content: jsonText(rules) },
    // kolla-ansible writes the file itself, and reads what is added from a place of its own.
    ...(setting.flavour === 'kolla' ? [] : [{ path: 'keystone/keystone.conf.part', content: conf(setting) }]),
    { path: 'keystone/register.sh', content: register(setting) },
  ]
}

/** Minutes for which the groups of a sign-in hold, where the mapping gives them. */
export const GROUPS_LAST = 60

/** Where keystoneauth's v3websso listens. */
export const LISTENER = 'http://localhost:9990/auth/websso/'

/** Why `default_authorization_ttl` is what it is. */
export function whyGroupsLast({ reconcile }: KeystoneConfig): readonly string[] {
  if (reconcile !== undefined)
    return ['Nobody has groups by a sign-in here: the gateway writes memberships and takes them back.']
  return [
    'Minutes for which the groups of the last sign-in hold for application credentials, which 0 would forbid altogether: who lost a',
    'group keeps it for so long. A Keystone into which the gateway writes (reconcile) needs none of this.',
  ]
}

function conf(setting: Setting): string {
  const { config } = setting
  const { protocol, dashboards } = config
  const own = ['openid', 'mapped', 'saml2'].includes(protocol)
    ? ''
    : `# A protocol of another name is read by the same plug-in, and counts as a sign-in of a person.
${protocol} = mapped
additional_primary_auth_methods = ${protocol}
`
  return `${comments(made(setting, 'For keystone.conf, or as a file of its own in /etc/keystone/keystone.conf.d/ (named *.conf).'))}

[auth]
# What you have in methods stays: add ${protocol} to it.
methods = ${[...new Set(['password', 'token', 'application_credential', protocol])].join(',')}
${own}
[${protocol}]
# The environment of Apache, never HTTP_OIDC_ISS: that is a request header, which anybody can send.
remote_id_attribute = OIDC-iss

[federation]
# Keystone reads and logs nothing of a request but what Apache says; take it out where a SAML module serves this Keystone, too.
assertion_prefix = OIDC-
# Where a token may be posted to: dashboards, and the listener of the command line (v3websso).
${[...dashboards, LISTENER].map((origin) => `trusted_dashboard = ${osloText(origin)}`).join('\n')}
${comments(whyGroupsLast(config))}
default_authorization_ttl = ${config.reconcile === undefined ? GROUPS_LAST : 0}
`
}

function register(setting: Setting): string {
  const { config, issuer, domains, choice } = setting
  const idp = shellWord(config.identityProvider)
  const protocol = shellWord(config.protocol)
  const version = schemaOf(config)
  const schema = version === '1.0' ? '' : ` --schema-version ${version}`
  const able = `openstack mapping create --help | grep -- --schema-version >/dev/null || {
  echo "this openstack knows no --schema-version: install a newer python-openstackclient" >&2
  exit 1
}
`
  return `#!/usr/bin/env bash
${comments([...made(setting, 'Makes the gateway known to Keystone. Run it with the rights of a cloud administrator (OS_CLOUD, or openrc).'), 'Run it again after each change: it makes what is missing and sets what is otherwise.'])}
set -euo pipefail
cd "$(dirname "\${BASH_SOURCE[0]}")"
${schema && able}
# Domains in which people live: an unknown one ends a sign-in with 404.
${domains.map((domain) => `openstack domain create --or-show -f value -c name -- ${shellWord(domain)}`).join('\n')}

# One identity provider with one issuer: with none Keystone would believe any.
if openstack identity provider show ${idp} >/dev/null 2>&1; then
  openstack identity provider set --enable --remote-id ${shellWord(issuer)} ${idp}
else
  openstack identity provider create -f value -c id --enable --domain ${shellWord(config.domain)} \\
    --description ${shellWord(choice)} --remote-id ${shellWord(issuer)} ${idp}
fi

if openstack mapping show ${idp} >/dev/null 2>&1; then
  openstack mapping set --rules mapping.json${schema} ${idp}
else
  openstack mapping create -f value -c id --rules mapping.json${schema} ${idp}
fi

mapping_of_protocol() {
  openstack federation protocol show -f value -c mapping --identity-provider ${idp} ${protocol} 2>/dev/null || true
}
case "$(mapping_of_protocol)" in
${idp}) ;;
'') openstack federation protocol create -f value -c id --identity-provider ${idp} --mapping ${idp} ${protocol} ;;
# Never deleted: with a protocol go its people. Old clients end with 1 although it is done.
*) openstack federation protocol set --identity-provider ${idp} --mapping ${idp} ${protocol} || [ "$(mapping_of_protocol)" = ${idp} ] ;;
esac
`
}
