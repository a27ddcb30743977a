import { LoginError } from '../../core/errors.ts'
import type { Check } from '../../core/ports.ts'
import type { ConnectorPorts } from '../connector.ts'
import type { Evidence } from './credential.ts'
import { loireVc } from './credentials/loire.ts'
import { noteDeviations } from './credentials/presented.ts'
import type { WalletConfig } from './options.ts'
import type { VerifyPorts } from './ports.ts'
import { refusal } from './refusal.ts'

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
/** Credentials in one document. */
const MOST = 1000

interface Document {
  readonly name: string
  readonly text: string
  last?: { readonly at: number; readonly evidence: readonly Evidence[] } | undefined
  asked?: 'in vain' | undefined
}

/** @param verify by what signatures are verified at that moment */
export function openEvidence(
  config: Pick<WalletConfig, 'id' | 'evidence'>,
  verify: () => VerifyPorts,
  { now, log }: Pick<ConnectorPorts, 'now' | 'log'>,
): EvidenceShelf {
  const documents = config.evidence.map((text, index): Document => ({ name: `evidence[${index}]`, text }))
  let next = 0
  let looking: Promise<readonly Check[]> | undefined
  const look = () => {
    next = now() + EVERY
    looking ??= Promise.all(documents.map((each) => lookAt(each, verify(), now()))).finally(() => {
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
    unread: () => documents.find(({ asked, last }) => asked === 'in vain' && last === undefined)?.name,
    review: () => look(),
  }
}

/** Reads one document. What is refused no longer counts; what cannot be asked about counts for a day more. */
async function lookAt(document: Document, ports: VerifyPorts, at: number): Promise<Check> {
  const check = document.name
  try {
    const evidence = await evidenceIn(document.text, ports)
    document.last = { at, evidence }
    document.asked = undefined
    const about = evidence.map(
      ({ types, subject, issuer }) => `${types.join(' ')} about ${subject ?? 'nobody'}, from ${issuer.id}`,
    )
    return { check, ok: true, found: about.join('; ') }
  } catch (error) {
    if (!(error instanceof LoginError)) throw error
    const borne =
      error.code === 'upstream_unavailable' && document.last !== undefined && document.last.at > at - LONGEST
    if (!borne) document.last = undefined
    return { check, ok: false, found: error.message }
  }
}

/**
 * The credentials in a document of the operator: VC-JWTs of Gaia-X Loire, one a line.
 * @throws {LoginError} `upstream_rejected` where one of them is no good, `upstream_unavailable`
 */
async function evidenceIn(text: string, ports: VerifyPorts): Promise<readonly Evidence[]> {
  const lines = text.split(/\s+/).filter(Boolean)
  if (lines.length === 0 || lines.length > MOST) throw refusal(`it holds ${lines.length} credentials`)
  return await Promise.all(
    lines.map(async (line): Promise<Evidence> => {
      const { evidence } = await loireVc(line, { ports, deviations: noteDeviations(ports.lenient) })
      return { format: 'vp+jwt', ...evidence }
    }),
  )
}
