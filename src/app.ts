import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Audit } from './audit.ts'
import type { GatewayConfig } from './config/gateway.ts'
import type { Standing } from './connectors/connector.ts'
import type { ServiceProvider } from './connectors/saml/side.ts'
import type { Decision, Grant } from './core/decision.ts'
import { type Clock, type Log, SAML_RING } from './core/ports.ts'
import type { Subject } from './core/subject.ts'
import { createFetcher } from './fetcher/fetcher.ts'
import { agreeOn, type FleetPorts, lackedBy, openFleet, openMuster } from './fleet.ts'
import { composeGateway, type Gateway, strict } from './http/gateway.ts'
import { createMetrics, type KnownNames, type Metrics } from './http/metrics.ts'
import { parseTrusted } from './http/origin.ts'
import { createLook } from './http/pages/index.ts'
import type { ConnectorEntry, Parts } from './http/parts.ts'
import { routeNames } from './http/routes.ts'
import type { Rings } from './keys/rings.ts'
import type { Root } from './keys/root.ts'
import { type Leases, openLeases } from './leases/leases.ts'
import type { World as LeaseWorld } from './leases/world.ts'
import { type Ends, openEnds } from './lifecycle/end.ts'
import { openLines } from './lifecycle/lines.ts'
import { type Delivery, openDelivery } from './lifecycle/notices.ts'
import { openProofShelf, type ProofShelf } from './lifecycle/proofs.ts'
import { openRechecks, type Rechecks } from './lifecycle/recheck.ts'
import { leaseWorld, writablePool } from './live-targets.ts'
import { openKeys, openTargets } from './signing.ts'
import { inTime } from './store/deadline.ts'
import type { Store } from './store/store.ts'
import { countWithdrawals } from './store/withdrawals.ts'
import type { Target } from './targets/target.ts'
import { connectorPool, entityIdOf, samlMetadataOf, spAbout } from './upstreams.ts'

/** A configuration that was read, checked and compiled. */
export interface Loaded {
  readonly config: GatewayConfig
  readonly decide: (subject: Subject, now: number) => Decision
  /** What the rules give at a target whoever comes. */
  readonly always: (target: Target) => readonly Grant[]
  readonly digest: string
  readonly disabledTenants: readonly string[]
}

/** What the process gives the gateway. */
export interface AppPorts {
  readonly store: Store
  readonly root: Root
  readonly audit: Audit
  readonly log: Log
  readonly now: Clock
  readonly random: () => string
  /** What operators call this process, and its version; a name that says nothing if absent. */
  readonly as?: Pick<FleetPorts, 'id' | 'version'>
  /** Once aborted nothing long is begun any more. */
  readonly stop?: AbortSignal
}

/** A running gateway without its sockets. */
export interface App {
  readonly handle: (req: IncomingMessage, res: ServerResponse) => void
  readonly metrics: Metrics
  /** The one way in which access ends. */
  readonly ends: Ends
  ready(): Promise<void>
  /** What is known of upstreams by their metadata, by connector. */
  standing(): Readonly<Record<string, Standing>>
  /** Composes a new gateway beside the old one and swaps it in; sessions and sign-ins in flight go on, since all of them are in the store. */
  reload(loaded: Loaded): Promise<void>
  /** Once a second: what other processes did to the keys, and what is due. */
  tick(): Promise<void>
  /** Once a second, apart from `tick`, as a client that does not answer takes seconds: logouts that clients have yet to hear of. */
  deliver(): Promise<void>
  /** Once a second: what ran out ends, and so does what a crash or a command left to end. */
  end(): Promise<void>
  /** Once a second: begins with whoever waits to be looked at, at targets into which the gateway writes. */
  settle(): Promise<void>
  /** Once a second: begins to look at everybody there where that is due. */
  reconcile(): Promise<void>
  /** Resolves when what `settle` and `reconcile` began is done: a slow target holds up nothing but this. */
  idle(): Promise<void>
  /** This process serves no more: the others wait for it no longer. */
  leave(): Promise<void>
}

const ANSWER_LIMIT = 1024 * 1024
const PATIENCE_MS = 5000

function composition(
  { ports, metrics, lifecycle, withdrawn }: Lasting,
  { loaded, rings, world }: { readonly loaded: Loaded; readonly rings: Rings; readonly world: World },
): Gateway {
  const { config } = loaded
  const parts: Parts = {
    issuer: new URL(config.issuer),
    clients: new Map(config.clients.map((client) => [client.id, client])),
    connectors: world.connectors,
    samlMetadata: world.samlMetadata,
    targets: world.targets,
    lifetimes: {
      sessionIdle: config.sessions.idle,
      sessionMax: config.sessions.max,
      refresh: config.sessions.refresh,
      ...(config.sessions.perPerson === undefined ? {} : { perPerson: config.sessions.perPerson }),
    },
    assurance: config.assurance,
    decide: loaded.decide,
    store: ports.store,
    withdrawn,
    ...lifecycle,
    rings,
    root: ports.root,
    audit: ports.audit,
    log: ports.log,
    meter: metrics,
    look: createLook(config.brand as Parameters<typeof createLook>[0]),
    now: ports.now,
    random: ports.random,
    fetch: createFetcher({
      reach: 'public',
      allowPrivate: config.clients.flatMap(privateHost),
      timeoutMs: PATIENCE_MS,
      maxBytes: ANSWER_LIMIT,
    }),
  }
  return composeGateway(parts, parseTrusted(config.trustedProxies))
}

/** What lives on over reloads and rotations. */
interface Lasting {
  readonly ports: AppPorts
  readonly metrics: Metrics
  readonly lifecycle: Lifecycle
  readonly withdrawn: () => number
}

interface Lifecycle {
  readonly proofs: ProofShelf
  readonly rechecks: Rechecks
  readonly ends: Ends
  readonly delivery: Delivery
  readonly leases: Leases
}

/** What of a configuration those parts ask for that live on over reloads. */
interface Current {
  connector(id: string): ConnectorEntry | undefined
  hears(client: string): boolean
  leases(): LeaseWorld
  /** How many processes serve from the store. */
  processes(): number
}

/** Seconds for which what was ended refuses late writes: longer than any request. */
const REFUSE = 86_400

/** How access begins and ends: what is under way here must not be forgotten when the configuration changes. */
function openLifecycle(ports: AppPorts, meter: Metrics, current: Current): Lifecycle {
  const { connector, hears, leases: world, processes } = current
  const proofs = openProofShelf(ports.store, ports.now)
  const lines = openLines(ports.store, ports.audit)
  const touched: Leases['mark'] = (sub, delay) => leases.mark(sub, delay)
  const ends = openEnds({ ...ports, proofs, lines, touched, refuseFor: REFUSE, hears })
  const gone = async (id: string, why?: string) =>
    void (await ends.end({ kind: 'proof', id }, 'recheck', {
      reference: 'recheck',
      ...(why === undefined ? {} : { why }),
    }))
  const renewed: Leases['renewed'] = (before, after) => leases.renewed(before, after)
  const rechecks = openRechecks({ ...ports, proofs, connector, gone, renewed })
  const leases = openLeases({ ...ports, proofs, rechecks, lines, meter, world, processes })
  return { proofs, ends, rechecks, leases, delivery: openDelivery(ports) }
}

/** Before there is a configuration. */
const nothingLive: LeaseWorld = {
  targets: new Map(),
  bound: new Map(),
  decide: () => {
    throw new Error('there is no configuration yet')
  },
  connectors: new Set(),
  services: [],
  service: () => undefined,
}

/** A client in the operator's own network, which has to be named as such: a name of the public may lead there by mistake (law 10). */
const privateHost = ({ backchannelLogout: to }: GatewayConfig['clients'][number]): readonly string[] =>
  to?.private ? [new URL(to.url).hostname.replace(/^\[|\]$/g, '')] : []

interface World {
  readonly targets: ReadonlyMap<string, Target>
  readonly connectors: ReadonlyMap<string, ConnectorEntry>
  readonly samlMetadata: Parts['samlMetadata']
}

const noNames: KnownNames = { connectors: new Set(), targets: new Set(), routes: routeNames }

function namesOf({ connectors, targets }: World): KnownNames {
  return { connectors: new Set(connectors.keys()), targets: new Set([...targets.keys(), 'none']), routes: routeNames }
}

/**
 * The composition root: from a configuration and what the process gives to a running gateway.
 * @throws where keys or the store cannot be used
 */
export async function openApp(first: Loaded, given: AppPorts): Promise<App> {
  const counted = countWithdrawals(inTime(given.store))
  const ports: AppPorts = { ...given, store: counted.store, audit: strict(given.audit) }
  const issuer = new URL(first.config.issuer)
  const sp: ServiceProvider = {
    entityId: entityIdOf(issuer),
    keys: () => current?.rings.certified(SAML_RING) ?? [],
    about: () => spAbout((current?.loaded ?? first).config),
  }
  const fleet = openFleet({ ...ports, ...(given.as ?? { id: ports.random(), version: 'unknown' }) })
  const awaited = async (kids: readonly string[]) => lackedBy((await fleet.live()).values(), kids)
  const connectorsOf = connectorPool({ ...ports, sp }, issuer)
  const writableOf = writablePool(ports)
  const compose = async (loaded: Loaded) => {
    const targets = openTargets(loaded.config)
    const { connectors } = loaded.config
    const samlMetadata = samlMetadataOf(connectors, sp, issuer)
    const world: World = { targets, connectors: connectorsOf(connectors), samlMetadata }
    const agreed = async () => agreeOn((await fleet.live()).values(), loaded.digest)
    const rings = await openKeys({ ...ports, audit: given.audit, awaited, agreed }, loaded.config, targets)
    const writable = await writableOf(loaded.config, targets, loaded.always)
    const leases = leaseWorld(loaded.config, writable, loaded.decide)
    const gateway = composition({ ports, metrics, lifecycle, ...counted }, { loaded, rings, world })
    return { loaded, world, leases, rings, names: namesOf(world), gateway }
  }
  // Asked at every count: made once for each composition.
  const metrics = createMetrics(() => current?.names ?? noNames)
  const muster = openMuster(fleet, ports.log, metrics)
  const lifecycle = openLifecycle(ports, metrics, {
    processes: muster.size,
    connector: (id) => current?.world.connectors.get(id),
    hears: (id) => current?.loaded.config.clients.some((one) => one.id === id && one.backchannelLogout) === true,
    leases: () => current?.leases ?? nothingLive,
  })
  let current: Awaited<ReturnType<typeof compose>> | undefined
  current = await compose(first)
  metrics.configLoaded(ports.now())
  const mustered = async ({ loaded: { digest }, rings }: NonNullable<typeof current>) =>
    await muster.call({ configuration: digest, kids: rings.list().map(({ kid }) => kid) })
  await mustered(current)

  return {
    metrics,
    ends: lifecycle.ends,
    handle: (req, res) => current?.gateway.handle(req, res),
    ready: () => ports.store.check(),
    standing() {
      const known = [...(current?.world.connectors.values() ?? [])].map((one) => [one.id, one.standing()] as const)
      return Object.fromEntries(known.flatMap(([id, standing]) => (standing ? [[id, standing]] : [])))
    },
    async reload(loaded) {
      if (loaded.config.issuer !== first.config.issuer) throw new Error('the issuer cannot change while running')
      current = await compose(loaded)
      lifecycle.leases.reloaded()
      metrics.configLoaded(ports.now())
    },
    async tick() {
      const before = current as NonNullable<typeof current>
      for (const one of before.world.connectors.values()) {
        one.tend()
        const standing = one.standing()
        if (standing) metrics.metadata(one.id, standing)
      }
      // A reload that came in between has opened the rings anew, and must not be undone.
      if ((await before.rings.tick()) && current === before) {
        current = { ...before, gateway: composition({ ports, metrics, lifecycle, ...counted }, before) }
        ports.log('info', 'the keys changed: a new provider was swapped in')
      }
      await mustered(current ?? before)
    },
    async deliver() {
      await current?.gateway.deliver()
    },
    async end() {
      await lifecycle.ends.resume()
      await lifecycle.ends.expire()
    },
    settle: lifecycle.leases.tick,
    reconcile: lifecycle.leases.passes,
    idle: lifecycle.leases.idle,
    leave: fleet.leave,
  }
}
