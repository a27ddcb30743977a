import { hash } from 'node:crypto'
import type { ConnectorPorts } from '../connector.ts'
import type { WalletConfig } from './options.ts'

/** Texts of the configuration that may stand at an address: anchors, and lists of issuers. */
export interface Sources {
  /** As it was last read; undefined where it could not be, or too long ago. */
  text(kind: Kind, name: string): string | undefined
  /** Reads what was never read. Never rejects: who needs what is not there says so. */
  ready(): Promise<void>
  /** Begins to read what is due, and does not wait for it. */
  tend(): void
}

export type Kind = 'anchors' | 'lists'

/** Seconds after which an address is read again, sooner after a failure; and after which a reading no longer counts. */
const EVERY = 3600
const SOONER = 300
const LONGEST = 86_400

interface Read {
  readonly at: number
  readonly text: string
}

interface Source {
  readonly name: string
  readonly url: string
  /** What it is kept under: whoever had the name before speaks for nobody who has it now. */
  readonly shelf: string
  next: number
  last?: Read | undefined
  reading?: Promise<void>
}

type Ports = Pick<ConnectorPorts, 'now' | 'fetch' | 'kept' | 'log'>

/** What a configuration names by files is there; what it names by `{ url }` is read from there every hour, and kept over restarts. */
export function openSources(config: Pick<WalletConfig, 'id' | Kind>, ports: Ports): Sources {
  const sources = new Map<string, Source>()
  for (const kind of ['anchors', 'lists'] as const)
    for (const [name, where] of Object.entries(config[kind]))
      if (typeof where === 'object') sources.set(`${kind}/${name}`, sourceOf(`${kind}/${name}`, where.url))
  const read = (source: Source) => {
    source.reading ??= readAgain(source, config.id, ports).finally(() => {
      delete source.reading
    })
    return source.reading
  }
  return {
    text(kind, name) {
      const here = Object.hasOwn(config[kind], name) ? config[kind][name] : undefined
      if (typeof here === 'string') return here
      const last = sources.get(`${kind}/${name}`)?.last
      return last && last.at > ports.now() - LONGEST ? last.text : undefined
    },
    async ready() {
      await Promise.all([...sources.values()].map((source) => (source.last ? undefined : read(source))))
    },
    tend() {
      for (const source of sources.values()) if (source.next <= ports.now()) void read(source)
    },
  }
}

const sourceOf = (name: string, url: string): Source => ({
  name,
  url,
  shelf: hash('sha256', `${name}\n${url}`, 'base64url'),
  next: 0,
})

/** Reads one from its address, or as it was kept where that fails. */
async function readAgain(source: Source, connector: string, { now, fetch, kept, log }: Ports): Promise<void> {
  try {
    const response = await fetch(source.url, {
      headers: { accept: 'application/json, application/x-pem-file, text/plain' },
    })
    if (response.status !== 200) throw new Error(`it answers ${response.status}`)
    const last = { at: now(), text: await response.text() }
    if (!hasContent(source, last.text)) throw new Error('it holds nothing that is known here')
    source.last = last
    source.next = now() + EVERY
    await kept.put(source.shelf, JSON.stringify(last), LONGEST).catch(() => undefined)
  } catch (error) {
    source.next = now() + SOONER
    source.last ??= await keptCopy(source, kept)
    log('warn', 'a list of trusted issuers or anchors cannot be read', {
      connector,
      source: source.name,
      error: error instanceof Error ? error.message : 'unknown',
    })
  }
}

async function keptCopy({ shelf }: Source, kept: Ports['kept']): Promise<Read | undefined> {
  try {
    const text = await kept.get(shelf)
    return text === undefined ? undefined : (JSON.parse(text) as Read) // as it was written above
  } catch {
    return undefined
  }
}

/** An empty answer of a registry in trouble must not take everybody's trust away. */
const hasContent = ({ name }: Source, text: string) =>
  name.startsWith('anchors/') ? pemIn(text).length > 0 : issuersIn(text).size > 0

/** The certificates of a text: PEM, or JSON with PEM in it. Each PEM with its lines. */
export function pemIn(text: string): readonly string[] {
  const plain = text.replaceAll('\\r', '').replaceAll('\\n', '\n')
  return plain.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]{100,20000}-----END CERTIFICATE-----/g) ?? []
}

/**
 * The issuers on a list: JSON with texts, or with objects that have a `did`, `id`, `issuer` or `url`, as Gaia-X registries answer. Whoever is listed by
 * the https address of a did:web is known by that DID too.
 */
export function issuersIn(text: string): ReadonlySet<string> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return new Set()
  }
  const lists = Array.isArray(json)
    ? json
    : Object.values(json ?? {})
        .filter(Array.isArray)
        .flat()
  const names = lists.map(nameIn).filter((each): each is string => typeof each === 'string')
  return new Set(names.filter((each) => /^(did:|https:\/\/)/.test(each)).flatMap((each) => [each, ...didOf(each)]))
}

function nameIn(entry: unknown): unknown {
  if (typeof entry !== 'object' || entry === null) return entry
  const { did, id, issuer, url } = entry as Readonly<Record<string, unknown>>
  return did ?? id ?? issuer ?? url
}

/** @see did:web method specification, "Read (Resolve)" */
function didOf(name: string): readonly string[] {
  if (!name.startsWith('https://') || !URL.canParse(name)) return []
  const { host, pathname, search, hash } = new URL(name)
  if (search || hash) return []
  const path = pathname
    .replace(/\/(\.well-known\/)?did\.json$/, '')
    .split('/')
    .filter(Boolean)
  return [`did:web:${[host.replace(':', '%3A'), ...path].join(':')}`]
}
