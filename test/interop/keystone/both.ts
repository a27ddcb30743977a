import { after, before, describe } from 'node:test'
import { installKeystones, type Kind } from './install.ts'
import { startWorld, type World, type WorldOptions } from './world.ts'

/** Both Keystones; LOTSE_KEYSTONE_KIND=debian or newest is one of them. */
export const kinds: readonly Kind[] = (await installKeystones()).filter(({ name }) =>
  (process.env['LOTSE_KEYSTONE_KIND'] ?? name).includes(name),
)

/** The same tests at each Keystone, in a world of its own. @param tests gets the world, once they run */
export function atEach(
  options: WorldOptions | ((kind: Kind) => WorldOptions),
  tests: (world: () => World, kind: Kind) => void,
  some: readonly Kind[] = kinds,
): void {
  for (const kind of some)
    describe(kind.label, () => {
      let world: World | undefined
      before(async () => {
        world = await startWorld(kind, typeof options === 'function' ? options(kind) : options)
      })
      after(() => world?.close())
      tests(() => world as World, kind)
    })
}
