import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Io, readArgs } from '../../src/cli/command.ts'
import { command } from '../../src/cli/processes.ts'
import { openFleet } from '../../src/fleet.ts'
import { openRoot } from '../../src/keys/root-secret.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import { freePort } from '../support/gateway.ts'
import { place, serve } from '../support/serving.ts'

const now = () => Math.floor(Date.now() / 1000)

test('lotse processes lists who serves, and exits with 1 where nobody does or two differ', async () => {
  const at = await place()
  const printed: string[] = []
  const lotse = async (...words: string[]) => {
    printed.length = 0
    const print = (text: string) => void printed.push(text)
    const io = { out: print, err: print, env: { LOTSE_CONFIG: at.file }, cwd: at.folder, now } as unknown as Io
    return { code: await command.run(readArgs(words, command.options), io), text: printed.join('\n') }
  }
  const gateway = serve(at)
  try {
    await gateway.logged('serving')
    const alone = await lotse()
    assert.equal(alone.code, 0, alone.text)
    assert.match(alone.text, new RegExp(`:${at.ports[0]}-[\\w-]{6} .*  [0-9a-f]{12}$`))
    const store = await openEmbedded({ path: `${at.folder}/lotse.db`, now, mode: 'command' })
    await openFleet({ store, now, id: 'other', version: '0.0.9' }).announce({ configuration: 'x', kids: [] })
    await store.close()
    const mixed = await lotse('--json')
    assert.equal(mixed.code, 1)
    assert.match(mixed.text, /"id": "other"[\s\S]*they differ/)
    await gateway.logged('other processes use another configuration')
    assert.match(await (await fetch(`${at.operations}/metrics`)).text(), /lotse_processes\{configuration="other"\} 1/)
    gateway.child.kill('SIGTERM')
    await gateway.ended()
    assert.match((await lotse('--json')).text, /^\[\s*\{\s*"id": "other"[^{]*\]$/)
  } finally {
    await gateway.kill()
    await at.remove()
  }
})

// As a process of its own: what waits has to keep it alive by itself.
test('a command whose Redis is away waits for it, and then says so', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-away-'))
  t.after(() => rm(folder, { recursive: true }))
  await openRoot(join(folder, 'keys'), { create: 'allowed' })
  const file = join(folder, 'gateway.yaml')
  await writeFile(file, `store: { kind: redis, servers: ['127.0.0.1:${await freePort()}'] }\nkeys: { dir: ./keys }\n`)
  const words = [join(import.meta.dirname, '../../src/main.ts'), 'processes', '--config', file]
  const [code, said] = await new Promise<readonly [unknown, string]>((done) => {
    execFile(process.execPath, words, (error, _out, err) => done([error?.code, err]))
  })
  assert.match(said, /^lotse processes: no connection to the store: redis 127\.0\.0\.1:\d+: connect ECONNREFUSED/)
  assert.equal(code, 3)
})
