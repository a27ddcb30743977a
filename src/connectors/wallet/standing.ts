import type { Evidence } from './credential.ts'
import type { Found } from './dcql.ts'
import { printable } from './refusal.ts'
import type { Standing } from './status/status.ts'
import { type Judged, judge, type Policy } from './trust.ts'

/**
 * Judges without what the operator brought and its issuer has taken back: that counts no more than what has expired. What a wallet brought is
 * not left out: she who presents it rests on it, and it is for the caller to ask how it stands.
 * @param standing how a credential stands by its status lists
 * @throws {LoginError} as `judge` and `standing` do
 */
export async function judgeStanding(
  policy: Policy,
  found: readonly Found[],
  now: number,
  standing: (credential: Evidence) => Promise<Standing>,
): Promise<Judged> {
  const judged = judge(policy, found, now)
  const imported = judged.rests.filter((each) => policy.evidence.includes(each))
  const standings = await Promise.all(imported.map(standing))
  const takenBack = imported.flatMap((each, at) => (standings[at] === 'valid' ? [] : [{ each, how: standings[at] }]))
  if (takenBack.length === 0) return judged
  const gone = new Set(takenBack.map(({ each }) => each))
  const without = judge({ ...policy, takenBack: gone }, found, now)
  const sentences = takenBack.map(
    ({ each, how }) => `evidence ${printable(each.types.join(' '))} of ${each.issuer.id} does not count: it is ${how}`,
  )
  return { ...without, path: [...sentences, ...without.path] }
}
