import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { startSimpleSaml } from './simplesamlphp.ts'
import type { SamlUpstream } from './upstream.ts'
import { signInWalks } from './walks.ts'
import { enter, startWorld, type World } from './world.ts'

let work: string
let upstream: SamlUpstream
before(async () => {
  work = await mkdtemp(join(tmpdir(), 'lotse-ssp-'))
  upstream = await startSimpleSaml(work)
})
after(async () => {
  await upstream.stop()
  await rm(work, { recursive: true, force: true })
})

describe('SimpleSAMLphp', () => {
  let world: World
  before(async () => {
    world = await startWorld(upstream, 'optional')
  })
  after(() => world.close())
  signInWalks(() => world)

  test('what it encrypts by AES-CBC, the only way that it has, is refused, and the log says so', async () => {
    await upstream.trust(`${world.gateway.issuer}/saml/metadata`, { encrypted: true })
    await assert.rejects(enter(world, 'redirect', 'ada'), /aes128-cbc is not allowed, AES-GCM is/)
  })
})
