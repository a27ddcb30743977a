import { createECDH, createHash, createPrivateKey, type JsonWebKey, type KeyObject, sign } from 'node:crypto'

/** A key of the demo, and the did that is made of it. */
export interface DemoKey {
  readonly privateKey: KeyObject
  readonly publicJwk: JsonWebKey
  /** `did:key:z…`, P-256. */
  readonly did: string
  /** The name of the key in the did's document. */
  readonly kid: string
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
/** p256-pub of the multicodec table, as a varint. */
const P256 = Buffer.from([0x80, 0x24])

/**
 * The key that a name leads to. Whoever reads this can make it too: it is for the demo's credentials alone, so that config/demo.yaml can name their
 * issuers, and nothing secret lies beside it.
 */
export function keyOf(name: string): DemoKey {
  const scalar = createHash('sha256').update(`lotse demo, known to everybody: ${name}`).digest()
  const curve = createECDH('prime256v1')
  curve.setPrivateKey(scalar) // refuses a number that is no key
  const point = curve.getPublicKey()
  const publicJwk = {
    kty: 'EC',
    crv: 'P-256',
    x: point.subarray(1, 33).toString('base64url'),
    y: point.subarray(33).toString('base64url'),
  }
  const privateKey = createPrivateKey({ key: { ...publicJwk, d: scalar.toString('base64url') }, format: 'jwk' })
  const id = `z${base58(Buffer.concat([P256, curve.getPublicKey(null, 'compressed')]))}`
  return { privateKey, publicJwk, did: `did:key:${id}`, kid: `did:key:${id}#${id}` }
}

function base58(bytes: Buffer): string {
  let text = ''
  for (let rest = BigInt(`0x${bytes.toString('hex')}`); rest > 0n; rest /= 58n) text = BASE58[Number(rest % 58n)] + text
  return text
}

/** A compact JWS by ES256. */
export function signed(header: object, payload: object, { privateKey }: Pick<DemoKey, 'privateKey'>): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const text = `${encode({ alg: 'ES256', ...header })}.${encode(payload)}`
  const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}
