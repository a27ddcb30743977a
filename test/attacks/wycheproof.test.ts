import assert from 'node:assert/strict'
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { compactVerify, importJWK, type JWK } from 'jose'
import type { SigningAlg } from '../../src/core/ports.ts'
import { verifyJws } from '../../src/keys/jws.ts'
import { type KeyPair, verifyText } from '../../src/keys/keypair.ts'
import { corpus } from '../support/corpora.ts'

interface Case {
  readonly tcId: number
  readonly comment: string
  readonly jws: string
  readonly result: 'valid' | 'invalid'
}
type Jwk = JsonWebKey & {
  readonly kid?: string
  readonly alg?: string
  readonly use?: string
  readonly key_ops?: string[]
}
interface Group {
  readonly comment: string
  readonly public?: Jwk
  readonly private?: Jwk
  readonly tests: readonly Case[]
}

const vectors = corpus('jose', 'wycheproof', 'json_web_signature_test.json')
const groups = async () => (JSON.parse(await readFile(vectors.path, 'utf8')) as { testGroups: Group[] }).testGroups
const headerOf = (jws: unknown): Record<string, unknown> => {
  try {
    return JSON.parse(Buffer.from(String(jws).split('.')[0]!, 'base64url').toString('utf8')) as Record<string, unknown>
  } catch {
    return {}
  }
}
const ours: readonly SigningAlg[] = ['ES256', 'ES384', 'RS256', 'PS256']

/** The key of a group as one of our rings would hold it, once for each of our algorithms that its type can do. */
function pairsOf(group: Group, header: Record<string, unknown>): readonly KeyPair[] {
  const jwk = group.public
  if (!jwk || (jwk.kty !== 'EC' && jwk.kty !== 'RSA')) return []
  // A ring makes or imports signature keys only; a key for another use is never in one.
  if ((jwk.use ?? 'sig') !== 'sig' || !(jwk.key_ops ?? ['verify']).includes('verify')) return []
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' })
  const fits = (alg: SigningAlg) =>
    jwk.kty === 'EC' ? jwk.crv === 'P-256' && alg === 'ES256' : alg.endsWith('S256') && alg !== 'ES256'
  return ours
    .filter((alg) => fits(alg) && (jwk.alg === undefined || jwk.alg === alg))
    .map((alg) => ({ kid: String(header['kid'] ?? jwk.kid), alg, publicKey }) as unknown as KeyPair)
}

test('no invalid JWS of Wycheproof passes the verification of our own tokens', vectors, async (t) => {
  const counts = { refused: 0, valid: 0, notOurs: 0 }
  for (const group of await groups()) {
    for (const { tcId, comment, jws, result } of group.tests) {
      const header = headerOf(jws)
      const pairs = pairsOf(group, header)
      if (pairs.length === 0) {
        counts.notOurs += 1
      } else if (result === 'invalid') {
        const payload = verifyJws(pairs, String(header['typ']), String(jws))
        assert.equal(payload, undefined, `${group.comment} ${tcId}: ${comment}`)
        // The signature alone, whatever the header and payload say: what `typ` and JSON refused must not hide a bad check.
        const [head, body, tail = ''] = String(jws).split('.')
        const bytes = Buffer.from(tail, 'base64url')
        const [pair] = pairs.filter(({ alg }) => alg === header['alg'])
        const strict = bytes.toString('base64url') === tail
        if (pair && strict)
          assert.equal(verifyText(pair, `${head}.${body}`, bytes), false, `${group.comment} ${tcId}: ${comment}`)
        counts.refused += 1
      } else {
        const [head, body, tail = ''] = String(jws).split('.')
        const passes = pairs.some((pair) => verifyText(pair, `${head}.${body}`, Buffer.from(tail, 'base64url')))
        if (passes) counts.valid += 1
      }
    }
  }
  t.diagnostic(
    `${counts.refused} invalid ones refused, ${counts.valid} valid ones accepted, ${counts.notOurs} of other algorithms`,
  )
  assert.ok(counts.refused > 250 && counts.valid >= 5, JSON.stringify(counts))
})

test(
  'no invalid JWS of Wycheproof passes the library that checks upstreams, but for other spellings of base64url',
  vectors,
  async (t) => {
    const passed: string[] = []
    let refused = 0
    for (const group of await groups()) {
      const key = group.public ?? group.private
      const alg = key?.alg
      if (!key || alg === undefined || key.kty === 'oct') continue // a shared secret is never a key of an upstream
      const imported = await importJWK(key as JWK, alg).catch(() => undefined)
      if (!imported) continue
      for (const { tcId, comment, jws, result } of group.tests) {
        if (result !== 'invalid') continue
        const accepted = await compactVerify(String(jws), imported, { algorithms: [alg] }).then(
          () => true,
          () => false,
        )
        if (accepted) passed.push(`${tcId} ${comment}`)
        else refused += 1
      }
    }
    t.diagnostic(`${refused} refused, ${passed.length} accepted: ${passed.join(', ')}`)
    assert.ok(refused > 300)
    for (const text of passed) assert.match(text, /base64|whitespace|white space|padding|characters|newline|space/i)
  },
)
