import { LoginError } from '../../../core/errors.ts'
import type { Check } from '../../../core/ports.ts'
import type { ConnectorPorts, Discovery, Standing } from '../../connector.ts'
import type { Idp, IdpDirectory } from '../idp.ts'
import type { SamlConfig } from '../options.ts'
import { endOf } from './good-copy.ts'
import type { Known } from './known.ts'
import { openQuery, type Query } from './mdq.ts'
import type { Only } from './parse.ts'
import { choiceOf, fold, type Listed, search } from './search.ts'
import { openSource, type Source } from './source.ts'

/** The IdPs of a connector, from all of its sources. Where two sources have one of the same entityID, the earlier source's counts. */
export interface Directory extends IdpDirectory {
  /** Undefined where there is nothing to choose. @throws {LoginError} `upstream_unavailable` */
  discover(): Promise<Discovery | undefined>
  /** The same after each source was read or asked anew; what cannot be stays as it is. */
  renew(entityId: string): Promise<Idp | undefined>
  tend(): void
  standing(): Standing
  /** Each source that is a file, read and checked. Never rejects. */
  review(): Promise<readonly Check[]>
  /** Each source, read and checked now. Never rejects. */
  probe(): Promise<readonly Check[]>
}

/** Milliseconds that somebody waits for a document that is being read; the reading goes on, and whoever comes next may find it done. */
const PATIENCE = 5000

/** Makes no request until asked, or tended. */
export function openDirectory(
  config: Pick<SamlConfig, 'id' | 'metadata' | 'entity' | 'only' | 'discovery'>,
  ports: ConnectorPorts,
  patience = PATIENCE,
): Directory {
  const only: Only = onlyOf(config)
  const setting = { connector: config.id, only }
  const sources = config.metadata.map((one): Source | Query =>
    'mdq' in one ? openQuery(one, setting, ports) : openSource(one, setting, ports),
  )
  const listings = sources.filter(isListing)
  const entries = mergedOnce(listings)
  const soon = (source: Source) => inTime(source, source.ready(), patience)

  const find = async (entityId: string) => {
    let failure: { readonly error: unknown } | undefined
    for (const source of sources) {
      try {
        const idp = isListing(source) ? inSource(await soon(source), entityId) : await source.find(entityId)
        if (idp && (idp.validUntil ?? Number.POSITIVE_INFINITY) > ports.now()) return idp
      } catch (error) {
        failure ??= { error }
      }
    }
    // One that may be known to a source that is down is not unknown (law 4).
    if (failure) throw failure.error
    return undefined
  }

  const single = async (): Promise<Idp | undefined> => {
    if (config.entity !== undefined) return find(config.entity)
    if (sources.some((source) => !isListing(source))) return undefined
    const all = await Promise.all(listings.map(soon))
    const [first] = all.filter(({ size }) => size > 0)
    const many = all.some(
      (one) => one.size > 1 || (one.size === 1 && one.first()?.entityId !== first?.first()?.entityId),
    )
    const only = many ? undefined : first?.first()
    return only && find(only.entityId)
  }

  return {
    find,
    only: single,
    async discover() {
      if (config.entity !== undefined || (await single())) return undefined
      return discovery(config, { entries, find, sp: ports.sp.entityId })
    },
    async renew(entityId) {
      for (const source of sources) if (!isListing(source)) source.age(entityId)
      await Promise.allSettled(listings.map((source) => inTime(source, source.read(), patience)))
      return find(entityId)
    },
    tend() {
      for (const source of listings) source.tend()
    },
    standing: () => standingOf(sources),
    review: () => Promise.all(listings.filter((_, at) => isFile(config, listings[at])).map(checked)),
    probe: () => Promise.all(sources.map((one) => (isListing(one) ? checked(one) : asked(one, config.entity)))),
  }
}

async function inTime<T>({ name }: Source, reading: Promise<T>, patience: number): Promise<T> {
  const late = Promise.withResolvers<never>()
  const error = new LoginError('upstream_unavailable', `metadata of ${name} is still being read`)
  const timer = setTimeout(() => late.reject(error), patience)
  return await Promise.race([reading, late.promise]).finally(() => clearTimeout(timer))
}

const isListing = (source: Source | Query): source is Source => 'tend' in source

const isFile = ({ metadata }: Pick<SamlConfig, 'metadata'>, source: Source | undefined) =>
  metadata.some((one) => 'file' in one && one.file === source?.name)

function onlyOf({ entity, only }: Pick<SamlConfig, 'entity' | 'only'>): Only {
  const given = Object.fromEntries(Object.entries(only ?? {}).filter(([, list]) => list !== undefined))
  return entity === undefined ? given : { ...given, entities: [entity] }
}

/** An IdP as a document has it, with the end of the document where that is earlier. */
function inSource(known: Known, entityId: string): Idp | undefined {
  const idp = known.get(entityId)
  const { validUntil } = known.copy
  if (!idp || validUntil === undefined) return idp
  return { ...idp, validUntil: Math.min(validUntil, idp.validUntil ?? validUntil) }
}

/** What discovery shows of all sources, put together anew where one of them has changed. */
function mergedOnce(listings: readonly Source[]): () => readonly Listed[] {
  let from: readonly (readonly Listed[])[] = []
  let merged: readonly Listed[] = []
  return () => {
    const now = listings.map((source) => source.known()?.listed ?? [])
    if (now.length === from.length && now.every((list, at) => list === from[at])) return merged
    from = now
    const seen = new Set<string>()
    merged = now.flat().filter(({ id }) => !seen.has(id) && seen.add(id))
    return merged
  }
}

interface Searched {
  readonly entries: () => readonly Listed[]
  readonly find: (entityId: string) => Promise<Idp | undefined>
  /** The gateway's entityID. */
  readonly sp: string
}

function discovery({ discovery: option }: Pick<SamlConfig, 'discovery'>, { entries, find, sp }: Searched): Discovery {
  const service = typeof option === 'object' ? option.url : undefined
  return {
    async find(hint, language) {
      const domain = fold(hint).replace(/^.*@/, '')
      const byDomain = hint.includes(':') ? [] : entries().filter(({ domains }) => domains.includes(domain))
      if (byDomain.length === 1) return choiceOf(byDomain[0]!, language)
      const listed = entries().find(({ id }) => id === hint)
      if (listed) return choiceOf(listed, language)
      // One that is hidden, or known to a query server alone, is not shown but may be named.
      const idp = hint.includes(':') && hint.length <= 1024 ? await find(hint) : undefined
      return idp && { id: idp.entityId, name: idp.names[language] ?? idp.names['en'] ?? idp.entityId }
    },
    search: (words, language) => search(entries(), words, language),
    ...(service === undefined ? {} : { service: (returnTo: URL) => serviceUrl(service, sp, returnTo) }),
  }
}

/** A request to a discovery service. @see Identity Provider Discovery Service Protocol and Profile, section 2.4.1 */
function serviceUrl(service: string, sp: string, returnTo: URL): URL {
  const url = new URL(service)
  url.searchParams.set('entityID', sp)
  url.searchParams.set('return', returnTo.href)
  url.searchParams.set('returnIDParam', 'entityID')
  return url
}

function standingOf(sources: readonly (Source | Query)[]): Standing {
  const known = sources.filter(isListing).map((source) => source.known())
  const there = known.flatMap((one) => (one ? [one] : []))
  const asked = sources.reduce((sum, source) => sum + (isListing(source) ? 0 : source.size()), 0)
  const all = there.length > 0 && there.length === known.length
  return {
    ...(all ? { readAt: Math.min(...there.map(({ copy }) => copy.readAt)) } : {}),
    ...(there.length > 0 ? { validUntil: Math.min(...there.map(({ copy }) => endOf(copy))) } : {}),
    idps: there.reduce((sum, { size }) => sum + size, 0) + asked,
  }
}

async function checked(source: Source): Promise<Check> {
  const check = `metadata of ${source.name}`
  try {
    const { size, copy } = await source.read()
    const end = copy.validUntil === undefined ? 'no end of its own' : `good until ${isoOf(copy.validUntil)}`
    const found = `${size} identity provider${size === 1 ? '' : 's'}, ${end}`
    return { check, ok: size > 0, found }
  } catch (error) {
    return { check, ok: false, found: (error as Error).message }
  }
}

/** A query server can be asked for an entity that is named alone. */
async function asked(query: Query, entity: string | undefined): Promise<Check> {
  const check = `metadata query at ${query.name}`
  if (entity === undefined)
    return { check, ok: true, note: true, found: 'asked for each identity provider when needed' }
  try {
    const idp = await query.find(entity)
    return { check, ok: idp !== undefined, found: idp ? entity : `knows no ${entity}` }
  } catch (error) {
    return { check, ok: false, found: (error as Error).message }
  }
}

const isoOf = (seconds: number) => new Date(seconds * 1000).toISOString()
