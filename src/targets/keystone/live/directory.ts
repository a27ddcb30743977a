import type { LivePorts } from '../../live.ts'
import { TargetUnavailable } from '../../live.ts'
import type { KeystoneApi } from './api.ts'

/** Seconds for which names of domains and roles are believed; a name that is not there is asked for each time. */
const BELIEVED = 60
/** Seconds for which nothing is made that could not be made. */
const BLOCKED = 600

/** The names that hardly ever change, and what cannot be made. */
export interface Directory {
  /** Ids by name; names that are not there are left out. @throws {TargetUnavailable} */
  domains(names: readonly string[]): Promise<ReadonlyMap<string, string>>
  /** As `domains`; the operator is told once of a role that is not there, since none is ever made. */
  roles(names: readonly string[]): Promise<ReadonlyMap<string, string>>
  /** Tells the operator, once, of what rules or people need, and what is neither there nor to be made. */
  missing(what: string): void
  /** What could not be made, until it is tried again. */
  blocked(): ReadonlySet<string>
  /** @param says what could not be made, and why: for the operator */
  block(key: string, says: { readonly what: string; readonly why: string }): void
}

interface Named {
  readonly id: string
  readonly name: string
}

export function openDirectory(
  target: string,
  api: Pick<KeystoneApi, 'rows' | 'ownDomain'>,
  { now, log }: Pick<LivePorts, 'now' | 'log'>,
): Directory {
  const believed: Record<'domains' | 'roles', ReadonlyMap<string, string>> = { domains: new Map(), roles: new Map() }
  const until = { domains: 0, roles: 0 }
  const blocked = new Map<string, number>()
  const told = new Set<string>()

  const read = async (kind: 'domains' | 'roles', names: readonly string[]) => {
    // Never emptied: whoever looked before may still be reading the rest, and would find every domain and role gone.
    const known = now() < until[kind] ? believed[kind] : new Map<string, string>()
    if (names.every((name) => known.has(name))) return known
    const rows = kind === 'roles' ? await api.rows<Named>('roles', '/roles') : await domainsOf(api)
    until[kind] = now() + BELIEVED
    believed[kind] = new Map(rows.map(({ id, name }) => [name, id]))
    return believed[kind]
  }

  const missing = (what: string): void => {
    if (told.has(what)) return
    told.add(what)
    log('error', 'what rules or people need is not there, and is not made; make it, or change the rule', {
      target,
      what,
    })
  }

  return {
    domains: (names) => read('domains', names),
    async roles(names) {
      const found = await read('roles', names)
      for (const name of new Set(names)) if (!found.has(name)) missing(`role ${name}`)
      return found
    },
    missing,
    blocked() {
      for (const [key, end] of blocked) if (end <= now()) blocked.delete(key)
      return new Set(blocked.keys())
    },
    block(key, { what, why }) {
      blocked.set(key, now() + BLOCKED)
      log('error', 'what rules name is not there and cannot be made', { target, what, why })
    },
  }
}

/** A domain's manager may not list domains at an old Keystone; she knows her own. */
async function domainsOf(api: Pick<KeystoneApi, 'rows' | 'ownDomain'>): Promise<readonly Named[]> {
  const own = await api.ownDomain()
  try {
    return await api.rows<Named>('domains', '/domains')
  } catch (error) {
    if (own === undefined || !(error instanceof TargetUnavailable) || error.kind !== 'refused') throw error
    return [own]
  }
}
