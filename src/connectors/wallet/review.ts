import { X509Certificate } from 'node:crypto'
import type { Check } from '../../core/ports.ts'
import { asksAnybody } from './issuers.ts'
import type { WalletConfig } from './options.ts'
import { issuersIn, type Kind, pemIn } from './sources.ts'
import type { Trusted } from './trusted.ts'

/** Seconds before the end of a certificate at which an operator wants to know of it. */
const SOON = 30 * 86_400

/** What there is to review; `now` in Unix seconds. */
export interface Reviewed {
  readonly config: WalletConfig
  readonly trusted: Trusted
  readonly now: number
}

/** What can be said without asking anybody: certificates, and lists in files. Never rejects. */
export async function review({ config, trusted, now }: Reviewed): Promise<readonly Check[]> {
  return [
    ...own(config, now),
    ...(await each(config, 'anchors', (name, where) => (typeof where === 'string' ? anchor(name, where, now) : []))),
    ...(await each(config, 'lists', (name, where) => (typeof where === 'string' ? list(name, trusted) : []))),
    ...open(config),
  ]
}

/** The same, with registries and evidence read now. Never rejects. */
export async function probe({ config, trusted, now }: Reviewed): Promise<readonly Check[]> {
  await trusted.sources.ready()
  return [
    ...own(config, now),
    ...(await each(config, 'anchors', (name) => anchor(name, trusted.sources.text('anchors', name), now))),
    ...(await each(config, 'lists', (name) => list(name, trusted))),
    ...open(config),
    ...(await trusted.evidence.review()),
  ]
}

async function each(
  config: WalletConfig,
  kind: Kind,
  look: (name: string, where: WalletConfig[Kind][string] | undefined) => readonly Check[],
): Promise<readonly Check[]> {
  return Object.entries(config[kind]).flatMap(([name, where]) => look(name, where))
}

function own({ clientIdPrefix, certificate = '' }: WalletConfig, now: number): readonly Check[] {
  if (clientIdPrefix === 'redirect_uri')
    return [{ check: 'requests', ok: true, note: true, found: 'not signed: for development alone' }]
  if (!clientIdPrefix.startsWith('x509_')) return []
  return pemIn(certificate).map((pem, index) => dated(index === 0 ? 'certificate' : `intermediate ${index}`, pem, now))
}

function anchor(name: string, text: string | undefined, now: number): readonly Check[] {
  const check = `anchor ${name}`
  if (text === undefined) return [{ check, ok: false, found: 'its address cannot be read' }]
  const pems = pemIn(text)
  if (pems.length === 0) return [{ check, ok: false, found: 'no PEM certificate in it' }]
  // Hundreds of a registry are not a hundred lines: those that are over or unreadable are.
  const all = pems.map((pem) => dated(check, pem, now))
  const told = pems.length > 3 ? all.filter(({ ok, note }) => !ok || note) : all
  return pems.length > 3 ? [{ check, ok: true, found: `${pems.length} certificates` }, ...told] : told
}

function dated(check: string, pem: string, now: number): Check {
  try {
    const { subject, validToDate } = new X509Certificate(pem)
    const end = validToDate.getTime() / 1000
    const what = `${subject.replaceAll('\n', ', ')}, until ${validToDate.toISOString().slice(0, 10)}`
    if (end <= now) return { check, ok: false, found: `${what}: over` }
    if (end < now + SOON) return { check, ok: true, note: true, found: `${what}: ends soon` }
    return { check, ok: true, found: what }
  } catch {
    return { check, ok: false, found: 'a certificate that cannot be read' }
  }
}

function list(name: string, { sources }: Trusted): readonly Check[] {
  const check = `list ${name}`
  const text = sources.text('lists', name)
  if (text === undefined) return [{ check, ok: false, found: 'its address cannot be read' }]
  const { size } = issuersIn(text)
  return [size > 0 ? { check, ok: true, found: `${size} issuers` } : { check, ok: false, found: 'no issuer in it' }]
}

/** What is allowed and wider than it looks. */
function open({ credentials, crossDevice, response, lenient }: WalletConfig): readonly Check[] {
  const note = (check: string, found: string): Check => ({ check, ok: true, note: true, found })
  return [
    ...credentials.flatMap(({ id, issuedBy }) =>
      issuedBy.some((entry) => typeof entry === 'object' && entry.speaksFor === 'anybody')
        ? [note(`credential ${id}`, 'an issuer may make people members of any organisation')]
        : [],
    ),
    ...(credentials.some(asksAnybody)
      ? [note('issuers', 'DID documents of issuers that nobody wrote down are read, at public addresses')]
      : []),
    ...(crossDevice === 'on' ? [note('crossDevice', 'whoever is sent a QR code of yours may be deceived by it')] : []),
    ...(response === 'plain' ? [note('response', 'answers of wallets are not encrypted')] : []),
    ...(lenient.length > 0 ? [note('lenient', `deviations that are taken: ${lenient.join(', ')}`)] : []),
  ]
}
