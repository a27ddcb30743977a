import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** DER: identifier, length, contents (X.690). */
export const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts)
  const size = body.length
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}
export const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts)
export const oid = (hex: string) => der(6, Buffer.from(hex, 'hex'))
const time = (at: Date) => der(0x18, Buffer.from(`${at.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`))
const name = (text: string) => sequence(der(0x31, sequence(oid('550403'), der(12, Buffer.from(text)))))

/** A self-signed certificate (one day) that is its own CA: PEM texts for a TLS server and for who shall trust it, or for who signs. */
export function selfSigned(
  host = 'localhost',
  addresses: readonly string[] = ['127.0.0.1'],
  kind: keyof typeof kinds = 'P-256',
): { key: string; cert: string } {
  const { pair, algorithm } = kinds[kind]
  const { privateKey, publicKey } = pair()
  const names = [
    der(0x82, Buffer.from(host)),
    ...addresses.map((address) => der(0x87, Buffer.from(address.split('.').map(Number)))),
  ]
  const extensions = sequence(
    sequence(oid('551d13'), der(1, Buffer.from([255])), der(4, sequence(der(1, Buffer.from([255]))))),
    sequence(oid('551d11'), der(4, sequence(...names))),
  )
  const toBeSigned = sequence(
    der(0xa0, der(2, Buffer.from([2]))),
    der(2, Buffer.from([1])),
    algorithm,
    name(host),
    sequence(time(new Date(Date.now() - 3_600_000)), time(new Date(Date.now() + 86_400_000))),
    name(host),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  )
  const signature = der(3, Buffer.from([0]), sign('sha256', toBeSigned, privateKey))
  const certificate = sequence(toBeSigned, algorithm, signature).toString('base64')
  return {
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    cert: `-----BEGIN CERTIFICATE-----\n${certificate.replace(/(.{64})/g, '$1\n').trim()}\n-----END CERTIFICATE-----\n`,
  }
}

/** Keys, and how their signatures are named: ecdsa-with-SHA256, sha256WithRSAEncryption. */
const kinds = {
  'P-256': {
    pair: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    algorithm: sequence(oid('2a8648ce3d040302')),
  },
  RSA: {
    pair: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    algorithm: sequence(oid('2a864886f70d01010b'), der(5)),
  },
  /** Too short for anybody. */
  'RSA-1024': {
    pair: () => generateKeyPairSync('rsa', { modulusLength: 1024 }),
    algorithm: sequence(oid('2a864886f70d01010b'), der(5)),
  },
} as const

/** A key with the chain of its certificates: PEM, its own first, without the root. */
export interface Certified {
  readonly key: KeyObject
  readonly chain: string
}

/** A root of its own, P-256, that lets others sign for it. */
export interface Authority {
  readonly name: string
  /** PEM. */
  readonly root: string
  /** The certificate of a new P-256 key. */
  issue(subject: { readonly name: string; readonly dns?: readonly string[]; readonly until?: Date }): Certified
}

export function authority(called: string): Authority {
  const keys = kinds['P-256'].pair()
  const sign = (subject: Parameters<typeof signedCertificate>[0]) =>
    signedCertificate(subject, { name: called, ...keys })
  return {
    name: called,
    root: sign({ name: called, publicKey: keys.publicKey, names: [], kind: 'root' }),
    issue({ name, dns = [], until }) {
      const { privateKey, publicKey } = kinds['P-256'].pair()
      return { key: privateKey, chain: sign({ name, publicKey, names: dns, kind: 'leaf', ...(until && { until }) }) }
    },
  }
}

interface ToSign {
  readonly name: string
  readonly publicKey: KeyObject
  readonly names: readonly string[]
  readonly kind: 'root' | 'leaf'
  readonly until?: Date
}

const yes = der(1, Buffer.from([255]))
const extension = (id: string, value: Uint8Array, ...critical: readonly Uint8Array[]) =>
  sequence(oid(id), ...critical, der(4, value))
const keyId = (key: KeyObject) =>
  createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }).subarray(-65))
    .digest()

function signedCertificate(
  { name: subject, publicKey, names, kind, until = new Date(Date.now() + 86_400_000) }: ToSign,
  issuer: { readonly name: string; readonly privateKey: KeyObject; readonly publicKey: KeyObject },
): string {
  const { algorithm } = kinds['P-256']
  const usage = kind === 'root' ? [1, 0x06] : [7, 0x80]
  const extensions = sequence(
    extension('551d13', kind === 'root' ? sequence(yes) : sequence(), yes),
    extension('551d0f', der(3, Buffer.from(usage)), yes),
    extension('551d0e', der(4, keyId(publicKey))),
    extension('551d23', sequence(der(0x80, keyId(issuer.publicKey)))),
    ...(names.length === 0 ? [] : [extension('551d11', sequence(...names.map((dns) => der(0x82, Buffer.from(dns)))))]),
  )
  const toBeSigned = sequence(
    der(0xa0, der(2, Buffer.from([2]))),
    der(2, Buffer.concat([Buffer.from([0x40]), randomBytes(8)])),
    algorithm,
    name(issuer.name),
    sequence(time(new Date(Date.now() - 3_600_000)), time(until)),
    name(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  )
  const signature = der(3, Buffer.from([0]), sign('sha256', toBeSigned, issuer.privateKey))
  const text = sequence(toBeSigned, algorithm, signature).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${text.replace(/(.{64})/g, '$1\n').trim()}\n-----END CERTIFICATE-----\n`
}
