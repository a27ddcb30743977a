import assert from 'node:assert/strict'
import { test } from 'node:test'
import { signJws, verifyJws } from '../../src/keys/jws.ts'
import { generateKey } from '../../src/keys/keypair.ts'

test('a remembered signature vouches for that very text as that very kind of token, and for nothing else', async () => {
  const pair = await generateKey('ES256', 2048)
  const verified = new Set<string>()
  const jws = signJws(pair, 'at+jwt', { sub: 'ada' })
  for (const _again of [1, 2]) assert.deepEqual(verifyJws([pair], 'at+jwt', jws, verified), { sub: 'ada' })
  assert.equal(verified.size, 1)
  assert.ok(![...verified].some((text) => jws.includes(text) || text.includes(jws)), 'nothing of the token is kept')
  assert.equal(verifyJws([pair], 'JWT', jws, verified), undefined)
  const [head, body, tail = ''] = jws.split('.')
  const changed = Buffer.from(JSON.stringify({ sub: 'bob' })).toString('base64url')
  for (const other of [`${head}.${changed}.${tail}`, `${head}.${body}.${tail.slice(0, -4)}AAAA`, `${jws}.`, `${jws}=`])
    assert.equal(verifyJws([pair], 'at+jwt', other, verified), undefined)
  assert.equal(verified.size, 1, 'what was refused is not remembered')
})

test('only so many signatures are remembered, and a forgotten one is verified anew', async () => {
  const pair = await generateKey('ES256', 2048)
  const verified = new Set<string>()
  const texts = Array.from({ length: 2050 }, (_, n) => signJws(pair, 'at+jwt', { n }))
  for (const text of texts) assert.ok(verifyJws([pair], 'at+jwt', text, verified))
  assert.equal(verified.size, 2048)
  assert.deepEqual(verifyJws([pair], 'at+jwt', texts[0] ?? '', verified), { n: 0 })
  assert.equal(verified.size, 2048)
})
