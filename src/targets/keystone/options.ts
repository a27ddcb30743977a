import { z } from 'zod'
import { audience, duration, name, secretReference, url } from '../../config/fields.ts'

/** The gateway's own account at the Keystone, and what it may do there. */
const reconcile = z
  .strictObject({
    applicationCredential: z
      .strictObject({
        id: z.string().min(1).describe('Its id.'),
        secret: secretReference().describe('Its secret.'),
      })
      .optional()
      .describe('How the gateway signs in at the Keystone: an application credential of its own account.'),
    user: z
      .strictObject({
        name: z.string().min(1).describe('The user name.'),
        domain: z.string().min(1).default('Default').describe('The domain of the user.'),
        password: secretReference().describe('The password.'),
        scope: z
          .union([
            z.strictObject({ domain: z.string().min(1).describe('A domain of which the account is manager.') }),
            z.strictObject({ system: z.literal(true).describe('The whole cloud.') }),
            z.strictObject({
              project: z.string().min(1).describe('A project in which the account is admin.'),
              projectDomain: z.string().min(1).default('Default').describe('The domain of that project.'),
            }),
          ])
          .describe('For what the account has its role.'),
      })
      .optional()
      .describe('Or a user with a password, and the scope of its role.'),
    create: z
      .array(z.enum(['domain', 'project', 'group']))
      .default(['project', 'group'])
      .describe(
        'What is made where a rule names it and it is missing; `domain` needs the rights of a cloud administrator.',
      ),
    every: duration().prefault('15m').describe('How often everything is looked at, beside each sign-in and each end.'),
    ifUnreachable: z
      .enum(['go-on', 'refuse'])
      .default('go-on')
      .describe('A sign-in waits 2 s for this Keystone; then it goes on, and the grants follow, or it is refused.'),
    atOnce: z
      .strictObject({
        accounts: z.int().min(1).default(20).describe('Accounts.'),
        percent: z.int().min(1).max(100).default(10).describe('Or per cent of its accounts, whichever is more.'),
      })
      .prefault({})
      .describe(
        'Changed rules that take from more accounts of one connector than this at once wait for `lotse reconcile --yes`.',
      ),
    perSecond: z.int().min(1).max(1000).default(20).describe('Requests to this Keystone in a second, at most.'),
  })
  .optional()
  .describe('The gateway writes users, groups and roles itself, and takes them back when their proof ends.')

/** What a target of type `keystone` has beside the fields of every target. */
export const keystoneOptions = {
  url: url().describe('The identity endpoint, such as https://keystone.cloud.example/v3.'),
  ca: secretReference()
    .optional()
    .describe("PEM certificates that the Keystone's TLS chains to, instead of the system's."),
  audience: audience()
    .optional()
    .describe('The `aud` of its tokens, best the `OIDCClientID` of its Apache; the id where absent.'),
  alg: z.enum(['ES256', 'ES384', 'RS256', 'PS256']).default('ES256').describe('How its own ring signs.'),
  ttl: duration()
    .prefault('10m')
    .refine((seconds) => seconds <= 3600, 'too long: Keystone makes its own token at once; write 60m or less')
    .describe('The longest life of an access token or ID token for this Keystone.'),
  domain: z
    .string()
    .min(1)
    .max(64)
    .default('Default')
    .describe('The domain of people, projects and groups where neither rule nor connector names one.'),
  identityProvider: name().default('lotse').describe('The id of the gateway as an identity provider of this Keystone.'),
  protocol: name().default('openid').describe('The id of its protocol there.'),
  dashboards: z
    .array(url())
    .default([])
    .describe(
      'Horizons that may take tokens, by the address of their websso page: https://horizon.example/auth/websso/.',
    ),
  mappingSchema: z
    .enum(['1.0', '2.0', '3.0'])
    .optional()
    .describe(
      '`3.0` (Keystone 29.0.0, 2026.1) carries projects and groups, `2.0` (25.0.0, 2024.1) groups, `1.0` groups, and ' +
        'everybody lives in `domain`. With `reconcile` the mapping carries neither: `2.0` is taken where absent, else `3.0`.',
    ),
  adminRoles: z
    .boolean()
    .default(false)
    .describe('Whether rules may give the role `admin`, which rules the whole cloud in most policies.'),
  reconcile,
} as const

export type KeystoneOptions = z.output<z.ZodObject<typeof keystoneOptions>>
export type ReconcileOptions = NonNullable<KeystoneOptions['reconcile']>

/** A Keystone as the configuration has it: what every target has, and what belongs to this type. */
export type KeystoneConfig = KeystoneOptions & { readonly id: string; readonly label?: string | undefined }

/** The version of the mapping that this Keystone takes. */
export function schemaOf({ mappingSchema, reconcile: writes }: KeystoneConfig): '1.0' | '2.0' | '3.0' {
  return mappingSchema ?? (writes === undefined ? '3.0' : '2.0')
}

/** The address of its Identity API, with the version, however the configuration writes it. */
export const apiOf = ({ url: written }: Pick<KeystoneOptions, 'url'>): string =>
  `${written.replace(/\/+$/, '').replace(/\/v3$/, '')}/v3`

/** What the options contradict each other in; empty where all is well. */
export function keystoneProblems({
  mappingSchema,
  reconcile: writes,
}: Pick<KeystoneOptions, 'mappingSchema' | 'reconcile'>) {
  const problems: { readonly path: readonly string[]; readonly message: string }[] = []
  if (writes === undefined) return problems
  if (mappingSchema === '3.0')
    problems.push({
      path: ['mappingSchema'],
      message: '3.0 deletes at each sign-in what the gateway and your administrators wrote; with reconcile write 2.0',
    })
  const ways = [writes.applicationCredential, writes.user].filter((way) => way !== undefined).length
  if (ways !== 1)
    problems.push({ path: ['reconcile'], message: 'needs one way to sign in; write applicationCredential, or user' })
  return problems
}
