import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
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
  const code = await main(['print', ...words, '--config', 'gateway.yaml'], io as unknown as Io)
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
