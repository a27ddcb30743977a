import { randomBytes } from 'node:crypto'
import { after, before, describe } from 'node:test'
import { openRedis } from '../../../src/store/redis/store.ts'
import { type OpenedStore, storeContract } from '../../contract/store.ts'
import { startTopology, type Topology, topologies } from './topologies.ts'

for (const name of topologies) {
  describe(`on ${name}`, () => {
    let topology: Topology
    let opened = 0
    const secret = randomBytes(32)
    before(async () => {
      topology = await startTopology(name)
    })
    after(() => topology.close())

    storeContract(`the Redis store on ${name}`, async (): Promise<OpenedStore> => {
      let time = 1_800_000_000
      const prefix = `contract-${opened++}`
      const options = { ...topology.place, prefix, derive: () => secret, now: () => time }
      return {
        store: await openRedis(options),
        another: () => openRedis({ ...options, mode: 'command' }),
        advance: (seconds) => {
          time += seconds
        },
        close: () => {},
      }
    })
  })
}
