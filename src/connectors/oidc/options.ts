import { z } from 'zod'
import { duration, secretReference, url } from '../../config/fields.ts'
import { connectorFields } from '../../config/schema.ts'
import { proxyProblem, proxyUrl } from '../proxy.ts'
import { type Preset, presetProblems } from './preset.ts'

/** Claims that name a person but may pass to somebody else, or change: no stable subject. */
const reassigned = new Set(['email', 'preferred_username', 'upn', 'unique_name', 'name', 'nickname', 'phone_number'])

const token = (what: string) =>
  z.string().regex(/^[\x21-\x7e]{1,255}$/, `not ${what}; write printable ASCII, no spaces`)

/** What a connector of type `oidc` takes, with the fields of every connector: the raw shape that config composes. */
export const oidcOptions = {
  ...connectorFields,
  preset: z
    .enum(['gxfs-aas'])
    .optional()
    .describe(
      'What is known of an upstream of this kind, and refused: `gxfs-aas` is the Authentication & Authorization Service of GXFS and XFSC, ' +
        'also behind a Keycloak. `sub` identifies nobody there, SIOP proves nobody, and e-mail addresses are not read.',
    ),
  issuer: url().describe(
    'The upstream\'s issuer, exactly as its discovery document says it. One tenant only: never "common" at Entra ID.',
  ),
  clientId: token('a client id').describe("The gateway's `client_id` at the upstream."),
  auth: z
    .enum(['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'])
    .default('client_secret_basic')
    .describe("How the gateway proves itself at the upstream's token endpoint; `none` is a public client with PKCE."),
  clientSecret: secretReference().optional().describe('For `client_secret_*`.'),
  privateKey: secretReference()
    .optional()
    .describe('For `private_key_jwt`: a PEM (PKCS#8) or JWK, RSA, P-256, P-384 or Ed25519.'),
  scope: z
    .string()
    .refine((text) => text.split(' ').includes('openid'), 'scope needs `openid`; without it there is no ID token')
    .default('openid profile email')
    .describe(
      'The scopes to ask for, separated by spaces; with `offline_access` where the upstream gives refresh tokens only for it.',
    ),
  responseMode: z
    .enum(['query', 'form_post'])
    .default('query')
    .describe('`form_post` keeps the code out of URLs and of the logs of proxies.'),
  algs: z
    .array(
      z.enum(['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'EdDSA', 'Ed25519']),
    )
    .min(1)
    .default(['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519'])
    .describe('The signature algorithms that an ID token may have; never `none`, never a shared secret.'),
  subjectClaim: z
    .string()
    .min(1)
    .max(128)
    .refine((text) => !reassigned.has(text), 'this may pass to another person; write sub, or oid for Entra ID')
    .default('sub')
    .describe('The claim that is stable and unique for a person; a sign-in without it is refused.'),
  userinfo: z
    .enum(['merge', 'off'])
    .default('off')
    .describe('`merge` also reads the userinfo endpoint; what the ID token says wins.'),
  ignore: z
    .array(z.string().min(1))
    .max(100)
    .default([])
    .describe('Top-level claims that are not read and not kept, such as `picture`.'),
  acr: z
    .record(z.string().min(1), z.string().min(1))
    .optional()
    .describe(
      "The upstream's `acr` values and what each means here (`low`, `substantial`, `high`); others then mean nothing. " +
        'Without it the value is taken as it is.',
    ),
  acrNotMet: z
    .enum(['refuse', 'report'])
    .default('refuse')
    .describe(
      'When the upstream did not reach the `acr_values` that a client asked for: refuse, or go on and say which.',
    ),
  promptLogin: z
    .enum(['checked', 'trusted'])
    .default('checked')
    .describe('`checked` refuses an answer to `prompt=login` without a fresh `auth_time`; `trusted` believes it.'),
  prompt: z
    .enum(['login', 'consent', 'select_account'])
    .optional()
    .describe('What to ask of the upstream where the client asks nothing.'),
  maxAge: duration().optional().describe('The oldest authentication that is taken; checked in the answer.'),
  upstreamLogout: z
    .enum(['on', 'off'])
    .default('on')
    .describe("`on`: a sign-out here also ends the upstream's session; `off` ends the gateway's alone."),
  ca: secretReference()
    .optional()
    .describe("PEM certificates that the upstream's TLS chains to, instead of the system's."),
  proxy: proxyUrl()
    .optional()
    .describe(
      'The forward proxy through which the upstream is reached (CONNECT). One with `user:password@` is a secret: name it by `{ env }` or `{ file }`.',
    ),
} as const

/** The options once loaded: what was referenced by `{ env }` or `{ file }` is the text itself. */
export type OidcConfig = z.output<z.ZodObject<typeof oidcOptions>>

/** A mistake that no single option shows, with the option to which it belongs. */
export interface OptionProblem {
  readonly path: readonly string[]
  readonly message: string
}

/** What `oidcProblems` looks at: secrets are texts once loaded, and references before. */
type Judged = Pick<OidcConfig, 'auth'> & Preset & { clientSecret?: unknown; privateKey?: unknown; proxy?: unknown }

/** What the options contradict each other in; empty where all is well. For the loader, after the shape was read. */
export function oidcProblems(config: Judged) {
  const problems: OptionProblem[] = []
  const needs = (option: 'clientSecret' | 'privateKey', why: string) => {
    if (config[option] === undefined)
      problems.push({ path: [option], message: `missing; \`auth: ${config.auth}\` ${why}` })
  }
  if (config.auth.startsWith('client_secret_')) needs('clientSecret', 'needs a secret')
  if (config.auth === 'private_key_jwt') needs('privateKey', 'needs a private key')
  return [...problems, ...presetProblems(config), ...proxyProblem(config)] as readonly OptionProblem[]
}
