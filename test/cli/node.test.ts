import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../support/runner.ts'

const older = "data:text/javascript,Object.defineProperty(process, 'version', { value: 'v22.22.0' })"

test('an older Node is told in one sentence, before anything that it lacks is loaded', () => {
  const args = ['--import', older, join(root, 'src/main.ts'), 'serve']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.deepEqual([status, stdout, stderr], [3, '', 'lotse needs Node 24 or newer, and this is v22.22.0\n'])
})

test('nothing on standard error moves the cursor, whoever wrote it', () => {
  const name = 'gone\u001b]0;x\u0007\u009b2J\r.yaml'
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'src/main.ts'), 'check', name], {
    encoding: 'utf8',
  })
  assert.equal(status, 1)
  assert.match(stderr, /gone\\u001b\]0;x\\u0007\\u009b2J\\u000d\.yaml.*\n$/)
})

test('a reader that went away ends nothing in the middle: every file is written', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-pipe-'))
  const command = `"${process.execPath}" src/main.ts print prod -c "$0/gateway.yaml" --out "$0/files"`
  const run = (line: string) =>
    spawnSync('bash', ['-c', `set -o pipefail; ${line}`, folder], { cwd: root, encoding: 'utf8' })
  const files = async () => (await readdir(join(folder, 'files'), { recursive: true })).sort()
  const config = `issuer: https://login.example
listen: { port: 8080 }
store: { kind: embedded, path: ./x.db }
keys: { create: true }
connectors: []
targets: [{ id: prod, type: kubernetes, server: 'https://10.0.0.1:6443', audience: k8s }]
clients: [{ id: k8s, target: prod, native: true, redirectUris: ['http://localhost/'], grants: [code] }]
rules: []
`
  await writeFile(join(folder, 'gateway.yaml'), config)
  try {
    const { status } = run(`${command} | true`)
    const written = await files()
    assert.equal(run(`${command} >/dev/null`).status, 0)
    assert.deepEqual([status, written], [0, await files()])
    if (platform() === 'linux') assert.equal(run(`${command} >/dev/full`).status, 3)
  } finally {
    await rm(folder, { recursive: true })
  }
})
