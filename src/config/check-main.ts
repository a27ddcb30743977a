import { clientMistakes, type Known, type Mistake } from './check-clients.ts'
import type { MainFile } from './compose.ts'
import type { Path } from './problem.ts'
import { storeMistakes } from './store.ts'

const say = (path: Path, message: string): Mistake => ({ path, message })

/** What the parts of the main file, each right by itself, contradict each other in. */
export function mainMistakes(main: MainFile, known: Known): readonly Mistake[] {
  return [
    ...twice('targets', main.targets, ({ id }) => id, 'id'),
    ...twice('clients', main.clients, ({ id }) => id, 'id'),
    ...audiences(main, known),
    ...main.clients.flatMap((client, index) =>
      clientMistakes(client, known).map(({ path, message }) => say(['clients', index, ...path], message)),
    ),
    ...server(main),
    ...tenants(main),
  ]
}

/** What the compiler of rules says of connectors too, for a file whose rules cannot be compiled yet. */
export function connectorMistakes({ connectors }: MainFile): readonly Mistake[] {
  return [
    ...twice('connectors', connectors, ({ id }) => id, 'id'),
    ...emailOverlaps(connectors.map(({ emailDomains }, index) => ({ emailDomains, path: ['connectors', index] }))),
  ]
}

function twice<T>(section: string, items: readonly T[], of: (item: T) => string, key: string): readonly Mistake[] {
  const values = items.map(of)
  return values.flatMap((value, index) => {
    const first = values.indexOf(value)
    return first === index ? [] : [say([section, index, key], `${section}[${first}] is called so already; rename one`)]
  })
}

/** No two targets share an audience (law 8): a token for one would be good at the other. */
function audiences({ targets }: MainFile, known: Known): readonly Mistake[] {
  return targets.flatMap(({ id, audience }, index) => {
    const own = known.targets.get(id)
    const other = targets.slice(0, index).find((each) => each.id !== id && known.targets.get(each.id) === own)
    if (!other || own === undefined) return []
    const path = ['targets', index, audience === undefined ? 'id' : 'audience']
    return [say(path, `target ${other.id} has this audience, and would take these tokens; write another`)]
  })
}

/** Two upstreams that may assert one e-mail domain could both say that somebody is alice@ it (law 15). */
function emailOverlaps(
  connectors: readonly { readonly emailDomains: readonly string[]; readonly path: Path }[],
): readonly Mistake[] {
  const owners = new Map<string, number>()
  return connectors.flatMap(({ emailDomains, path }, index) =>
    emailDomains.flatMap((domain, position) => {
      const owner = owners.get(domain)
      if (owner === undefined) owners.set(domain, index)
      if (owner === undefined) return []
      const whose = owner === index ? 'this connector has it already' : 'another connector asserts this domain'
      return [say([...path, 'emailDomains', position], `${whose}; an e-mail domain belongs to one, take it out`)]
    }),
  )
}

function server({ listen, operations, sessions, keys, store }: MainFile): readonly Mistake[] {
  const shared = operations && operations.port === listen.port && listen.port !== 0
  return [
    ...(shared && operations.address === listen.address
      ? [say(['operations', 'port'], 'listen has this port already; write another')]
      : []),
    ...(keys.lead >= keys.rotateEvery
      ? [say(['keys', 'lead'], 'not shorter than keys.rotateEvery, so no key would ever sign; write a shorter time')]
      : []),
    ...(sessions.idle > sessions.max
      ? [say(['sessions', 'idle'], 'longer than sessions.max, so never reached; write a shorter time')]
      : []),
    ...storeMistakes(store).map(({ path, message }) => say(['store', ...path], message)),
  ]
}

/** What every tenant may assert cannot be one and the same domain. */
function tenants({ tenants: block }: MainFile): readonly Mistake[] {
  const shared = (block?.each?.emailDomains ?? []).flatMap((domain, index) =>
    domain.includes('<tenant.id>')
      ? []
      : [
          say(
            ['tenants', 'each', 'emailDomains', index],
            'the same for all tenants; write <tenant.id> in it, or use named',
          ),
        ],
  )
  const named = Object.entries(block?.named ?? {}).map(([id, { emailDomains }]) => ({
    emailDomains,
    path: ['tenants', 'named', id],
  }))
  return [...shared, ...emailOverlaps(named)]
}
