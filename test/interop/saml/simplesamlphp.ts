import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../support/gateway.ts'
import { type SamlKeys, samlKeys } from '../../support/saml-idp.ts'
import { startServer } from '../upstreams/server.ts'
import type { SamlUpstream } from './upstream.ts'

const ROOT = '/usr/share/simplesamlphp'

/** SimpleSAMLphp from Debian as an identity provider, served by PHP's own server, with its configuration in a folder. */
export async function startSimpleSaml(work: string): Promise<SamlUpstream> {
  const port = await freePort()
  // Another site than the gateway's to a browser.
  const url = `http://localhost:${port}`
  const folder = join(work, 'ssp')
  for (const name of ['cert', 'metadata', 'data', 'log', 'tmp', 'sessions'])
    await mkdir(join(folder, name), { recursive: true })
  await writeFile(join(folder, 'config.php'), config(folder, url))
  await writeFile(join(folder, 'authsources.php'), authsources)
  const use = async (keys: SamlKeys) => {
    await writeFile(join(folder, 'cert/idp.key'), keys.key)
    await writeFile(join(folder, 'cert/idp.crt'), keys.cert)
  }
  await use(samlKeys('ssp.example'))
  await writeFile(join(folder, 'metadata/saml20-idp-hosted.php'), hosted(''))
  await writeFile(join(folder, 'metadata/saml20-sp-remote.php'), '<?php\n')
  await writeFile(join(folder, 'sp.xml'), nobody)
  const server = await startServer(
    {
      command: 'php',
      args: [
        '-d',
        'opcache.enable=0',
        '-d',
        `session.save_path=${folder}/sessions`,
        '-S',
        `localhost:${port}`,
        '-t',
        `${ROOT}/www`,
      ],
      // Its metadata is asked for by the gateway while it asks the gateway for its own.
      env: { SIMPLESAMLPHP_CONFIG_DIR: folder, PHP_CLI_SERVER_WORKERS: '3' },
      url,
      ready: '/saml2/idp/metadata.php',
    },
    30,
  )
  return {
    name: 'SimpleSAMLphp',
    metadata: `${url}/saml2/idp/metadata.php`,
    async trust(metadata, { encrypted }) {
      await writeFile(join(folder, 'sp.xml'), await (await fetch(metadata)).text())
      await writeFile(
        join(folder, 'metadata/saml20-idp-hosted.php'),
        hosted(encrypted ? "'assertion.encryption' => true," : ''),
      )
    },
    roll: () => use(samlKeys('ssp.example')),
    signIn: async (who, page, name) => {
      const login = page.forms.some(({ fields }) => 'username' in fields) ? page : undefined
      const answered = login ? await who.submit(login, login.form(), { username: name, password: 'secret' }) : page
      return who.submit(answered, answered.form())
    },
    signOut: (who) => who.get(`${url}/saml2/idp/SingleLogoutService.php?ReturnTo=${encodeURIComponent(`${url}/out`)}`),
    asksWho: ({ forms }) => forms.some(({ fields }) => 'username' in fields),
    stop: server.stop,
  }
}

/** Stands where the gateway's metadata will be. */
const nobody =
  '<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata"><EntityDescriptor entityID="urn:nobody"><SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><AssertionConsumerService index="0" Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="http://localhost/nobody"/></SPSSODescriptor></EntityDescriptor></EntitiesDescriptor>'

const config = (folder: string, url: string) => `<?php
$config = [
  'baseurlpath' => '${url}/',
  'certdir' => '${folder}/cert/', 'loggingdir' => '${folder}/log/', 'datadir' => '${folder}/data/', 'tempdir' => '${folder}/tmp',
  'logging.handler' => 'file', 'logging.level' => 7, 'logging.logfile' => 'ssp.log', 'debug' => ['saml' => true, 'backtraces' => true, 'validatexml' => false],
  'secretsalt' => 'a-salt-for-tests-0123456789', 'auth.adminpassword' => 'an-admin-password', 'admin.protectindexpage' => false,
  'technicalcontact_name' => 'Nobody', 'technicalcontact_email' => 'na@example.org', 'timezone' => 'UTC', 'showerrors' => true, 'errorreporting' => false,
  'enable.saml20-idp' => true, 'enable.shib13-idp' => false, 'module.enable' => ['exampleauth' => true],
  'session.cookie.secure' => false, 'session.cookie.samesite' => null, 'session.phpsession.cookiename' => 'SimpleSAML', 'session.phpsession.savepath' => '${folder}/sessions',
  'store.type' => 'phpsession', 'language.available' => ['en'], 'language.default' => 'en', 'template.auto_reload' => true,
  'metadatadir' => '${folder}/metadata/', 'attributenamemapdir' => '/etc/simplesamlphp/attributemap/',
  'metadata.sources' => [['type' => 'flatfile', 'directory' => '${folder}/metadata'], ['type' => 'xml', 'file' => '${folder}/sp.xml']],
  'authproc.idp' => [],
];
`

const authsources = `<?php
$config = ['people' => ['exampleauth:UserPass',
  'ada:secret' => ['uid' => ['ada'], 'mail' => ['ada@uni.example'], 'displayName' => ['Ada L.'], 'eduPersonEntitlement' => ['urn:mace:example:cloud']],
  'bob:secret' => ['uid' => ['bob'], 'mail' => ['bob@uni.example'], 'displayName' => ['Bob'], 'eduPersonEntitlement' => ['urn:mace:example:cloud']],
]];
`

const hosted = (more: string) => `<?php
$metadata['__DYNAMIC:1__'] = [
  'host' => '__DEFAULT__', 'privatekey' => 'idp.key', 'certificate' => 'idp.crt', 'auth' => 'people',
  'SingleSignOnServiceBinding' => ['urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect', 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'],
  'SingleLogoutServiceBinding' => ['urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect', 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'],
  'validate.authnrequest' => true, 'validate.logout' => true, 'redirect.validate' => true, 'redirect.sign' => true, 'sign.logout' => true,
  'saml20.sign.response' => true, 'saml20.sign.assertion' => true, ${more}
  'NameIDFormat' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  'attributes.NameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:uri',
  'authproc' => [1 => ['class' => 'saml:PersistentNameID', 'attribute' => 'uid'], 2 => ['class' => 'core:AttributeMap', 'name2oid']],
];
`
