import { X509Certificate } from 'node:crypto'
import type { ConnectorPorts } from '../connector.ts'
import { type EvidenceShelf, openEvidence } from './evidence.ts'
import { fetchable, type Lists, namedIn } from './issuers.ts'
import { openDocuments } from './keys/documents.ts'
import { type Anchors, openAnchors } from './keys/x509.ts'
import type { WalletConfig } from './options.ts'
import type { Leniency, VerifyPorts } from './ports.ts'
import { issuersIn, openSources, pemIn, type Sources } from './sources.ts'
import type { Policy } from './trust.ts'

/** Whom a connector believes, as its configuration, its registries and the operator's evidence say it at this moment. */
export interface Trusted {
  /** What presentations are verified by. */
  ports(): VerifyPorts
  /** What their credentials are judged by. */
  policy(): Policy
  /** What could not be read yet, so that nobody's refusal for want of it means anything; undefined where all is known. */
  unread(): string | undefined
  /** Waits for what was never read. Never rejects. */
  ready(): Promise<void>
  /** Begins with what is due by the time. */
  tend(): void
  /** The key identifiers of an anchor's certificates, base64url. */
  keyIds(anchor: string): readonly string[]
  /** What all of that comes from, for those who look at it. */
  readonly sources: Sources
  readonly evidence: EvidenceShelf
}

/** @throws {Error} where an anchor of the configuration cannot be read */
export function openTrusted(config: WalletConfig, world: ConnectorPorts): Trusted {
  const sources = openSources(config, world)
  const lists = listsOf(sources)
  const [named, strangers] = [openDocuments(world), openDocuments(world)]
  const isNamed = namedIn(config, lists)
  const documents = (issuer: string) => (isNamed(issuer) ? named : strangers)
  const anchors = anchorsOf(config, sources)
  anchors()
  const allowed = fetchable(config, lists)
  const lenient: ReadonlySet<Leniency> = new Set(config.lenient)
  const ports = (): VerifyPorts => ({ now: world.now, documents, anchors: anchors(), allowed, lenient })
  const evidence = openEvidence(config, ports, world)
  return {
    ports,
    policy: () => ({ config, lists, evidence: evidence.current() }),
    unread: () => unreadIn(config, sources) ?? evidence.unread(),
    async ready() {
      // Evidence is from issuers that lists and anchors may name.
      await sources.ready()
      await evidence.ready()
    },
    tend() {
      sources.tend()
      evidence.tend()
    },
    keyIds: (anchor) => keyIdsIn(sources.text('anchors', anchor) ?? ''),
    sources,
    evidence,
  }
}

function unreadIn(config: WalletConfig, sources: Sources): string | undefined {
  for (const kind of ['lists', 'anchors'] as const)
    for (const name of Object.keys(config[kind])) if (sources.text(kind, name) === undefined) return `${kind}/${name}`
  return undefined
}

/** Lists, each parsed once as long as its text is the same. */
function listsOf(sources: Sources): Lists {
  const parsed = new Map<string, { readonly text: string; readonly issuers: ReadonlySet<string> }>()
  return (name) => {
    const text = sources.text('lists', name)
    if (text === undefined) return undefined
    const before = parsed.get(name)
    if (before?.text === text) return before.issuers
    const issuers = issuersIn(text)
    parsed.set(name, { text, issuers })
    return issuers
  }
}

/** Anchors, opened anew only where a registry has others. */
function anchorsOf({ anchors: names }: WalletConfig, sources: Sources): () => Anchors {
  let last: { readonly texts: string; readonly anchors: Anchors } | undefined
  return () => {
    const roots = Object.keys(names).flatMap((name): [string, string][] => {
      const text = sources.text('anchors', name)
      if (text === undefined) return []
      // What stands in a file is the operator's to mend; of what a registry has, that which cannot be read is left out.
      return [[name, typeof names[name] === 'string' ? text : readable(text)]]
    })
    const filled = roots.filter(([, pem]) => pem !== '')
    const texts = JSON.stringify(filled)
    if (last?.texts !== texts) last = { texts, anchors: openAnchors(Object.fromEntries(filled)) }
    return last.anchors
  }
}

const readable = (text: string) =>
  pemIn(text)
    .filter((pem) => certificate(pem) !== undefined)
    .join('\n')

function certificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

/** `subjectKeyIdentifier`, which `X509Certificate` does not tell. @see RFC 5280, section 4.2.1.2 */
function keyIdsIn(text: string): readonly string[] {
  return pemIn(text).flatMap((pem) => {
    const der = certificate(pem)?.raw
    const at = der?.indexOf(OID) ?? -1
    // The extension is not critical, so that the value follows: an OCTET STRING with an OCTET STRING in it.
    if (!der || at < 0 || der[at + OID.length] !== 0x04 || der[at + OID.length + 2] !== 0x04) return []
    const begin = at + OID.length + 4
    return [der.subarray(begin, begin + (der[begin - 1] ?? 0)).toString('base64url')]
  })
}

/** 2.5.29.14 */
const OID = Buffer.from('0603551d0e', 'hex')
