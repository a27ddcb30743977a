import { LoginError } from '../../core/errors.ts'
import type { Proof, Subject } from '../../core/subject.ts'
import type { Found } from './dcql.ts'
import { keep } from './kept.ts'
import type { Anchors } from './keys/x509.ts'
import type { WalletConfig } from './options.ts'
import type { Asking } from './request.ts'
import { judgeStanding } from './standing.ts'
import { standingOf } from './status/status.ts'
import { subjectFrom } from './subject.ts'
import type { Judged } from './trust.ts'
import type { Trusted } from './trusted.ts'

/** A connector to wallets: what it asks, and whom it believes. */
export interface Wallet {
  readonly asking: Asking
  readonly trusted: Trusted
}

/** What a presentation comes to: who she is, and what a recheck will judge again. */
export interface Outcome {
  readonly found: readonly Found[]
  readonly judged: Judged
  /** Unix seconds. */
  readonly at: number
}

/**
 * Judges by what is trusted at this moment.
 * @throws {LoginError} `upstream_rejected`; `upstream_unavailable` where something could not be read yet that might have spoken for her
 */
export async function judgeNow({ trusted }: Wallet, found: readonly Found[], at: number): Promise<Judged> {
  const ports = trusted.ports()
  try {
    return await judgeStanding(trusted.policy(), found.map(anchoredBy(ports.anchors)), at, (each) =>
      standingOf(each, ports),
    )
  } catch (cause) {
    const unread = trusted.unread()
    if (unread === undefined || !isRejected(cause)) throw cause
    throw new LoginError('upstream_unavailable', `${unread} was not read yet, and without it: ${cause.message}`, {
      cause,
    })
  }
}

/** Under the name of an anchor there may be other roots than when a credential was presented: whose root is gone has no anchor. */
function anchoredBy(anchors: Anchors): (found: Found) => Found {
  return ({ asked, credential }) => {
    const { anchor, root = '', ...issuer } = credential.issuer
    const stands = anchor === undefined || anchors.has(anchor, root)
    return stands ? { asked, credential } : { asked, credential: { ...credential, issuer } }
  }
}

export const isRejected = (error: unknown): error is LoginError =>
  error instanceof LoginError && error.code === 'upstream_rejected'

/**
 * Which of the credentials its issuer has taken back; undefined where all of them stand.
 * @throws {LoginError} `upstream_unavailable` where a status cannot be read
 */
export async function firstRevoked({ trusted }: Wallet, { rests }: Judged): Promise<string | undefined> {
  const ports = trusted.ports()
  const standings = await Promise.all(rests.map((each) => standingOf(each, ports)))
  const at = standings.findIndex((standing) => standing !== 'valid')
  return at < 0 ? undefined : `${rests[at]?.types.join(', ')} is ${standings[at]} by its issuer`
}

/** Good as long as the connector's answers are, and no longer than anything that it rests on. */
export function proofOf({ asking: { config, ports } }: Wallet, { found, judged, at }: Outcome): Proof {
  const { subject, validUntil } = subjectFrom(judged, config, at)
  return {
    subject,
    provenAt: at,
    goodUntil: Math.min(at + config.maxProofAge, validUntil ?? Number.POSITIVE_INFINITY),
    sealed: ports.seal(keep(found), sealContext(config, subject)),
  }
}

/** Binds what is sealed to one connector and one person: it opens nowhere else. */
export const sealContext = ({ id }: WalletConfig, subject: Pick<Subject, 'id'>) => `wallet\n${id}\n${subject.id}`
