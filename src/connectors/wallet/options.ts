import { z } from 'zod'
import { duration, isLoopback, network, secretReference, urlWithQuery } from '../../config/fields.ts'
import { connectorFields } from '../../config/schema.ts'
import { proxyUrl } from '../proxy.ts'
import { type Leniency, leniencies } from './ports.ts'

/** The name of a credential, an anchor or a list in this connector; the first stands in queries (DCQL allows no dots there). */
const word = () => z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'not a name; write letters, digits, - _ (64 at most)')

/** A did or an https URL, compared letter by letter. */
const issuerId = () =>
  z
    .string()
    .regex(
      /^(did:[a-z0-9]+:[\x21\x22\x24-\x7e]{1,500}|https:\/\/[\x21\x22\x24-\x7e]{1,500})$/,
      'not an issuer; write its did or its https URL as its credentials say it',
    )

/** Where a claim stands: its name, or the names from the outermost inwards. */
const claimPath = () =>
  z
    .union([z.string().min(1).max(256), z.array(z.string().min(1).max(256)).min(1).max(8)])
    .transform((path): readonly string[] => [path].flat())

/** The same for a query: `null` selects all elements of a list (OpenID4VP 1.0 section 7). */
const queryPath = () =>
  z
    .union([
      z.string().min(1).max(256),
      z
        .array(z.union([z.string().min(1).max(256), z.null()]))
        .min(1)
        .max(8),
    ])
    .transform((path): readonly (string | null)[] => [path].flat())

const issuers = z
  .array(
    z.union(
      [
        z.enum(['organisations', 'itself']),
        z
          .strictObject({
            id: issuerId().optional().describe('This did or https URL.'),
            anchor: word().optional().describe('Whoever has a certificate that chains to this anchor.'),
            list: word().optional().describe('Whoever stands on this list.'),
            speaksFor: z
              .union([z.literal('anybody'), z.array(issuerId()).min(1)])
              .optional()
              .describe('Organisations of which it may make somebody a member; itself alone where absent.'),
          })
          .refine(({ id, anchor, list }) => (id ?? anchor ?? list) !== undefined, 'name an id, an anchor or a list'),
      ],
      { error: 'not an issuer; write { id }, { anchor }, { anchor, id }, { list }, organisations or itself' },
    ),
  )
  .min(1)
  .max(200)
  .describe(
    'Who may issue it; an entry with several of `id`, `anchor` and `list` asks for all of them, and one without an anchor is not held ' +
      'to any certificate. `organisations`, for persons: those of whom a credential from another issuer is there and good. `itself`, for ' +
      'organisations: what one says of itself, which vouches for nothing.',
  )

const credential = z
  .strictObject({
    id: word().describe('Its name here and in the query.'),
    label: z.string().min(1).max(80).optional().describe('What people read who are asked for it; the id where absent.'),
    format: z
      .enum(['dc+sd-jwt', 'jwt_vc_json', 'vp+jwt'], {
        error: (issue) =>
          issue.input === 'mso_mdoc'
            ? 'mdoc is not read here; ask for the same as dc+sd-jwt'
            : 'not a format; write dc+sd-jwt, jwt_vc_json or vp+jwt (Gaia-X Loire)',
      })
      .describe('`vp+jwt` is Gaia-X Loire; docs/gaia-x-profile.md.'),
    types: z
      .array(z.string().min(1).max(512))
      .min(1)
      .max(20)
      .describe('The `vct`, or the type of a VC; one of them is enough.'),
    about: z.enum(['person', 'organisation']).describe('Of whom it speaks. Only what speaks of a person signs one in.'),
    issuedBy: issuers,
    claims: z
      .array(
        z.strictObject({
          path: queryPath().describe(
            'The name of the claim, or a list of names from the outermost inwards; `null` is each element of a list.',
          ),
          values: z
            .array(z.union([z.string().max(1024), z.int(), z.boolean()]))
            .min(1)
            .max(100)
            .optional()
            .describe('One of these has to be its value, or among its values.'),
        }),
      )
      .max(100)
      .default([])
      .describe('Claims to ask for; each has to be there. A wallet discloses others only as it likes.'),
    need: z
      .enum(['required', 'optional'])
      .default('required')
      .describe('Whether a sign-in fails without it. Of persons, `sets` may say it instead.'),
    from: z
      .enum(['wallet', 'operator', 'either'])
      .default('wallet')
      .describe('About an organisation: whether the wallet is asked for it, or it stands in `evidence`.'),
    memberOf: z
      .union([z.enum(['issuer', 'nobody']), z.strictObject({ claim: claimPath() })])
      .default('issuer')
      .describe('About a person: the organisation to which she belongs. One that a claim names must have issued it.'),
    subject: z
      .union([z.literal('holder'), z.strictObject({ claim: claimPath() })])
      .default('holder')
      .describe(
        'About a person: what names her for good beside the issuer, the key of the wallet or a claim that never passes to another.',
      ),
    acr: z
      .string()
      .min(1)
      .max(255)
      .optional()
      .describe('How strongly it authenticates (`low`, `substantial`, `high`).'),
    facts: z
      .strictObject({
        name: claimPath().optional().describe('Becomes `org.name`.'),
        vatId: claimPath().optional().describe('Becomes `org.vatId`.'),
        label: claimPath().optional().describe('Becomes `org.label`.'),
      })
      .optional()
      .describe('About an organisation: what its claims become; the names of Gaia-X where absent.'),
  })
  .describe('A kind of credential.')

/** What a connector of type `wallet` takes, with the fields of every connector: the raw shape that config composes. */
export const walletOptions = {
  ...connectorFields,
  clientIdPrefix: z
    .enum(['x509_hash', 'x509_san_dns', 'decentralized_identifier', 'redirect_uri'])
    .default('x509_hash')
    .describe('How wallets know the gateway. `redirect_uri` signs nothing and is for development.'),
  certificate: secretReference()
    .optional()
    .describe('For `x509_*`: the PEM chain, the signing certificate first, without the root.'),
  privateKey: secretReference().optional().describe('The key that signs requests: PEM (PKCS#8) or JWK, P-256.'),
  did: z
    .string()
    .regex(
      /^did:(web|jwk|key):[^#\s]{1,1000}#[^#\s]{1,200}$/,
      'not the name of a key; write did:web:login.example#key-1',
    )
    .optional()
    .describe('For `decentralized_identifier`: the key in the DID document, as `did:web:…#key`.'),
  response: z
    .enum(['encrypted', 'plain'])
    .default('encrypted')
    .describe('Whether wallets encrypt their answer (`direct_post.jwt`) or not (`direct_post`).'),
  walletUrl: z
    .string()
    .regex(/^[a-z][a-z0-9+.-]*:\/\/[^\s#?]{0,500}$/, 'not the address of a wallet; write openid4vp:// or https://…')
    .refine((text) => !/^(javascript|data|vbscript|file|blob):/.test(text), 'no address of a wallet')
    // As of every URL in a configuration: without TLS on loopback alone, where somebody tries things out.
    .refine((text) => !/^http:/.test(text) || isLoopback(new URL(text).hostname), 'no TLS; write https://…')
    .default('openid4vp://')
    .describe('What the link to the wallet opens: a scheme such as `haip-vp://`, or an https address of a wallet.'),
  crossDevice: z
    .enum(['off', 'on'])
    .default('off')
    .describe('`on` also shows a QR code for a wallet on another device; whoever is sent one may be deceived by it.'),
  browserApi: z
    .enum(['off', 'on'])
    .default('off')
    .describe('`on` asks by the Digital Credentials API where the browser has it.'),
  requestTtl: duration().prefault('5m').describe('How long a request waits for the wallet.'),
  trustedAuthorities: z
    .enum(['on', 'off'])
    .default('on')
    .describe('Whether the query says which anchors are trusted, so that wallets offer nothing else.'),
  credentials: z
    .array(credential)
    .min(1)
    .max(50)
    .describe('What is asked for, of whom it speaks, and who may issue it.'),
  sets: z
    .array(
      z.strictObject({
        anyOf: z.array(z.array(word()).min(1)).min(1).max(20).describe('Alternatives: lists of names of credentials.'),
        need: z.enum(['required', 'optional']).default('required').describe('Whether one of them has to be there.'),
      }),
    )
    .max(20)
    .optional()
    .describe('Which credentials together are enough; without it each that is required.'),
  require: z
    .array(z.enum(['name', 'vatId', 'label']))
    .default([])
    .describe('What has to be known of the organisation to which somebody belongs.'),
  anchors: z
    .record(word(), z.union([secretReference(), z.strictObject({ url: urlWithQuery() })]))
    .default({})
    .describe('X.509 roots by names: PEM, by `{ file }`, `{ env }`, or `{ url }` of a Gaia-X registry.'),
  lists: z
    .record(word(), z.union([secretReference(), z.strictObject({ url: urlWithQuery() })]))
    .default({})
    .describe(
      'Lists of issuers by names, such as the notaries of a Gaia-X registry: JSON, by `{ file }` or `{ url }`.',
    ),
  evidence: z
    .array(secretReference())
    .max(1000)
    .default([])
    .describe('Credentials about organisations that the operator brought: Gaia-X Tagus (JSON-LD) or Loire (JWT).'),
  contexts: z
    .record(
      z
        .string()
        .regex(/^https:\/\/[\x21\x22\x24-\x7e]{1,500}#?$/, 'not an address; write https://… as documents have it'),
      secretReference(),
    )
    .default({})
    .describe(
      'JSON-LD contexts of Tagus evidence by their addresses, as `{ file }`: those of Gaia-X. Nothing is fetched for them; those of the W3C are there.',
    ),
  lenient: z
    .array(z.enum(Object.keys(leniencies) as [Leniency, ...Leniency[]]))
    .default([])
    .describe('Deviations from the standards that are taken, by their names; docs/gaia-x-profile.md.'),
  allowPrivate: z
    .array(network())
    .default([])
    .describe('Private networks in which dids, keys, status lists and registries may be; others are not reached.'),
  ca: secretReference().optional().describe("PEM certificates that their TLS chains to, instead of the system's."),
  proxy: proxyUrl()
    .optional()
    .describe(
      'The forward proxy for them (CONNECT). One with `user:password@` is a secret: name it by `{ env }` or `{ file }`.',
    ),
} as const

/** The options once loaded: what was referenced by `{ env }` or `{ file }` is the text itself. */
export type WalletConfig = z.output<z.ZodObject<typeof walletOptions>>

/** One kind of credential, as it was configured. */
export type Asked = WalletConfig['credentials'][number]

/** Who may issue it: one entry of `issuedBy`. */
export type IssuerEntry = Asked['issuedBy'][number]
