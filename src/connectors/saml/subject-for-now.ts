import { LoginError } from '../../core/errors.ts'
import type { RegexEngine } from '../../core/policy.ts'
import type { Subject } from '../../core/subject.ts'
import type { Idp } from './idp.ts'
import type { SamlConfig } from './options.ts'
import type { Verified } from './verify.ts'

export function subjectOf(
  { nameId, attributes, authnInstant }: Verified,
  _idp: Idp,
  { config }: { readonly config: SamlConfig; readonly regex: RegexEngine },
): { readonly subject: Subject; readonly dropped: readonly string[] } {
  if (!nameId.format.endsWith(':persistent')) throw new LoginError('claims_unusable', 'no stable identifier')
  const claims = Object.fromEntries(attributes.map(({ name, values }) => [name, values]))
  return {
    subject: { connector: config.id, id: nameId.value, claims, records: {}, authTime: authnInstant },
    dropped: [],
  }
}
