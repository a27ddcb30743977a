import assert from 'node:assert/strict'
import { mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Io } from '../../src/cli/command.ts'
import { main } from '../../src/cli/index.ts'
import { standardConfig, standardEnv } from '../support/standard.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lotse-print-'))
  const head = 'issuer: https://login.example\nlisten: { port: 8080 }\nstore: { kind: embedded, path: ./x.db }\n'
  await writeFile(join(folder, 'gateway.yaml'), head + standardConfig('https://sso.corp.example'))
})
after(() => rm(folder, { recursive: true }))

async function run(...words: string[]) {
  const out: string[] = []
  const err: string[] = []
  const io = {
    out: (t: string) => out.push(t),
    err: (t: string) => err.push(t),
    env: standardEnv,
    cwd: folder,
    now: () => 1,
  }
  const config = words.includes('--config') ? [] : ['--config', 'gateway.yaml']
  const code = await main(['print', ...words, ...config], io as unknown as Io)
  return { code, out: out.join('\n'), err: err.join('\n') }
}

test('the registration at an upstream names the callback of the configured issuer and no secret', async () => {
  const { code, out } = await run('corp')
  assert.equal(code, 0)
  assert.match(out, /https:\/\/login\.example\/callback\/corp/)
  assert.ok(!out.includes(standardEnv.CORP_SECRET))
})

test('with a folder named, the files are written there', async () => {
  const { code, out } = await run('corp', '--out', 'made')
  assert.equal(code, 0)
  const file = out.trim()
  assert.ok(file.startsWith(join(folder, 'made')))
  assert.match(await readFile(file, 'utf8'), /callback\/corp/)
})

test('an unknown connector is told with those that there are', async () => {
  const { code, err } = await run('nobody')
  assert.equal(code, 2)
  assert.match(err, /corp/)
})

/** The usual configuration with a client for the Apache of its Keystone, by https. */
async function withApache(more = ''): Promise<void> {
  const head = 'issuer: https://login.example\nlisten: { port: 8080 }\nstore: { kind: embedded, path: ./x.db }\n'
  const clients = `  - { id: keystone, target: cloud, accessToken: opaque, auth: client_secret_basic, secret: { env: HORIZON_SECRET }, redirectUris: ['https://keystone.example/redirect_uri'], backchannelLogout: { url: 'https://keystone.example/redirect_uri?logout=backchannel' }${more} }`
  await writeFile(join(folder, 'gateway.yaml'), head + standardConfig('https://sso.corp.example', '', { clients }))
}

test('a Keystone whose configuration lacks something is told what to write, and nothing is written', async () => {
  const { code, err } = await run('cloud', '--out', 'lacking')
  assert.equal(code, 1)
  assert.match(err, /target cloud: no client is called keystone.*redirectUris/)
  await assert.rejects(stat(join(folder, 'lacking')))
})

test('what is printed for a Keystone shows no secret, and says which file is missing for it', async () => {
  await withApache()
  const { code, out, err } = await run('cloud')
  assert.equal(code, 0, err)
  assert.match(out, /OIDCClientID "keystone"/)
  assert.match(err, /apache\/lotse-secrets\.conf holds secrets/)
  for (const secret of Object.values(standardEnv)) assert.ok(!`${out}${err}`.includes(secret))
})

test('a file with secrets is for its owner alone, also where everybody could read it before', async () => {
  await withApache()
  await mkdir(join(folder, 'ks/apache'), { recursive: true })
  await writeFile(join(folder, 'ks/apache/lotse-secrets.conf'), 'old', { mode: 0o644 })
  await using opened = await open(join(folder, 'ks/apache/lotse-secrets.conf')) // as somebody else might have
  assert.equal((await run('cloud', '--out', 'ks')).code, 0)
  assert.equal(await opened.readFile('utf8'), 'old')
  const { mode } = await stat(join(folder, 'ks/apache/lotse-secrets.conf'))
  assert.equal(mode & 0o777, 0o600)
  assert.ok((await readFile(join(folder, 'ks/apache/lotse-secrets.conf'), 'utf8')).includes(standardEnv.HORIZON_SECRET))
  assert.equal((await stat(join(folder, 'ks/keystone/register.sh'))).mode & 0o111, 0o111)
})

test('a flavour that there is not is told with those that there are', async () => {
  await withApache()
  const { code, err } = await run('cloud', '--flavour', 'nginx')
  assert.equal(code, 2)
  assert.match(err, /apache, kolla, mod_oauth2, introspection/)
})

test('a target of another type has nothing to print yet, and a connector has no flavours', async () => {
  const other = await run('argo')
  assert.equal(other.code, 1)
  assert.match(other.err, /nothing to print for a target of type oidc/)
  assert.equal((await run('corp', '--flavour', 'kolla')).code, 2)
})

test('a cluster gets its files; namespaces that claims complete are named, and one that no rule reaches is told', async () => {
  const namespaced = `  - name: namespaces
    from: [corp]
    each: { claim: groups, pattern: '/teams/<team>/dev' }
    give: [{ target: prod, namespace: 'team-<team>', roles: [edit] }]
`
  const text = await readFile(join(folder, 'gateway.yaml'), 'utf8')
  await writeFile(join(folder, 'cluster.yaml'), text + namespaced)
  const open = await run('prod', '--config', 'cluster.yaml')
  assert.equal(open.code, 0)
  assert.match(open.err, /claims complete team-<team>: say by --namespaces A,B or --seen/)
  assert.match(open.out, /^kind: AuthenticationConfiguration$/m)
  const named = await run('prod', '--config', 'cluster.yaml', '--namespaces', 'team-web,web')
  assert.match(named.out, /^ +namespace: team-web$/m)
  assert.match(named.err, /no rule gives roles in the namespace web/)
  const bad = await run('prod', '--config', 'cluster.yaml', '--namespaces', 'Team')
  assert.equal(bad.code, 2)
  assert.match(bad.err, /--namespaces Team: not a namespace name/)
})

test('options of clusters are refused for others, and a file without a certificate is none', async () => {
  const keystone = await run('cloud', '--seen')
  assert.equal(keystone.code, 2)
  assert.match(keystone.err, /--seen is for clusters, and cloud is none/)
  const connector = await run('corp', '--namespaces', 'a')
  assert.equal(connector.code, 2)
  assert.match(connector.err, /--namespaces is for clusters, and corp is none/)
  const { code, err } = await run('prod', '--issuer-ca', 'gateway.yaml')
  assert.equal(code, 2)
  assert.match(err, /there is no certificate in gateway\.yaml/)
})
