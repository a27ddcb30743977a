import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { der, oid, sequence } from './certificate.ts'

const truth = der(1, Buffer.from([255]))
const time = (seconds: number) =>
  der(0x18, Buffer.from(`${new Date(seconds * 1000).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`))

const attributes: Readonly<Record<string, string>> = { CN: '550403', O: '55040a', C: '550406' }

/** `O=Corp,CN=issuer` in the order written. */
function name(text: string): Buffer {
  const parts = (text === '' ? [] : text.split(',')).map((part) => {
    const [type = '', value = ''] = part.split('=')
    return der(0x31, sequence(oid(attributes[type] ?? ''), der(12, Buffer.from(value))))
  })
  return sequence(...parts)
}

/** `dns:a.example`, `uri:https://a.example/`, `email:a@b.example`, `dir:O=Corp`, `ip:` with hex. */
function generalName(text: string): Buffer {
  const [type = '', ...rest] = text.split(':')
  const value = rest.join(':')
  if (type === 'dir') return der(0xa4, name(value))
  if (type === 'ip') return der(0x87, Buffer.from(value, 'hex'))
  return der({ email: 0x81, dns: 0x82, uri: 0x86 }[type] ?? 0, Buffer.from(value))
}

const extension = (id: string, critical: Uint8Array[], value: Uint8Array) =>
  sequence(oid(id), ...critical, der(4, value))

/** What a certificate of a test says. */
export interface Said {
  /** `O=Corp,CN=issuer` */
  readonly subject: string
  /** Unix seconds; a day around `now` by default. */
  readonly from?: number
  readonly until?: number
  readonly ca?: 'ca' | 'no'
  readonly pathLength?: number
  /** The first byte of the bit string: 0x80 digitalSignature, 0x04 keyCertSign, 0x02 cRLSign. */
  readonly usage?: number
  readonly names?: readonly string[]
  readonly permitted?: readonly string[]
  readonly excluded?: readonly string[]
  /** A critical extension that nobody knows. */
  readonly unknown?: true
  /** A second list of names beside `names`. */
  readonly again?: readonly string[]
}

export interface Certified {
  readonly subject: string
  readonly key: KeyObject
  /** base64 of DER: a value of `x5c`. */
  readonly base64: string
  readonly pem: string
}

/** A P-256 certificate: by `by`, or self-signed. */
export function certify(said: Said, by?: Certified, key?: KeyObject): Certified {
  const privateKey = key ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const algorithm = sequence(oid('2a8648ce3d040302'))
  const body = sequence(
    der(0xa0, der(2, Buffer.from([2]))),
    der(2, Buffer.from([1 + Math.floor(Math.random() * 126), 1 + Math.floor(Math.random() * 255)])),
    algorithm,
    name(by?.subject ?? said.subject),
    sequence(time(said.from ?? NOW - 86_400), time(said.until ?? NOW + 86_400)),
    name(said.subject),
    createPublicKey(privateKey as never).export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions(said))),
  )
  const signature = sign('sha256', body, by?.key ?? privateKey)
  const base64 = sequence(body, algorithm, der(3, Buffer.from([0]), signature)).toString('base64')
  const pem = `-----BEGIN CERTIFICATE-----\n${base64.replace(/(.{64})/g, '$1\n').trim()}\n-----END CERTIFICATE-----\n`
  return { subject: said.subject, key: privateKey, base64, pem }
}

/** The moment of the tests, Unix seconds. */
export const NOW = 1_790_000_000

function extensions({ ca, pathLength, usage, names, again, permitted, excluded, unknown }: Said): Buffer[] {
  const length = pathLength === undefined ? [] : [der(2, Buffer.from([pathLength]))]
  const subtrees = (tag: number, list: readonly string[] = []) =>
    list.length > 0 ? [der(tag, ...list.map((each) => sequence(generalName(each))))] : []
  return [
    ...(ca ? [extension('551d13', [truth], ca === 'ca' ? sequence(truth, ...length) : sequence())] : []),
    ...(usage === undefined ? [] : [extension('551d0f', [truth], der(3, Buffer.from([0, usage])))]),
    ...[names, again].flatMap((each) => (each ? [extension('551d11', [], sequence(...each.map(generalName)))] : [])),
    ...(permitted || excluded
      ? [extension('551d1e', [truth], sequence(...subtrees(0xa0, permitted), ...subtrees(0xa1, excluded)))]
      : []),
    ...(unknown ? [extension('2a0304', [truth], sequence())] : []),
  ]
}
