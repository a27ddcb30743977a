import type { ConnectorPorts } from '../../connector.ts'
import { type Copy, endOf, openCopyShelf } from './good-copy.ts'
import { type Index, indexOf } from './index-of.ts'

/** What is known of one source at this moment. */
export interface Known extends Index {
  readonly copy: Copy
}

/** What a source gave, until its end, over restarts. */
export interface Keeper {
  /** What is good now; undefined before anything is there and past its end. */
  good(): Known | undefined
  /** Unix seconds until which what is there is good; undefined where nothing is. */
  goodUntil(): number | undefined
  /** Takes what an earlier process kept; what cannot be read of it is read from the source. */
  restore(): Promise<Copy | undefined>
  /** Takes a copy in the place of what is there, and keeps it. */
  take(copy: Copy): Promise<Known>
}

/**
 * @param name of the shelf's copy, as for `openCopyShelf`
 * @param facts for the log: whose it is
 */
export function openKeeper(ports: ConnectorPorts, name: string, facts: Readonly<Record<string, string>>): Keeper {
  const shelf = openCopyShelf(ports, name)
  let known: Known | undefined

  const use = async (copy: Copy): Promise<Known> => {
    known = known?.copy.blocks === copy.blocks ? { ...known, copy } : { ...(await indexOf(copy.blocks)), copy }
    return known
  }
  const warn = (message: string) => (error: Error) => {
    ports.log('warn', message, { ...facts, error: error.message })
    return undefined
  }

  return {
    good() {
      if (known && endOf(known.copy) <= ports.now()) {
        ports.log('error', 'metadata has come to its end and is not used any more', facts)
        known = undefined
      }
      return known
    },
    goodUntil: () => known && endOf(known.copy),
    async restore() {
      const copy = await shelf.load().catch(warn('kept metadata cannot be read'))
      if (!copy || known) return undefined
      await use(copy)
      return copy
    },
    async take(copy) {
      const taken = await use(copy)
      await shelf.save(copy).catch(warn('metadata cannot be kept'))
      return taken
    },
  }
}
