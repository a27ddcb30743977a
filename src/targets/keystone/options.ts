import { z } from 'zod'
import { duration, url } from '../../config/fields.ts'

/** What a target of type `keystone` has beside the fields of every target. */
export const keystoneOptions = {
  url: url().describe('The identity endpoint, such as https://keystone.cloud.example/v3.'),
  audience: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/, 'not an audience; write printable ASCII without spaces (128 at most)')
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
  mappingSchema: z
    .enum(['2.0', '3.0'])
    .default('3.0')
    .describe('`3.0` (Keystone 29.0.0, 2026.1) carries projects and groups; `2.0` (25.0.0, 2024.1) groups only.'),
  adminRoles: z
    .boolean()
    .default(false)
    .describe('Whether rules may give the role `admin`, which rules the whole cloud in most policies.'),
} as const

export type KeystoneOptions = z.output<z.ZodObject<typeof keystoneOptions>>
