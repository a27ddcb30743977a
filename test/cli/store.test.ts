import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Io, readArgs, UsageError } from '../../src/cli/command.ts'
import { command } from '../../src/cli/store.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import { kinds } from '../../src/store/kinds.ts'

const now = () => 1_800_000_000

describe('lotse store backup', () => {
  let folder: string
  let printed: string[]
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lotse-backup-'))
    printed = []
    await mkdir(join(folder, 'etc'))
    await writeFile(
      join(folder, 'etc/gateway.yaml'),
      'store: { kind: embedded, path: ../data/lotse.db }\nrules: broken\n',
    )
  })
  afterEach(() => rm(folder, { recursive: true }))

  const lotse = (...words: string[]) => {
    const print = (text: string) => void printed.push(text)
    const io = { out: print, err: print, env: { LOTSE_CONFIG: 'etc/gateway.yaml' }, cwd: folder, now } as unknown as Io
    return command.run(readArgs(words, command.options), io)
  }

  it('copies the store of a running gateway that never stops writing', async () => {
    const store = await openEmbedded({ path: join(folder, 'data/lotse.db'), now })
    let [going, written] = [true, 0]
    const writing = (async () => {
      while (going) await store.put(kinds.Session, `s${written++}`, 'x'.repeat(1000), 100)
    })()
    for (let n = 0; n < 500; n++) await store.put(kinds.RefreshToken, `before ${n}`, 'token', 100)
    assert.equal(await lotse('backup', '--out', 'copy.db'), 0)
    going = false
    await writing
    await store.close()
    assert.match(printed[0] ?? '', /^\d+ entries copied to .*copy\.db$/)
    assert.equal((await stat(join(folder, 'copy.db'))).mode & 0o077, 0)
    assert.deepEqual((await readdir(folder)).sort(), ['copy.db', 'data', 'etc'])

    const copy = await openEmbedded({ path: join(folder, 'copy.db'), now })
    for (let n = 0; n < 500; n++) assert.equal((await copy.get(kinds.RefreshToken, `before ${n}`))?.value, 'token')
    await copy.close()
  })

  it('never writes over a file, and says which', async () => {
    await (await openEmbedded({ path: join(folder, 'data/lotse.db'), now })).close()
    await writeFile(join(folder, 'copy.db'), 'precious')
    assert.equal(await lotse('backup', '--out', 'copy.db'), 3)
    assert.match(printed[0] ?? '', /copy\.db is there already/)
    assert.equal(await readFile(join(folder, 'copy.db'), 'utf8'), 'precious')
  })

  it('makes no file out of nothing', async () => {
    assert.equal(await lotse('backup', '--out', 'copy.db'), 3)
    assert.match(printed[0] ?? '', /there is no store at/)
    assert.equal(await lotse('backup', '--out', 'copy.db', '--store', 'etc/gateway.yaml'), 3)
    assert.match(printed[1] ?? '', /not a database/)
    assert.deepEqual((await readdir(folder)).sort(), ['etc'])
  })

  it('says what is missing on the command line', async () => {
    for (const words of [[], ['restore'], ['backup'], ['backup', 'now', '--out', 'x']]) {
      await assert.rejects(lotse(...words), UsageError, words.join(' '))
    }
    await writeFile(join(folder, 'etc/gateway.yaml'), 'store: { kind: redis, url: redis://localhost }')
    await assert.rejects(lotse('backup', '--out', 'x'), /names no embedded store/)
  })
})
