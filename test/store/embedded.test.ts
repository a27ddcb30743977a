import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbedded } from '../../src/store/embedded.ts'
import { type OpenedStore, storeContract } from '../contract/store.ts'

storeContract('the embedded store', async (): Promise<OpenedStore> => {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-store-'))
  const path = join(folder, 'lotse.db')
  let time = 1_800_000_000
  const now = () => time
  return {
    store: await openEmbedded({ path, now }),
    another: () => openEmbedded({ path, now, mode: 'command' }),
    advance: (seconds) => {
      time += seconds
    },
    close: () => rm(folder, { recursive: true }),
  }
})
