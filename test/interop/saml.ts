import { glob } from 'node:fs/promises'
import { root, runTests } from '../support/runner.ts'
import { installPackages } from './group.ts'
import { installKeycloak } from './upstreams/keycloak.ts'

/** SimpleSAMLphp, xmlsec1, pysaml2 and Chromium from Debian, Keycloak from Maven Central. */
export async function install(): Promise<void> {
  await installPackages({
    java: 'default-jre-headless',
    mvn: 'maven',
    php: 'php-cli',
    '/usr/share/simplesamlphp/www/index.php': 'simplesamlphp',
    '/usr/share/doc/php-xml': 'php-xml',
    '/usr/share/doc/php-mbstring': 'php-mbstring',
    '/usr/share/doc/php-curl': 'php-curl',
    openssl: 'openssl',
    xmlsec1: 'xmlsec1',
    xmllint: 'libxml2-utils',
    '/usr/lib/python3/dist-packages/saml2/server.py': 'python3-pysaml2',
    chromium: 'chromium',
  })
  await installKeycloak()
}

/** Real SAML identity providers, what others say of the gateway's signatures and metadata, and a real browser between two sites. */
export async function run(budget: number): Promise<{ readonly passed: number; readonly failed: number }> {
  const files: string[] = []
  for await (const file of glob('test/interop/saml/*.test.ts', { cwd: root })) files.push(file)
  return runTests(files.sort(), Math.min(budget, 480))
}
