import { hash, type KeyObject, sign } from 'node:crypto'
import type { RingView } from './ring-view.ts'
import type { CertifiedKey } from './rings.ts'

/*
 * Self-signed X.509 certificates (RFC 5280) for RSA keys: the form in which SAML metadata carries a public key. Nobody builds trust
 * on such a certificate, so it says no more than a name and a time, and needs no library. RSASSA-PKCS1-v1_5 is deterministic and
 * everything else in it is stored with the key, so that all processes make the same bytes and nothing more is kept.
 */

/** DER: identifier, length, contents (X.690). */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const size = body.length
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}
const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts)
const oid = (hex: string) => der(6, Buffer.from(hex, 'hex'))

/** RFC 5280, 4.1.2.5: UTCTime to 2049, GeneralizedTime from 2050 on. */
function time(seconds: number): Buffer {
  const text = `${new Date(seconds * 1000).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`
  return text < '2050' ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text))
}

const commonName = (text: string) => sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(text)))))

/** A positive number of 16 bytes, as random as the key that it is made of. */
const serial = (kid: string) => {
  const bytes = hash('sha256', kid, 'buffer').subarray(0, 16)
  return der(2, Buffer.from([(bytes[0]! & 0x3f) | 0x40, ...bytes.subarray(1)]))
}

/** Seconds before its key was made, for clocks that are behind; and years after, since the ring says when a key goes. */
const EARLIER = 86_400
const LATER = 20 * 365 * 86_400

interface Holder {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** Unix seconds. */
  readonly createdAt: number
}

/**
 * The certificate of an RSA key: SHA-256 with RSA, 20 years from the day before the key was made.
 * @param name the common name of holder and issuer, at most 64 characters are kept (RFC 5280, appendix A)
 * @returns DER
 */
export function selfSigned({ kid, privateKey, publicKey, createdAt }: Holder, name: string): Buffer {
  const algorithm = sequence(oid('2a864886f70d01010b'), der(5))
  const holder = commonName(name.slice(0, 64))
  const body = sequence(
    der(0xa0, der(2, Buffer.from([2]))),
    serial(kid),
    algorithm,
    holder,
    sequence(time(createdAt - EARLIER), time(createdAt + LATER)),
    holder,
    publicKey.export({ type: 'spki', format: 'der' }),
  )
  return sequence(body, algorithm, der(3, Buffer.from([0]), sign('sha256', body, privateKey)))
}

const made = new WeakMap<RingView, readonly CertifiedKey[]>()
const order = ['current', 'next', 'retired']

/** The keys of a ring with their certificates; each view of the ring makes them once. */
export function certifiedKeys(view: RingView | undefined, name: string | undefined): readonly CertifiedKey[] {
  if (!view || name === undefined) return []
  const before = made.get(view)
  if (before) return before
  const keys = view.infos.flatMap((info): readonly CertifiedKey[] => {
    const pair = view.pairs.find(({ kid }) => kid === info.kid)
    if (!pair) return []
    const certificate = selfSigned({ ...pair, createdAt: info.createdAt }, name).toString('base64')
    return [{ ...info, certificate, privateKey: String(pair.privateKey.export({ type: 'pkcs8', format: 'pem' })) }]
  })
  keys.sort((one, other) => order.indexOf(one.state) - order.indexOf(other.state))
  made.set(view, keys)
  return keys
}
