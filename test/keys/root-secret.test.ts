import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openRoot } from '../../src/keys/root-secret.ts'

describe('the root secret', () => {
  let dir = ''
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lotse-root-'))
  })
  after(() => rm(dir, { recursive: true }))
  const fresh = () => mkdtemp(join(dir, 'keys-'))

  it('is not made where the configuration does not allow it, and the message says what to do', async () => {
    const keys = await fresh()
    await assert.rejects(openRoot(keys, { create: 'refused' }), /no root secret at .*keys\.create/)
    assert.deepEqual(await readdir(keys), [])
  })

  it('that can be neither read nor made is told with its place and why', async () => {
    const file = join(await fresh(), 'keys')
    await writeFile(file, '')
    await assert.rejects(openRoot(file, { create: 'allowed' }), /root\.secret cannot be read: ENOTDIR$/)
    const nowhere = join(await fresh(), 'link')
    await symlink('gone', nowhere)
    await assert.rejects(openRoot(nowhere, { create: 'allowed' }), /cannot be made at .*root\.secret: ENOENT$/)
  })

  it('is made once, readable by its owner alone, in a folder that is made for it', async () => {
    const keys = join(await fresh(), 'deep', 'keys')
    const root = await openRoot(keys, { create: 'allowed' })
    assert.equal((await stat(join(keys, 'root.secret'))).mode & 0o777, 0o600)
    assert.match(await readFile(join(keys, 'root.secret'), 'utf8'), /^[A-Za-z0-9_-]{43}\n$/)
    assert.deepEqual(await readdir(keys), ['root.secret'])
    const again = await openRoot(keys, { create: 'refused' })
    assert.deepEqual(again.derive('x'), root.derive('x'))
  })

  it('is one secret where twelve callers start at once', async () => {
    const keys = await fresh()
    const roots = await Promise.all(Array.from({ length: 12 }, () => openRoot(keys, { create: 'allowed' })))
    assert.equal(new Set(roots.map((root) => root.derive('x').toString('hex'))).size, 1)
    assert.deepEqual(await readdir(keys), ['root.secret'])
  })

  it('is one secret where four processes start at once', async () => {
    const keys = await fresh()
    const module = new URL('../../src/keys/root-secret.ts', import.meta.url).href
    const code = `import { openRoot } from ${JSON.stringify(module)}
      console.log((await openRoot(${JSON.stringify(keys)}, { create: 'allowed' })).derive('x').toString('hex'))`
    const seen = await Promise.all(Array.from({ length: 4 }, () => printed(code)))
    assert.equal(new Set(seen).size, 1)
    assert.match(seen[0]!, /^[0-9a-f]{64}\n$/)
  })

  for (const mode of [0o640, 0o604, 0o660, 0o644]) {
    it(`is refused with mode ${mode.toString(8)}`, async () => {
      const keys = await fresh()
      await openRoot(keys, { create: 'allowed' })
      await chmod(join(keys, 'root.secret'), mode)
      await assert.rejects(openRoot(keys, { create: 'allowed' }), /chmod 600/)
    })
  }

  for (const text of ['', 'short', `${'A'.repeat(44)}`, `${'A'.repeat(42)}!`, `${'A'.repeat(42)}B`]) {
    it(`is refused where the file holds ${JSON.stringify(text)}`, async () => {
      const keys = await fresh()
      await writeFile(join(keys, 'root.secret'), text, { mode: 0o600 })
      await assert.rejects(openRoot(keys, { create: 'allowed' }), /no root secret \(43 characters/)
      assert.equal(await readFile(join(keys, 'root.secret'), 'utf8'), text)
    })
  }

  it('derives 32 bytes that differ by purpose and are not the key that seals', async () => {
    const root = await openRoot(await fresh(), { create: 'allowed' })
    const purposes = ['seal', 'cookies', 'refresh', '']
    assert.equal(new Set(purposes.map((purpose) => root.derive(purpose).toString('hex'))).size, purposes.length)
    assert.equal(root.derive('cookies').length, 32)
  })

  it('derives what RFC 5869 says', async () => {
    const keys = await fresh()
    await writeFile(join(keys, 'root.secret'), `${Buffer.alloc(32, 1).toString('base64url')}\n`, { mode: 0o600 })
    const root = await openRoot(keys, { create: 'refused' })
    // openssl kdf -keylen 32 -kdfopt digest:SHA2-256 -kdfopt hexkey:0101…01 -kdfopt salt:lotse -kdfopt info:for:cookies HKDF
    assert.equal(
      root.derive('cookies').toString('hex'),
      'f9e0d9454e46903d28d1a83f400a43cc3633863e4089a82e09ae8e79fceeb8aa',
    )
  })

  it('opens what it sealed, for the same context only', async () => {
    const root = await openRoot(await fresh(), { create: 'allowed' })
    const sealed = root.seal('Größe; secret', 'ring:issuer')
    assert.match(sealed, /^[A-Za-z0-9_-]+$/)
    assert.equal(root.open(sealed, 'ring:issuer'), 'Größe; secret')
    assert.equal(root.open(root.seal('', ''), ''), '')
    assert.throws(() => root.open(sealed, 'ring:other'), /not sealed with this root secret/)
    assert.notEqual(root.seal('a', 'b'), root.seal('a', 'b'))
  })

  it('opens nothing that was changed in any byte, cut, written otherwise or sealed elsewhere', async () => {
    const root = await openRoot(await fresh(), { create: 'allowed' })
    const other = await openRoot(await fresh(), { create: 'allowed' })
    const sealed = root.seal('text', 'c')
    const bytes = Buffer.from(sealed, 'base64url')
    for (let index = 0; index < bytes.length; index++) {
      const changed = Buffer.from(bytes)
      changed[index]! ^= 1
      assert.throws(() => root.open(changed.toString('base64url'), 'c'), `byte ${index}`)
      assert.throws(() => root.open(bytes.subarray(0, index).toString('base64url'), 'c'), `cut at ${index}`)
    }
    assert.throws(() => root.open(`${sealed}=`, 'c'))
    assert.throws(() => root.open(` ${sealed}`, 'c'))
    assert.throws(() => root.open(other.seal('text', 'c'), 'c'))
  })
})

function printed(code: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (data) => {
      text += data
    })
    child.on('error', reject)
    child.on('close', () => resolve(text))
  })
}
