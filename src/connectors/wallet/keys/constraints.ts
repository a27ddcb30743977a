import {
  type Certificate,
  type GeneralName,
  type GeneralSubtree,
  type NameConstraints,
  RelativeDistinguishedNames,
} from 'pkijs'

/*
 * What RFC 5280, section 6 asks of a path and pkijs 4.0.0 lets pass: the length of the path, critical extensions that nobody knows, the
 * constraints of the anchor itself, and names beside one that is permitted. Each case is a test, and OpenSSL refuses each.
 */

/** Extensions by their object identifiers. */
const oid = {
  keyUsage: '2.5.29.15',
  alternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
} as const
/** The critical extensions that are understood, here or by the library: those, certificate policies and their mappings and limits, extended key usage. */
const understood: readonly string[] = [
  ...Object.values(oid),
  '2.5.29.32',
  '2.5.29.33',
  '2.5.29.36',
  '2.5.29.37',
  '2.5.29.54',
]

/** What is wrong with a path, the certificate of the key first and the anchor last; undefined where nothing is. */
export function pathProblem(path: readonly Certificate[]): string | undefined {
  const [leaf, ...authorities] = path
  if (!leaf) return 'it is empty'
  for (const certificate of path) {
    const unknown = (certificate.extensions ?? []).find((one) => one.critical && !understood.includes(one.extnID))
    if (unknown) return `it has a critical extension that is not known here: ${unknown.extnID}`
    const twice = new Set((certificate.extensions ?? []).map(({ extnID }) => extnID)).size
    if (twice !== (certificate.extensions ?? []).length) return 'it has an extension twice'
  }
  // RFC 5280, 4.2.1.3: digitalSignature, or nonRepudiation, which seals of eIDAS have.
  if ((usageOf(leaf) & 0xc0) === 0) return 'its key is not meant for signatures'
  for (const [below, authority] of authorities.entries()) {
    const wrong = authorityProblem(authority, below) ?? nameProblem(authority, path.slice(0, below + 1))
    if (wrong) return wrong
  }
  return undefined
}

function authorityProblem(authority: Certificate, below: number): string | undefined {
  const basic = parsed(authority, oid.basicConstraints) as { cA?: boolean; pathLenConstraint?: unknown } | undefined
  if (basic?.cA !== true) return 'one that is no authority issued another'
  if ((usageOf(authority) & 0x04) === 0) return 'one that may not sign certificates issued another'
  const longest = basic.pathLenConstraint
  if (longest === undefined) return undefined
  return typeof longest === 'number' && below <= longest ? undefined : 'it is longer than an authority in it allows'
}

/** The first byte of the key usage; every bit where nothing is said. */
function usageOf(certificate: Certificate): number {
  const usage = parsed(certificate, oid.keyUsage) as { valueBlock: { valueHexView: Uint8Array } } | undefined
  return usage === undefined ? 0xff : (usage.valueBlock.valueHexView[0] ?? 0)
}

function parsed(certificate: Certificate, id: string): unknown {
  return certificate.extensions?.find(({ extnID }) => extnID === id)?.parsedValue
}

/** RFC 5280, 4.2.1.10: all names of everything below have to be permitted, not one of them, and none excluded. */
function nameProblem(authority: Certificate, below: readonly Certificate[]): string | undefined {
  const constraints = parsed(authority, oid.nameConstraints) as NameConstraints | undefined
  if (!constraints) return undefined
  const { permittedSubtrees: permitted = [], excludedSubtrees: excluded = [] } = constraints
  if ([...permitted, ...excluded].some((one) => !isKnown(one)))
    return 'it has a constraint of names that is not known here'
  for (const name of below.flatMap(namesOf)) {
    const ofType = permitted.filter(({ base }) => base.type === name.type)
    if (ofType.length > 0 && !ofType.some(({ base }) => within(name, base)))
      return 'it names what its authority may not'
    if (excluded.some(({ base }) => base.type === name.type && within(name, base)))
      return 'it names what its authority may not'
  }
  return undefined
}

interface Name {
  readonly type: number
  readonly value: unknown
}

/** All names of a certificate by which it could be constrained, its subject among them (type 4). */
export function namesOf(certificate: Certificate): readonly Name[] {
  const alternative = parsed(certificate, oid.alternativeName) as { altNames?: readonly GeneralName[] } | undefined
  const { subject } = certificate
  return [
    ...(alternative?.altNames ?? []).map(({ type, value }) => ({ type, value: value as unknown })),
    ...(subject.typesAndValues.length > 0 ? [{ type: 4, value: subject }] : []),
    ...subject.typesAndValues
      .filter(({ type }) => type === '1.2.840.113549.1.9.1')
      .map(({ value }) => ({ type: 1, value: String(value.valueBlock.value) })),
  ]
}

/** e-mail, host, directory name, URI and IP address; RFC 5280 wants minimum 0 and no maximum. */
const isKnown = ({ base, minimum, maximum }: GeneralSubtree) =>
  [1, 2, 4, 6, 7].includes(base.type) && Number(minimum) === 0 && !maximum

function within({ type, value }: Name, base: GeneralName): boolean {
  if (type === 4) return inDirectory(value, base.value)
  if (type === 7) return inNetwork(bytesOf(value), bytesOf(base.value))
  const [name, limit] = [String(value).toLowerCase(), String(base.value).toLowerCase()]
  if (type === 2) return limit === '' || name === limit || name.endsWith(limit.startsWith('.') ? limit : `.${limit}`)
  if (type === 1) return limit.includes('@') ? name === limit : inHost(name.slice(name.lastIndexOf('@') + 1), limit)
  return inHost(URL.canParse(name) ? new URL(name).hostname : '', limit)
}

/** A host is one alone, `.host` is what is below it. A name without a host is within nothing. */
const inHost = (host: string, limit: string) =>
  host !== '' && (limit.startsWith('.') ? host.endsWith(limit) : host === limit)

function inDirectory(name: unknown, base: unknown): boolean {
  if (!(name instanceof RelativeDistinguishedNames && base instanceof RelativeDistinguishedNames)) return false
  return base.typesAndValues.every((part, index) => name.typesAndValues[index]?.isEqual(part) === true)
}

function inNetwork(address: Uint8Array, network: Uint8Array): boolean {
  const size = address.length
  if (network.length !== 2 * size) return false
  return address.every((byte, index) => ((byte ^ (network[index] ?? 0)) & (network[index + size] ?? 255)) === 0)
}

function bytesOf(value: unknown): Uint8Array {
  const block = (value as { valueBlock?: { valueHexView?: Uint8Array } } | undefined)?.valueBlock
  return block?.valueHexView ?? new Uint8Array()
}
