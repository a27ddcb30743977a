/** A whole answer of a wallet as a sign-in completes it: decrypted, matched with the query, verified, judged and named, beside jose's decryption and its two signature checks. */
import { createPrivateKey, type JsonWebKey } from 'node:crypto'
import { compactDecrypt, importJWK, importX509, type JWK, jwtVerify } from 'jose'
import { z } from 'zod'
import type { Memo } from '../src/connectors/connector.ts'
import { urlsFor } from '../src/connectors/connector.ts'
import { openWallet } from '../src/connectors/wallet/connector.ts'
import { walletOptions } from '../src/connectors/wallet/options.ts'
import { re2 } from '../src/regex.ts'
import { forgetful, keyless, sealing } from '../test/connectors/support.ts'
import { authority } from '../test/support/certificate.ts'
import { checked, encrypt, holder, issue, issuerOf, present } from '../test/support/wallet.ts'
import { setting } from './compare.ts'

const VCT = 'https://corp.example/employee'
const claims = Object.fromEntries(Array.from({ length: 15 }, (_, at) => [`claim_${at}`, `value ${at}`]))

/** One sign-in whose wallet has answered. */
interface Answered {
  readonly memo: Memo
  readonly form: URLSearchParams
  /** The key of its request alone. */
  readonly key: JsonWebKey
}

/** Calls that complete sign-ins of as many wallets, in turns, and what the library does of it. */
export async function answers() {
  const corp = issuerOf('https://corp.example')
  const party = authority('Root of relying parties').issue({ name: 'login.example', dns: ['login.example'] })
  const config = z.strictObject(walletOptions).parse({
    id: 'wallets',
    label: 'Wallets',
    certificate: { env: 'CERTIFICATE' },
    privateKey: { env: 'KEY' },
    anchors: { corp: { env: 'CORP' } },
    credentials: [
      {
        id: 'employee',
        format: 'dc+sd-jwt',
        types: [VCT],
        about: 'person',
        issuedBy: [{ anchor: 'corp' }],
        claims: [{ path: 'claim_0' }],
      },
    ],
  })
  const privateKey = String(party.key.export({ type: 'pkcs8', format: 'pem' }))
  const connector = openWallet(
    // As the loader fills references in.
    { ...config, certificate: party.chain, privateKey, anchors: { corp: corp.authority.root } },
    {
      now: () => Math.floor(Date.now() / 1000),
      fetch: () => Promise.reject(new Error('nothing is fetched')),
      download: () => Promise.reject(new Error('nothing is fetched')),
      kept: forgetful,
      ...urlsFor(new URL('https://login.example'), 'wallets'),
      ...sealing,
      sp: keyless,
      regex: re2,
      log: () => {},
    },
  )
  const one = async (): Promise<Answered> => {
    const challenge = await connector.begin('a-state', {})
    if (challenge.kind !== 'wallet') throw new Error('no wallet is asked')
    const { memo, requests } = challenge
    const [request] = requests
    const link = new URL(connector.wallet!.view(memo).link)
    const asked = checked(connector.wallet!.request(memo, { id: request!.id }), {
      clientId: link.searchParams.get('client_id') ?? '',
    })
    const phone = holder()
    const token = { employee: [present(issue(corp, { vct: VCT, claims }, phone), phone, asked)] }
    const response = await encrypt({ vp_token: token, state: asked.state }, asked.encryption!.jwk)
    const sealed = JSON.parse(sealing.open(memo['sealed'] ?? '', 'wallet\nwallets\nexchanges')) as {
      all: { key: JsonWebKey }[]
    }
    const form = new URLSearchParams({ response, request: request!.id, state: 'a-state' })
    return { memo, form, key: sealed.all[0]!.key }
  }
  const all: Answered[] = []
  for (let made = 0; made < setting('CALLS', 200); made += 1) all.push(await one())
  const issuer = await importX509(corp.chain, 'ES256')
  const url = new URL('https://login.example/callback/wallets')
  let [our, their] = [0, 0]
  return {
    calls: all.length,
    ours: async () => {
      const { memo, form } = all[our++ % all.length]!
      return connector.complete({ url, memo, form })
    },
    theirs: async () => {
      const { form, key } = all[their++ % all.length]!
      const { plaintext } = await compactDecrypt(form.get('response')!, createPrivateKey({ key, format: 'jwk' }))
      const { vp_token: token } = JSON.parse(new TextDecoder().decode(plaintext)) as {
        vp_token: { employee: string[] }
      }
      const parts = token.employee[0]!.split('~')
      const { payload } = await jwtVerify(parts[0]!, issuer, { algorithms: ['ES256'] })
      const { jwk } = payload['cnf'] as { jwk: JWK }
      await jwtVerify(parts.at(-1)!, await importJWK(jwk, 'ES256'), { algorithms: ['ES256'] })
    },
  }
}
