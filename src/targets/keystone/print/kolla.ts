import type { GeneratedFile } from '../../../core/ports.ts'
import { ansibleText, jsonText } from '../../quote.ts'
import { schemaOf } from '../options.ts'
import { sessions } from './apache.ts'
import { GROUPS_LAST, LISTENER, whyGroupsLast } from './keystone.ts'
import { keystoneMapping } from './mapping.ts'
import { comments, made, type Setting } from './setting.ts'

/** Where kolla-ansible looks for what the operator adds; the folder `kolla/config` is copied there. */
const FOLDER = '{{ node_custom_config }}/keystone/federation/lotse'

/**
 * What kolla-ansible's own role reads: globals, the metadata folder of mod_auth_openidc, the attribute mapping, and a part of keystone.conf.
 * @see ansible/roles/keystone of kolla-ansible 22.2.0: templates/httpd-keystone.conf.j2, tasks/config-federation-oidc.yml
 */
export function kollaFiles(setting: Setting): readonly GeneratedFile[] {
  const { rules } = keystoneMapping(setting.config, new URL(setting.issuer))
  const folder = 'kolla/config/keystone/federation/lotse'
  const metadata = `${folder}/metadata/${encodeURIComponent(new URL(setting.issuer).host)}`
  const { secret } = setting.apache ?? {}
  const client = { client_id: setting.audience, ...(secret === undefined ? {} : { client_secret: secret }) }
  return [
    { path: 'kolla/globals-lotse.yml', content: globals(setting) },
    { path: 'kolla/config/keystone.conf', content: keystoneConf(setting) },
    { path: `${folder}/mapping.json`, content: jsonText(rules) },
    { path: `${metadata}.provider`, content: templated(provider(setting)) },
    { path: `${metadata}.conf`, content: templated(conf(setting)) },
    { path: `${metadata}.client`, content: templated(client), secret: true },
  ]
}

/** These files are templates to Ansible: braces in a text are written so that it sees none. */
const templated = (value: Readonly<Record<string, unknown>>): string =>
  jsonText(value).replace(/"(?:[^"\\]|\\.)*"/g, (text) => text.replaceAll('{', '\\u007b'))

function provider({ issuer }: Setting) {
  return {
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    end_session_endpoint: `${issuer}/logout`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code', 'id_token'],
    response_modes_supported: ['query', 'form_post'],
    backchannel_logout_supported: true,
    backchannel_logout_session_supported: true,
  }
}

function conf({ apache }: Setting) {
  return {
    response_type: 'id_token',
    // In a fragment an ID token would end in histories and scripts.
    response_mode: 'form_post',
    id_token_signed_response_alg: apache?.idTokenAlg ?? 'ES256',
    jwks_refresh_interval: sessions.keys,
    session_max_duration: sessions.longest,
  }
}

/** Directives that the role writes as they are, with the reason of each. */
const options: readonly (readonly [name: string, value: string, why: string])[] = [
  ['OIDCPassClaimsAs', 'environment', 'what Keystone reads are variables that no request header can pass for'],
  ['OIDCOAuthRemoteUserClaim', 'sub', 'the same person by every way'],
  ['OIDCSessionInactivityTimeout', `${sessions.idle}`, "Apache's own session lets people in without asking: seconds"],
  ['OIDCStateTimeout', `${sessions.state}`, 'a sign-in may take so many seconds'],
  ['OIDCStateMaxNumberOfCookies', '7 true', 'sign-ins that are under way in one browser'],
  ['OIDCCacheShmEntrySizeMax', '40960', 'the longest session, where memcached is not used'],
  ['OIDCCacheShmMax', '3000', '120 MB of them'],
  ['OIDCHTTPTimeoutLong', '10', 'a gateway that does not answer holds no worker for a minute'],
  ['LimitRequestFieldSize', '16384', "a bearer token with its groups may be longer than Apache's 8190"],
]

function globals(setting: Setting): string {
  const { config, issuer, jwks, choice, redirect } = setting
  const { identityProvider, protocol, domain, dashboards } = config
  const further = [...dashboards, LISTENER].map((each) => ansibleText(each)).join(', ')
  const head = [
    ...made(
      setting,
      'For kolla-ansible: copy it to /etc/kolla/globals.d/, and the folder kolla/config over /etc/kolla/config/.',
    ),
    'keystone_federation_openid_crypto_password is among your passwords.yml already (kolla-genpwd).',
    `keystone_public_url has to be ${setting.publicUrl}: Apache takes answers at its /redirect_uri.`,
  ]
  return `---
${comments(head)}
keystone_identity_providers:
  - name: ${ansibleText(identityProvider)}
    openstack_domain: ${ansibleText(domain)}
    protocol: ${ansibleText(protocol)}
    identifier: ${ansibleText(issuer)}
    public_name: ${ansibleText(choice)}
    attribute_mapping: ${ansibleText(identityProvider)}
    metadata_folder: "${FOLDER}/metadata"
keystone_identity_mappings:
  - name: ${ansibleText(identityProvider)}
    file: "${FOLDER}/mapping.json"

# Never HTTP_OIDC_ISS, which is the default here: that is a request header, which anybody can send.
keystone_remote_id_attribute_oidc: "OIDC-iss"
# This Keystone's own keys: Apache checks neither audience nor kind of what they signed, so they sign nothing else.
keystone_federation_oidc_jwks_uri: ${ansibleText(jwks)}
keystone_federation_oidc_response_type: "id_token"
keystone_federation_oidc_scopes: "openid email profile"
keystone_federation_oidc_claim_delimiter: ";"
keystone_federation_oidc_additional_options:
  # websso without an identity provider in its address leads here; take it out where people shall choose between several
  OIDCDiscoverURL: ${ansibleText(`${redirect}?iss=${encodeURIComponent(issuer)}`)}
${options.map(([name, value, why]) => `  # ${why}\n  ${name}: ${ansibleText(value)}`).join('\n')}

# Where a token may be posted to: your dashboards, and the listener of the command line (v3websso).
keystone_trusted_dashboards: "{{ horizon_trusted_dashboards + skyline_trusted_dashboards + lotse_trusted_dashboards }}"
lotse_trusted_dashboards: [${further}]
`
}

function keystoneConf(setting: Setting): string {
  const { config } = setting
  const head = made(setting, 'Merged into keystone.conf by kolla-ansible; if you have such a file, add this to it.')
  const version = schemaOf(config)
  const schema =
    version === '1.0'
      ? ''
      : `# kolla-ansible registers the mapping without its version, so it takes this one; other mappings without one do, too.
attribute_mapping_default_schema_version = ${version}
`
  return `${comments(head)}
[federation]
# Keystone reads and logs nothing of a request but what Apache says.
assertion_prefix = OIDC-
${schema}${comments(whyGroupsLast(config))}
default_authorization_ttl = ${config.reconcile === undefined ? GROUPS_LAST : 0}
`
}
