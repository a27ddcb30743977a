/**
 * The processor time of a verified presentation, of all threads, beside the library's own calls for its signatures alone: jose's, with the issuer's key at hand and
 * the holder's read from the credential. `best` rounds are compared, since others use the machine too.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { decodeJwt, importJWK, type JWK, jwtVerify } from 'jose'
import type { Format } from '../src/connectors/wallet/credential.ts'
import { presented } from '../src/connectors/wallet/credentials/presented.ts'
import { newKey, publicOf, signed, worldOf } from '../test/support/credentials.ts'
import { holder, issue, issuerOf, present } from '../test/support/wallet.ts'
import { leastCosts, setting } from './compare.ts'
import { answers } from './wallet-answer.ts'

const asked = { clientId: 'x509_hash:Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk', nonce: 'n-0S6_WzA2Mj-0S6_WzA2Mj' }
const now = Math.floor(Date.now() / 1000)
/** Fifteen claims, as a European identity has. */
const claims = Object.fromEntries(Array.from({ length: 15 }, (_, at) => [`claim_${at}`, `value ${at}`]))

interface Case {
  readonly format: Format
  readonly name: string
  readonly ports: ReturnType<typeof worldOf>
  /** One of a new wallet, so that nothing is remembered that would not be in the world, but the issuer. */
  make(): string
  /** The library's calls. */
  theirs(presentation: string, issuer: CryptoKey | KeyObject | Uint8Array): Promise<unknown>
  readonly issuer: KeyObject
}

const algorithms = ['ES256']

function sdJwt(): Case {
  const corp = issuerOf('https://corp.example')
  return {
    format: 'dc+sd-jwt',
    name: 'an SD-JWT VC by x5c',
    ports: worldOf({}, { anchors: { corp: corp.authority.root }, now: () => now }),
    issuer: corp.key,
    make() {
      const phone = holder()
      return present(issue(corp, { vct: 'https://corp.example/employee', claims }, phone), phone, asked)
    },
    async theirs(presentation, issuer) {
      const parts = presentation.split('~')
      const { payload } = await jwtVerify(parts[0]!, issuer, { algorithms })
      const { jwk } = payload['cnf'] as { jwk: JWK }
      await jwtVerify(parts.at(-1)!, await importJWK(jwk, 'ES256'), { audience: asked.clientId, algorithms })
    },
  }
}

const iso = (seconds: number) => new Date(seconds * 1000).toISOString()

/** Gaia-X Loire: an enveloped VC-JWT in a VP-JWT of a did:jwk. */
function loire(): Case {
  const [key, iss] = [newKey(), 'did:web:corp.example']
  const method = { id: `${iss}#k1`, controller: iss, publicKeyJwk: publicOf(key) }
  const did = JSON.stringify({ id: iss, verificationMethod: [method], assertionMethod: [method.id] })
  return {
    format: 'vp+jwt',
    name: 'a VC-JWT of Gaia-X Loire by did:web',
    ports: worldOf({ 'https://corp.example/.well-known/did.json': did }, { now: () => now }),
    issuer: key,
    make() {
      const phone = newKey()
      const id = `did:jwk:${Buffer.from(JSON.stringify(publicOf(phone))).toString('base64url')}`
      const payload = {
        '@context': ['https://www.w3.org/ns/credentials/v2'],
        id: 'urn:vc:1',
        type: ['VerifiableCredential', 'gx:NaturalPersonPartyCredential'],
        issuer: iss,
        validFrom: iso(now - 3600),
        validUntil: iso(now + 3600),
        credentialSubject: { id, ...claims },
      }
      const vc = signed({ typ: 'vc+jwt', cty: 'vc', kid: method.id, iss }, payload, key)
      const vp = {
        type: ['VerifiablePresentation'],
        holder: id,
        verifiableCredential: [{ id: `data:application/vc+jwt,${vc}`, type: 'EnvelopedVerifiableCredential' }],
        nonce: asked.nonce,
        aud: asked.clientId,
        iat: now,
      }
      return signed({ typ: 'vp+jwt', cty: 'vp', kid: `${id}#0` }, vp, phone)
    },
    async theirs(presentation, issuer) {
      const { holder: id, verifiableCredential } = decodeJwt(presentation) as {
        holder: string
        verifiableCredential: readonly { id: string }[]
      }
      const jwk = JSON.parse(Buffer.from(id.slice('did:jwk:'.length), 'base64url').toString()) as JWK
      await jwtVerify(presentation, await importJWK(jwk, 'ES256'), { audience: asked.clientId, algorithms })
      await jwtVerify(verifiableCredential[0]!.id.split(',')[1]!, issuer, { algorithms })
    },
  }
}

async function presentation({ format, name, ports, make, theirs, issuer }: Case): Promise<number> {
  const all = Array.from({ length: setting('CALLS', 200) }, make)
  const binding = { nonce: asked.nonce, audience: asked.clientId }
  const key = await importJWK(createPublicKey(issuer as never).export({ format: 'jwk' }) as JWK, 'ES256')
  let [our, their] = [0, 0]
  return compared({
    name: `${name}, ${all[0]!.length} characters`,
    calls: all.length,
    ours: () => presented(format, all[our++ % all.length]!, binding, ports),
    theirs: () => theirs(all[their++ % all.length]!, key),
  })
}

interface Sides {
  readonly name: string
  readonly calls: number
  ours(): Promise<unknown>
  theirs(): Promise<unknown>
}

async function compared({ name, calls, ours, theirs }: Sides): Promise<number> {
  const best = await leastCosts(calls, ours, theirs)
  const ratio = best.ours / best.theirs
  console.log(
    `  ${name}: ${Math.round(best.ours)} µs, jose's own calls ${Math.round(best.theirs)} µs: ${ratio.toFixed(2)}`,
  )
  return ratio
}

/** The worst ratio of our time to the library's. */
export async function verified(): Promise<number> {
  const ratios: number[] = []
  for (const each of [sdJwt(), loire()]) ratios.push(await presentation(each))
  ratios.push(await compared({ name: 'a whole answer, from its encryption to the person', ...(await answers()) }))
  return Math.max(...ratios)
}
