import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Io, readArgs } from '../../src/cli/command.ts'
import { command } from '../../src/cli/processes.ts'
import { openFleet } from '../../src/fleet.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
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
