import { LoginError } from '../../core/errors.ts'
import type { Check } from '../../core/ports.ts'
import type { ConnectorPorts } from '../connector.ts'
import type { Evidence } from './credential.ts'
import type { WalletConfig } from './options.ts'
import type { VerifyPorts } from './ports.ts'
import { printable } from './refusal.ts'
import type { Read } from './tagus/evidence.ts'

/** The operator's evidence about organisations, after its signatures were checked. */
export interface EvidenceShelf {
  /** What is good as of the last look. */
  current(): readonly Evidence[]
  /** Waits for the first look. Never rejects. */
  ready(): Promise<void>
  /** Begins to look again where that is due. */
  tend(): void
  /** The first document about which nobody could be asked yet: whether it counts is not known. */
  unread(): string | undefined
  /** Looks now, and says of each document what was found. Never rejects. */
  review(): Promise<readonly Check[]>
}

/** Seconds after which everything is looked at again, since keys are withdrawn; sooner where a key could not be read; and how long that is borne. */
const EVERY = 3600
const SOONER = 60
const LONGEST = 86_400

interface Document {
  readonly name: string
  readonly text: string
  /** `whole` is not what has credentials in it about which nobody could be asked. */
  last?: { readonly at: number; readonly evidence: readonly Evidence[]; readonly whole: boolean }
}

/** @param verify by what signatures are verified at that moment */
export function openEvidence(
  config: Pick<WalletConfig, 'id' | 'evidence' | 'contexts'>,
  verify: () => VerifyPorts,
  { now, log }: Pick<ConnectorPorts, 'now' | 'log'>,
): EvidenceShelf {
  const documents = config.evidence.map((text, index): Document => ({ name: `evidence[${index}]`, text }))
  // Reading JSON-LD takes a library that a gateway without such files does not load.
  const reader = () =>
    import('./tagus/evidence.ts').then(({ openEvidenceReader }) => openEvidenceReader(config.contexts))
  let reading: ReturnType<typeof reader> | undefined
  let next = 0
  let looking: Promise<readonly Check[]> | undefined
  const look = () => {
    next = now() + EVERY
    reading ??= reader()
    looking ??= reading
      .then((read) => Promise.all(documents.map((each) => lookAt(each, (text) => read(text, verify()), now()))))
      .catch((error: Error): readonly Check[] => [
        { check: 'contexts', ok: false, found: printable(error.message, 300) },
      ])
      .finally(() => {
        looking = undefined
      })
    return looking.then((checks) => {
      for (const { check, ok, found } of checks)
        if (!ok) log('warn', 'evidence about an organisation does not count', { connector: config.id, check, found })
      if (checks.some(({ ok }) => !ok)) next = Math.min(next, now() + SOONER)
      return checks
    })
  }
  return {
    current: () => documents.flatMap(({ last }) => last?.evidence ?? []),
    async ready() {
      if (documents.length > 0 && next === 0) await look()
      else await looking
    },
    tend() {
      if (documents.length > 0 && next <= now()) void look()
    },
    unread: () => documents.find(({ last }) => last?.whole === false)?.name,
    review: () => look(),
  }
}

/** Reads one document. What is refused no longer counts; what cannot be asked about counts for a day more. */
async function lookAt(document: Document, read: (text: string) => Promise<Read>, at: number): Promise<Check> {
  const check = document.name
  try {
    const { evidence, failed } = await read(document.text)
    const whole = !failed.some(({ code }) => code === 'upstream_unavailable')
    const borne = !whole && document.last?.whole === true && document.last.at > at - LONGEST
    if (!borne) document.last = { at, evidence, whole }
    const about = evidence.map(
      ({ types, subject, issuer }) => `${types.join(' ')} about ${subject ?? 'several'}, from ${issuer.id}`,
    )
    const found = [...about, ...failed.map(({ message }) => message)].map((each) => printable(each, 500))
    return { check, ok: failed.length === 0, found: found.join('; ') }
  } catch (error) {
    if (!(error instanceof LoginError)) throw error
    document.last = { at, evidence: [], whole: true }
    return { check, ok: false, found: error.message }
  }
}
