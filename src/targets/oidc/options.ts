import { z } from 'zod'
import { audience, duration } from '../../config/fields.ts'

/** Claims that the protocol or the gateway itself writes; groups cannot stand there. */
const taken = new Set(
  (
    'iss sub aud exp nbf iat jti azp sid nonce acr amr auth_time at_hash c_hash s_hash rt_hash cnf act scope client_id ' +
    'events email email_verified name preferred_username token_type active username authorization_details ' +
    '__proto__ constructor prototype'
  ).split(' '),
)

/** What a target of type `oidc` (Argo CD, Headlamp, Grafana and the like) has beside the fields of every target. */
export const oidcOptions = {
  audience: audience().optional().describe('The `aud` of its access tokens; the id where absent.'),
  alg: z.enum(['ES256', 'ES384', 'RS256', 'PS256']).default('ES256').describe('How its access tokens are signed.'),
  ttl: duration()
    .prefault('10m')
    .refine((seconds) => seconds <= 3600, 'too long: such a token cannot be revoked everywhere; write 60m or less')
    .describe('The longest life of an access token or ID token.'),
  groupsClaim: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_.:/-]{0,127}$/, 'not a claim name; write letters, digits and _ . : / -')
    .refine((text) => !taken.has(text), 'this claim has another meaning; choose a name such as groups or roles')
    .default('groups')
    .describe('The claim that holds the group names, as an array of strings.'),
} as const

export type OidcOptions = z.output<z.ZodObject<typeof oidcOptions>>
