import { readFile } from 'node:fs/promises'
import type { ConnectorPorts } from '../connector.ts'
import type { Idp, IdpDirectory } from './idp.ts'
import { openParser } from './metadata/parse.ts'
import type { SamlConfig } from './options.ts'

export function openDirectory(config: SamlConfig, ports: ConnectorPorts): IdpDirectory {
  let known: Promise<readonly Idp[]> | undefined
  const read = async (): Promise<readonly Idp[]> => {
    const all: Idp[] = []
    for (const source of config.metadata) {
      if ('mdq' in source) continue
      const text = 'url' in source ? await (await ports.fetch(source.url)).text() : await readFile(source.file, 'utf8')
      const parser = openParser({
        certificates: source.certificate ? [source.certificate] : [],
        only: (config.only as never) ?? {},
        most: 1e8,
        now: ports.now(),
      } as never)
      parser.write(Buffer.from(text) as never)
      const { blocks } = (parser as unknown as { end(): { blocks: readonly Uint8Array[] } }).end()
      for (const block of blocks)
        for (const line of Buffer.from(block).toString().split('\n')) if (line !== '') all.push(JSON.parse(line))
    }
    return all
  }
  const list = () => {
    known ??= read().catch((error: unknown) => {
      known = undefined
      throw error
    })
    return known
  }
  return {
    find: async (id) => (await list()).find(({ entityId }) => entityId === id),
    only: async () => {
      const all = await list()
      return all.length === 1 ? all[0] : undefined
    },
  }
}
