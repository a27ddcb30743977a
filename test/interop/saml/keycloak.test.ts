import { after, before, describe } from 'node:test'
import { startSamlKeycloak } from './keycloak.ts'
import type { SamlUpstream } from './upstream.ts'
import { signInWalks } from './walks.ts'
import { startWorld, type World } from './world.ts'

let upstream: SamlUpstream
before(async () => {
  upstream = await startSamlKeycloak()
})
after(() => upstream.stop())

for (const encrypted of ['optional', 'required'] as const) {
  describe(`Keycloak, encryption ${encrypted}`, () => {
    let world: World
    before(async () => {
      world = await startWorld(upstream, encrypted)
    })
    after(() => world.close())
    signInWalks(() => world)
  })
}
