import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { flavours, printFiles } from '../../src/targets/keystone/print/print.ts'
import { startGateway } from '../support/gateway.ts'
import { standardConfig, standardEnv } from '../support/standard.ts'
import { apache, apacheWords, client, keystone, textOf, world } from './keystone-print-world.ts'

/*
 * What the printed files promise to a Keystone, line by line. Real ones are held to it by test/interop/keystone; what is missing here
 * would be seen there only by an attack that somebody thought of.
 */

const writes = (scope: object) => ({ reconcile: { user: { name: 'lotse', password: { env: 'X' }, scope } } })

const printed = (flavour: string, more = {}) => printFiles(keystone(more), world({ flavour }))
const apacheConf = (flavour: string) => textOf(printed(flavour), 'apache/lotse-keystone.conf')
const kollaFile = (path: string) => textOf(printed('kolla'), `kolla/${path}`)
const globals = () => parse(kollaFile('globals-lotse.yml')) as Readonly<Record<string, unknown>>

/** Directives of Apache: each a list of words; those in places stand under the place. */
function directives(flavour: string): Readonly<Record<string, readonly string[]>> {
  const found: Record<string, string[]> = {}
  let place = ''
  for (const line of apacheConf(flavour)
    .split('\n')
    .map((each) => each.trim())) {
    if (line === '' || line.startsWith('#')) continue
    if (/^<Location(Match)? /.test(line)) place = apacheWords(line.slice(0, -1))[1] ?? ''
    else if (/^<\/Location/.test(line)) place = ''
    else found[place] = [...(found[place] ?? []), apacheWords(line).join(' ')]
  }
  return found
}

const FEDERATION = '/OS-FEDERATION/identity_providers/lotse/protocols/openid'
const onlyFor = (kind: string) => [
  '<RequireAll>',
  'Require valid-user',
  `Require ${kind} aud:keystone`,
  '</RequireAll>',
]
const bearerBy: Readonly<Record<string, readonly string[]>> = {
  apache: ['AuthType oauth20', ...onlyFor('claim')],
  introspection: ['AuthType oauth20', ...onlyFor('claim')],
  mod_oauth2: [
    'AuthType oauth2',
    'OAuth2TokenVerify jwks_uri https://login.example/jwks/keystone-cloud jwks_uri.ssl_verify=true&jwks_uri.expiry=300&verify.exp=required&expiry=0',
    'OAuth2TargetPass prefix=OIDC-&headers=Off&remote_user_claim=sub',
    ...onlyFor('oauth2_claim'),
  ],
}

for (const [flavour, bearer] of Object.entries(bearerBy))
  test(`a Keystone is entered by a sign-in of this client or by a bearer token of its own, and by nothing else: ${flavour}`, () => {
    const places = directives(flavour)
    const browser = ['AuthType openid-connect', ...onlyFor('claim')]
    assert.deepEqual(
      { ...places, '': undefined },
      {
        '': undefined,
        '/redirect_uri': ['AuthType openid-connect', 'Require valid-user'],
        '^/v3/auth/OS-FEDERATION/websso/openid$': browser,
        [`^/v3/auth${FEDERATION}/websso$`]: browser,
        [`^/v3${FEDERATION}/auth$`]: bearer,
      },
    )
  })

const always = ['OIDCPassClaimsAs environment', 'OIDCClaimPrefix OIDC-', 'OIDCClaimDelimiter ;', 'OIDCPKCEMethod S256']
const server: Readonly<Record<string, readonly string[]>> = {
  apache: ['OIDCOAuthVerifyJwksUri https://login.example/jwks/keystone-cloud'],
  mod_oauth2: [],
  // From memory a token that was taken back would go on working.
  introspection: ['OIDCOAuthTokenIntrospectionInterval -1'],
}

for (const [flavour, more] of Object.entries(server))
  test(`claims are no headers, keys are this Keystone's own, and Apache's own session is short: ${flavour}`, () => {
    const lines = directives(flavour)[''] ?? []
    for (const line of [...always, ...more]) assert.ok(lines.includes(line), line)
    const value = (name: string) => Number(lines.find((line) => line.startsWith(`${name} `))?.split(' ')[1])
    assert.ok(value('OIDCSessionInactivityTimeout') <= 60)
    assert.ok(value('OIDCSessionMaxDuration') <= 300)
    assert.equal(lines.filter((line) => line.includes('/jwks')).length, flavour === 'apache' ? 1 : 0)
  })

test("kolla-ansible is told the same: no headers, this Keystone's own keys, short sessions, ID tokens in no address", () => {
  const {
    keystone_federation_oidc_additional_options: options,
    keystone_federation_oidc_jwks_uri: keys,
    keystone_remote_id_attribute_oidc: issuerFrom,
  } = globals()
  const { OIDCPassClaimsAs: as, OIDCSessionInactivityTimeout: idle } = options as Record<string, string>
  assert.deepEqual(
    [as, idle, keys, issuerFrom],
    ['environment', '60', 'https://login.example/jwks/keystone-cloud', 'OIDC-iss'],
  )
  const conf = JSON.parse(kollaFile('config/keystone/federation/lotse/metadata/login.example.conf'))
  assert.deepEqual([conf.response_type, conf.response_mode, conf.session_max_duration], ['id_token', 'form_post', 300])
  assert.match(kollaFile('config/keystone.conf'), /^attribute_mapping_default_schema_version = 3\.0$/m)
})

test('the tasks for Ansible make and mend what register.sh does, and delete nothing', () => {
  interface Task {
    readonly when?: string
    readonly 'ansible.builtin.uri'?: { readonly url: string; readonly method?: string; readonly body?: unknown }
  }
  const tasks = parse(textOf(printed('apache'), 'ansible/keystone-federation.yml')) as readonly Task[]
  const writing = tasks.flatMap(({ when = '', 'ansible.builtin.uri': uri }) =>
    uri?.method === undefined ? [] : [{ when, body: JSON.stringify(uri.body), does: `${uri.method} ${uri.url}` }],
  )
  const of = (does: RegExp) => writing.find((task) => does.test(task.does))
  for (const { does } of writing) assert.match(does, /^(POST|PUT|PATCH) /)
  const said = [
    [/identity_providers\/lotse'/, "'remote_ids': [lotse_issuer]", 'remote_ids != [lotse_issuer] or not '],
    [/mappings\/lotse'/, "'rules': lotse_rules", 'rules != lotse_rules or '],
    [/protocols\/openid'/, "'mapping_id': lotse_idp", 'mapping_id != lotse_idp)'],
  ] as const
  for (const [path, value, differs] of said) {
    const [make, mend] = ['PUT', 'PATCH'].map((method) => of(new RegExp(`^${method} .*${path.source}`)))
    assert.match(make?.when ?? '', /status == 404$/)
    assert.ok(make?.body.includes(value) && mend?.body.includes(value), value)
    assert.ok(mend?.when.includes(differs), differs)
  }
})

test('groups of a sign-in hold for an hour where the mapping gives them, and not at all where the gateway writes', () => {
  for (const flavour of flavours) {
    const path = flavour === 'kolla' ? 'kolla/config/keystone.conf' : 'keystone/keystone.conf.part'
    const minutes = (more = {}) =>
      /^default_authorization_ttl = (\d+)$/m.exec(textOf(printed(flavour, more), path))?.[1]
    assert.deepEqual([minutes(), minutes(writes({ domain: 'corp' }))], ['60', '0'], flavour)
  }
})

test('an account that manages a domain is given no role beyond it, and may pass on none but its own and lower ones', () => {
  const files = printed('apache', writes({ domain: 'corp' }))
  const added = textOf(files, 'keystone/reconciler.sh').match(/^openstack role add .*$/gm) ?? []
  assert.deepEqual(
    added.map((line) => line.split(' ').slice(-3).join(' ')),
    ['--domain corp manager', '--domain corp member'],
  )
  const rules = parse(textOf(files, 'keystone/policy.d/lotse-domain-manager.yaml')) as Readonly<Record<string, string>>
  assert.deepEqual(
    rules['domain_managed_target_role'],
    "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s",
  )
  for (const [name, rule] of Object.entries(rules)) {
    assert.ok(!/delete/.test(name), name)
    if (/_grant$/.test(name)) assert.match(rule, /\(role:manager and rule:domain_managed_target_role and \(/, name)
    if (/:(create|update|add|remove|revoke)_/.test(name)) assert.match(rule, /domain[._]id:%\(target\./, name)
  }
})

test('a client that keystoneauth cannot be has no entry for the command line', () => {
  const entries = (more: object) => {
    const clients = [apache(), client({ id: 'cli', target: 'cloud', redirectUris: ['http://127.0.0.1/cb'], ...more })]
    const { clouds } = parse(textOf(printFiles(keystone(), world({ clients })), 'cli/clouds.yaml')) as {
      clouds: object
    }
    return Object.keys(clouds)
  }
  const post = { auth: 'client_secret_post', secret: 'x' }
  const none = ['cloud', 'cloud-token']
  assert.deepEqual(entries({ native: true, grants: ['code'] }), none, 'its plug-in for codes sends no verifier')
  assert.deepEqual(entries({ grants: ['device'], ...post }), none, 'it knows HTTP Basic alone')
  assert.deepEqual(entries({ grants: ['client_credentials'], ...post }), none)
})

test('what the files say of the gateway is what it says of itself', async (t) => {
  const gateway = await startGateway({ config: standardConfig('http://127.0.0.1:1'), env: standardEnv })
  t.after(() => gateway.close())
  const files = (flavour: string) => printFiles(keystone(), world({ flavour, issuer: new URL(gateway.issuer) }))
  const self = await (await fetch(`${gateway.issuer}/.well-known/openid-configuration`)).json()
  const { host } = new URL(gateway.issuer)
  const path = `kolla/config/keystone/federation/lotse/metadata/${encodeURIComponent(host)}.provider`
  const {
    response_types_supported: types,
    response_modes_supported: modes,
    ...said
  } = JSON.parse(textOf(files('kolla'), path))
  for (const [name, value] of Object.entries(said)) assert.equal(self[name], value, name)
  for (const type of types) assert.ok(self.response_types_supported.includes(type), type)
  for (const mode of modes) assert.ok(self.response_modes_supported.includes(mode), mode)
  const conf = textOf(files('introspection'), 'apache/lotse-keystone.conf')
  assert.ok(conf.includes(`OIDCOAuthIntrospectionEndpoint "${self.introspection_endpoint}"\n`))
  const [, keys = ''] =
    /OIDCOAuthVerifyJwksUri "(.*)"/.exec(textOf(files('apache'), 'apache/lotse-keystone.conf')) ?? []
  assert.equal((await fetch(keys)).status, 200)
})
