import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openClaims } from '../../src/leases/claims.ts'
import { openEmbedded } from '../../src/store/embedded.ts'

test('a process whose clock is behind gives back no claim but its own', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-claims-'))
  t.after(() => rm(folder, { recursive: true }))
  let time = 1_800_000_000
  let tokens = 0
  const path = join(folder, 'lotse.db')
  const behind = () => time
  const ahead = () => time + 10
  const [slow, fast] = [
    await openEmbedded({ path, now: behind }),
    await openEmbedded({ path, now: ahead, mode: 'command' }),
  ]
  t.after(() => Promise.all([slow.close(), fast.close()]))
  const random = () => `token ${tokens++}`
  const claim = await openClaims(slow, behind, random).claim('cloud ada')
  assert.ok(claim)
  time += 21 // over for one clock, and not for the other
  const other = await openClaims(fast, ahead, random).claim('cloud ada')
  assert.ok(other)
  await claim.release()
  assert.equal(await openClaims(fast, ahead, random).claim('cloud ada'), undefined)
  await other.release()
  assert.ok(await openClaims(slow, behind, random).claim('cloud ada'))
})
