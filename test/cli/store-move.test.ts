import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Io, readArgs } from '../../src/cli/command.ts'
import { command } from '../../src/cli/store.ts'
import { openRoot } from '../../src/keys/root-secret.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import { kinds } from '../../src/store/kinds.ts'
import type { Store } from '../../src/store/store.ts'

const start = 1_800_000_000

describe('lotse store export and import', () => {
  let folder: string
  let printed: string[]
  let time = start
  const now = () => time
  const at = (name: string) => join(folder, name)
  const gateway = (name: string) =>
    writeFile(
      at(`${name}.yaml`),
      `store: { kind: embedded, path: ./${name}.db }\nkeys: { dir: ./keys }\nrules: broken\n`,
    )
  const open = (name: string) => openEmbedded({ path: at(`${name}.db`), now })
  const lotse = (words: string, config: string) => {
    const print = (text: string) => void printed.push(text)
    const io = { out: print, err: print, env: {}, cwd: folder, now } as unknown as Io
    return command.run(readArgs([...words.split(' '), '--config', `${config}.yaml`], command.options), io)
  }
  const said = () => printed.splice(0).join('\n')

  beforeEach(async () => {
    time = start
    folder = await mkdtemp(join(tmpdir(), 'lotse-move-'))
    printed = []
    await openRoot(at('keys'), { create: 'allowed' })
    await gateway('old')
    await gateway('new')
  })
  afterEach(() => rm(folder, { recursive: true }))

  /** A store with each sort of thing in it. */
  async function filled(): Promise<Store> {
    const store = await open('old')
    await store.put(kinds.RefreshToken, 'used', 'ü "\n 🛟', 1000, { groups: ['grant:1', 'session:1'] })
    time += 5
    await store.consume(kinds.RefreshToken, 'used')
    await store.put(kinds.Session, 'alice', '∞', 1000, { alias: 'uid' })
    await store.put(kinds.Ring, 'issuer', 'sealed', Infinity)
    await store.put(kinds.Session, 'short', 'x', 1)
    await store.put(kinds.Process, 'old-process', 'x', 1000)
    await store.put(kinds.Pending, 'in flight', 'x', 1000)
    await store.revoke('grant:2', 1000)
    time += 2
    return store
  }

  it('moves entries with their links, ends and uses, and what is revoked stays so', async () => {
    await (await filled()).close()
    assert.equal(await lotse('export --out all.jsonl', 'old'), 0, said())
    assert.equal((await stat(at('all.jsonl'))).mode & 0o077, 0)
    assert.equal(await lotse('import all.jsonl', 'new'), 0, said())
    const store = await open('new')
    assert.deepEqual(await store.get(kinds.RefreshToken, 'used'), {
      ...{ id: 'used', value: 'ü "\n 🛟', expiresAt: start + 1000, consumedAt: start + 5 },
    })
    for (const group of ['grant:1', 'session:1'])
      assert.deepEqual(await store.members(group), [{ kind: 'RefreshToken', id: 'used' }])
    assert.equal((await store.find(kinds.Session, 'uid'))?.value, '∞')
    assert.equal((await store.get(kinds.Ring, 'issuer'))?.expiresAt, Infinity)
    for (const [kind, id] of [
      [kinds.Session, 'short'],
      [kinds.Process, 'old-process'],
      [kinds.Pending, 'in flight'],
    ] as const)
      assert.equal(await store.get(kind, id), undefined, id)
    assert.equal(await store.put(kinds.Grant, 'late', 'x', 10, { groups: ['grant:2'] }), false)
    time += 1000
    assert.equal(await store.put(kinds.Grant, 'late', 'x', 10, { groups: ['grant:2'] }), true)
    await store.close()
  })

  it('moves any text, also with signs that end a line elsewhere', async () => {
    const control = Array.from({ length: 0xa1 }, (_, code) => String.fromCharCode(code)).join('')
    const text = `${control}\u200b\u2028\u2029\ufeff`
    const store = await open('old')
    await Promise.all(
      [...text].map((sign) => store.put(kinds.Grant, `a${sign}b`, `c${sign}d`, 1000, { groups: [`e${sign}f`] })),
    )
    await store.put(kinds.Session, 'all', text, 1000, { alias: text.slice(0, 512) })
    await store.revoke('\u2028', 1000)
    await store.close()
    assert.equal(await lotse('export --out all.jsonl', 'old'), 0, said())
    assert.equal(await lotse('import all.jsonl', 'new'), 0, said())
    const moved = await open('new')
    for (const sign of text) {
      assert.equal((await moved.get(kinds.Grant, `a${sign}b`))?.value, `c${sign}d`)
      assert.deepEqual(await moved.members(`e${sign}f`), [{ kind: 'Grant', id: `a${sign}b` }])
    }
    assert.equal((await moved.find(kinds.Session, text.slice(0, 512)))?.value, text)
    assert.equal(await moved.put(kinds.Grant, 'late', 'x', 10, { groups: ['\u2028'] }), false)
    await moved.close()
  })

  it('does nothing while a gateway serves from the store', async () => {
    const store = await filled()
    assert.equal(await lotse('export --out all.jsonl', 'old'), 3)
    assert.match(said(), /another process serves/)
    await store.close()
    assert.equal(await lotse('export --out all.jsonl', 'old'), 0)
    const other = await open('new')
    assert.equal(await lotse('import all.jsonl', 'new'), 3)
    await other.close()
    assert.match(said(), /another process serves/)
  })

  it('takes in nothing of a file that is cut, damaged, of a newer version or of another root secret', async () => {
    await (await filled()).close()
    await lotse('export --out all.jsonl', 'old')
    const lines = (await readFile(at('all.jsonl'), 'utf8')).trimEnd().split('\n')
    const [head = '', ...rest] = lines
    const wrong: Readonly<Record<string, readonly [readonly string[], RegExp]>> = {
      cut: [lines.slice(0, -1), /ends too early/],
      shorter: [[head, ...rest.slice(1)], /no entry/],
      damaged: [[head, rest[0]?.slice(0, 20) ?? '', ...rest.slice(1)], /line 2: no JSON/],
      longer: [[...lines, rest[0] ?? ''], /follows the end/],
      newer: [[head.replace('"lotseStore":1', '"lotseStore":2'), ...rest], /newer version/],
      foreign: [[head.replace(/"root":"[^"]*"/, '"root":"another"'), ...rest], /another root secret/],
      other: [['{}', ...rest], /not written by lotse store export/],
      empty: [[], /not written by lotse store export|no JSON/],
    }
    for (const [name, [content, reason]] of Object.entries(wrong)) {
      said()
      await writeFile(at('wrong.jsonl'), content.map((line) => `${line}\n`).join(''))
      assert.equal(await lotse('import wrong.jsonl', 'new'), 3, name)
      assert.match(said(), reason, name)
      const store = await open('new')
      for (const kind of [kinds.RefreshToken, kinds.Session, kinds.Ring])
        assert.deepEqual(await store.list(kind, 10), [], name)
      await store.close()
    }
    assert.equal(await lotse('import all.jsonl', 'new'), 0, said())
  })

  it('writes over nothing: no file, and no store that was used', async () => {
    await (await filled()).close()
    await lotse('export --out all.jsonl', 'old')
    assert.equal(await lotse('export --out all.jsonl', 'old'), 3)
    assert.equal(await lotse('import all.jsonl', 'old'), 3)
    assert.match(said(), /all\.jsonl is there already(?:.|\n)*something is in this store already/)
    assert.equal(await lotse('export --out none.jsonl', 'new'), 3)
    assert.match(said(), /there is no store at/)
  })
})
