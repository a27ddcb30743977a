import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { watch } from '../../src/config/watch.ts'

/** Watches a folder with one file and one subfolder; `next()` resolves at the next call back. */
async function watched(quiet: number) {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-watch-'))
  const file = join(folder, 'gateway.yaml')
  await writeFile(file, 'a')
  let calls = 0
  let told = () => {}
  const stop = watch({ files: [file], folders: [], quiet, poll: 50 }, () => {
    calls++
    told()
  })
  return {
    file,
    calls: () => calls,
    next: () =>
      new Promise<void>((done, fail) => {
        const timer = setTimeout(() => fail(new Error('no call back within 5 s')), 5000)
        told = () => {
          clearTimeout(timer)
          done()
        }
      }),
    end: async () => {
      stop()
      await rm(folder, { recursive: true })
    },
  }
}

test('a file that is written is told, once for writes close together', async () => {
  const { file, next, calls, end } = await watched(100)
  const told = next()
  await writeFile(file, 'ab')
  await writeFile(file, 'abc')
  await told
  assert.equal(calls(), 1)
  await end()
})

test('a file that is replaced by another one is told', async () => {
  const { file, next, end } = await watched(20)
  const told = next()
  await writeFile(`${file}.new`, 'b')
  await rename(`${file}.new`, file)
  await told
  await end()
})
