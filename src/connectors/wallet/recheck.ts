import type { Proof } from '../../core/subject.ts'
import type { Gone } from '../connector.ts'
import type { Found } from './dcql.ts'
import { kept } from './kept.ts'
import { firstRevoked, isRejected, judgeNow, proofOf, sealContext, type Wallet } from './proof.ts'
import type { Judged } from './trust.ts'

/**
 * Judges again what was presented, by what is trusted and by the status that stands now: nobody needs to open a wallet for it.
 * @throws {LoginError} `upstream_unavailable` where a status, a list or a document cannot be read
 */
export async function recheck(wallet: Wallet, proof: Proof): Promise<Proof | Gone | 'unknown'> {
  const { config, ports } = wallet.asking
  if (!proof.sealed || proof.subject.connector !== config.id) return 'unknown'
  const at = ports.now()
  const gone = (why: string, detail = why): Gone => {
    ports.log('info', 'what somebody presented does not count any more', { connector: config.id, detail })
    return { kind: 'gone', why }
  }
  const found = kept(config, ports.open(proof.sealed, sealContext(config, proof.subject)))
  if (!found) return gone('what was presented is not asked for any more')
  await wallet.trusted.ready()
  const judged = await judgedAgain(wallet, found, at)
  if (typeof judged === 'string') return gone('what was presented is not trusted any more', judged)
  const revoked = await firstRevoked(wallet, judged)
  if (revoked !== undefined) return gone(revoked)
  const renewed = proofOf(wallet, { found, judged, at })
  // She came when she came.
  return { ...renewed, subject: { ...renewed.subject, authTime: proof.subject.authTime } }
}

/** @returns why, where these credentials would sign nobody in now */
async function judgedAgain(wallet: Wallet, found: readonly Found[], at: number): Promise<Judged | string> {
  try {
    return await judgeNow(wallet, found, at)
  } catch (error) {
    if (isRejected(error)) return error.message
    throw error
  }
}
