import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parse } from 'yaml'
import type { Io } from '../../src/cli/command.ts'
import { main } from '../../src/cli/index.ts'
import { clientSchema } from '../../src/config/clients.ts'
import { problemText } from '../../src/config/problem.ts'
import { loadFrom } from '../config/files.ts'
import { root } from '../support/runner.ts'

const page = readFileSync(join(root, 'docs/guides/keystone.md'), 'utf8')
const env = {
  CORP_SECRET: 'corp-secret-0123456789-0123456789',
  KEYSTONE_SECRET: 'keystone-secret-0123456789-012345',
  RECONCILE_PASSWORD: 'a-password-of-the-reconciler',
}

function block(kind: string): string {
  const found = [...page.matchAll(/^```(.*)\n([\s\S]*?)^```/gm)].find(([, name]) => name === kind)?.[2]
  assert.ok(found, `no block ${kind}`)
  return found
}

const yaml = block('yaml')
const kolla = yaml.replace('redirectUris: [https://keystone', 'grants: [implicit]\n    redirectUris: [https://keystone')
const introspecting = yaml.replace(
  'target: cloud\n    accessToken',
  'target: cloud\n    introspect: true\n    accessToken',
)
const reconciling = yaml.replace("    mappingSchema: '3.0'\n", block('yaml reconcile'))

const transcripts = [...page.matchAll(/^```\n\$ lotse (.*)\n([\s\S]*?)^```/gm)].map(([, words = '', printed = '']) => ({
  words,
  printed,
}))

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lotse-keystone-guide-'))
})
after(() => rm(folder, { recursive: true }))

/** Runs a command of the page in a folder with this configuration. */
async function run(text: string, words: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const lines = { out: [] as string[], err: [] as string[] }
  await writeFile(join(folder, 'gateway.yaml'), text)
  const io = {
    out: (line: string) => lines.out.push(line),
    err: (line: string) => lines.err.push(line),
    env,
    cwd: folder,
    now: () => Math.floor(Date.now() / 1000),
  } as unknown as Io
  const cwd = process.cwd()
  process.chdir(folder) // `check` opens the name as it was typed
  try {
    const code = await main(words, io)
    return { code, out: `${lines.out.join('\n')}\n`, err: lines.err.join('\n') }
  } finally {
    process.chdir(cwd)
  }
}

/** Text to the letter, in which `…` stands for what the page leaves out. */
function pattern(printed: string): RegExp {
  const quoted = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const lines = printed.split(/^…\n/m).map((part) => part.split('…').map(quoted).join('[^\\n]*'))
  return new RegExp(`^${lines.join('(?:.*\\n)+')}$`)
}

describe('docs/guides/keystone.md', () => {
  for (const [what, text] of [
    ['for Apache', yaml],
    ['for kolla-ansible', kolla],
    ['for introspection', introspecting],
    ['with reconcile', reconciling],
  ] as const)
    it(`has a configuration ${what} that loads without a warning and passes its test`, async () => {
      const loaded = await loadFrom({ files: { '/etc/lotse/gateway.yaml': text }, env })
      assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(problemText).join('\n'))
      assert.deepEqual([loaded.warnings, loaded.tests], [[], 1])
    })

  for (const [flavour, text, file] of [
    ['apache', yaml, 'apache/lotse-keystone.conf'],
    ['mod_oauth2', yaml, 'apache/lotse-keystone.conf'],
    ['introspection', introspecting, 'apache/lotse-keystone.conf'],
    ['kolla', kolla, 'kolla/globals-lotse.yml'],
    ['apache', reconciling, 'keystone/reconciler.sh'],
  ] as const)
    it(`names files that lotse print --flavour ${flavour} writes: ${file}`, async () => {
      const { code, err } = await run(text, [
        'print',
        'cloud',
        '--flavour',
        flavour,
        '--out',
        'printed',
        '-c',
        'gateway.yaml',
      ])
      assert.equal(code, 0, err)
      assert.ok(page.includes(file.replace(/^apache\/.*/, 'apache/*.conf').replace(/^keystone\//, '')), file)
      const files = [file, 'README.md', 'keystone/register.sh', 'ansible/keystone-federation.yml', 'cli/clouds.yaml']
      for (const each of files) assert.ok(await readFile(join(folder, 'printed', each), 'utf8'), each)
    })

  it('lets every command be seen', () => {
    assert.deepEqual(
      transcripts.map(({ words }) => words.split(' ')[0]),
      ['check', 'explain'],
    )
  })

  for (const { words, printed } of transcripts)
    it(`shows what lotse ${words} prints`, async () =>
      assert.match((await run(yaml, words.split(' '))).out, pattern(printed)))

  it('has the entry of clouds.yaml that it exports', async () => {
    await run(yaml, ['print', 'cloud', '--out', 'printed', '-c', 'gateway.yaml'])
    const { clouds } = parse(await readFile(join(folder, 'printed/cli/clouds.yaml'), 'utf8'))
    assert.equal(clouds['cloud'].auth_type, 'v3websso')
    assert.match(page, /export OS_CLOUD=cloud /)
  })

  it('shows a client for services that the schema takes', () => {
    const client = /`(\{ id: ironic.*?\})`, and/.exec(page)?.[1] ?? ''
    assert.equal(clientSchema.parse(parse(client)).introspect, true)
  })

  it('maps fields of the introspection answer that there are', async () => {
    const { serviceClaimNames } = await import('../../src/targets/keystone/service-token.ts')
    const mapped = [...block('ini').matchAll(/^mapping_\w+ = (openstack_\w+)$/gm)].map(([, name]) => name)
    assert.deepEqual(mapped.filter((name) => name !== 'openstack_user_domain').sort(), [...serviceClaimNames].sort())
  })

  it('has a row for each finding of check --live that can be bad', async () => {
    const { globSync } = await import('node:fs')
    const sources = globSync('src/targets/keystone/probe/*.ts', { cwd: root }).map((file) =>
      readFileSync(join(root, file), 'utf8'),
    )
    const checks = new Set(sources.flatMap((text) => [...text.matchAll(/\bbad\('([\w ]+)'/g)].map(([, name]) => name)))
    for (const check of checks) assert.ok(page.includes(`\`bad ${check}`), `${check} is not on the page`)
  })
})
