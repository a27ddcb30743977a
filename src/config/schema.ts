import { isIP } from 'node:net'
import { z } from 'zod'
import { clientSchema } from './clients.ts'
import { duration, emailDomain, name, network, path, url } from './fields.ts'
import { storeSchema } from './store.ts'

const brandSchema = z.strictObject({
  name: z.string().min(1).max(60).default('Lotse').describe('The name of the cloud, as people know it.'),
  color: z
    .string()
    .regex(/^#[0-9a-fA-F]{6}$/, 'not a colour; write six hex digits in quotes, such as "#0b5a8a"')
    .optional()
    .describe('The accent colour, such as "#0b5a8a"; pages darken or lighten it where text would be hard to read.'),
  imprint: url().optional().describe('Linked at the foot of every page.'),
  privacy: url().optional().describe('Linked at the foot of every page.'),
  help: url().optional().describe('Where people find help; linked on error pages.'),
})

const worded = (max: number) =>
  z.union([
    z.string().min(1).max(max),
    z.strictObject({ de: z.string().min(1).max(max), en: z.string().min(1).max(max) }),
  ])
const wordedUrl = () => z.union([url(), z.strictObject({ de: url(), en: url() })])

const samlSchema = z.strictObject({
  name: worded(80)
    .optional()
    .describe('What discovery services and identity providers call the gateway; `brand.name` if absent.'),
  description: worded(400).optional().describe('What it is for, in a sentence.'),
  logo: z
    .strictObject({ url: url(), width: z.int().min(1).max(4096), height: z.int().min(1).max(4096) })
    .optional()
    .describe('A picture, with its size in pixels.'),
  information: wordedUrl().optional().describe('A page about the service.'),
  privacy: wordedUrl().optional().describe('The privacy statement; `brand.privacy` if absent.'),
  organization: z
    .strictObject({ name: worded(200), url: wordedUrl() })
    .optional()
    .describe('Who runs it.'),
  contacts: z
    .array(
      z.strictObject({
        type: z
          .enum(['technical', 'support', 'administrative', 'security'])
          .describe('`security` is the contact of Sirtfi.'),
        name: z.string().min(1).max(200),
        email: z.email(),
      }),
    )
    .default([])
    .describe('Whom operators of identity providers write to.'),
  categories: z
    .array(z.string().regex(/^[a-z][a-z0-9+.-]*:[\x21-\x7e]{1,500}$/, 'not a URI'))
    .default([])
    .describe('Entity categories and certifications (Sirtfi), as the federation granted them.'),
  attributes: z
    .array(z.string().min(1).max(255))
    .default(['displayName', 'mail', 'eduPersonScopedAffiliation', 'subject-id', 'pairwise-id'])
    .describe('The attributes to ask for, by the names that rules have for them.'),
})

const address = {
  address: z
    .string()
    .refine((text) => isIP(text) !== 0 || text === 'localhost', 'not an address; write 127.0.0.1, 0.0.0.0 or ::')
    .default('127.0.0.1')
    .describe('The local address; `0.0.0.0` or `::` for all.'),
  port: z.int().min(0).max(65_535).describe('The port; 0 takes a free one.'),
}

/** What stands in the main file beside connectors, targets and rules. */
export const serverFields = {
  issuer: url()
    .refine(
      (text) => !URL.canParse(text) || new URL(text).origin === text,
      'not an origin; write https://login.cloud.example, without a path or a / at the end',
    )
    .describe('The public URL of the gateway; every URL that it ever prints is built from it.'),
  listen: z
    .strictObject(
      {
        ...address,
        tls: z
          .strictObject({
            certificate: path().describe('The chain, leaf first.'),
            key: path().describe('Its private key.'),
          })
          .optional()
          .describe('PEM files; read again when they change.'),
        drain: duration()
          .optional()
          .describe(
            'How long a process that was asked to end still takes requests after `/readyz` says no: longer than the load balancer takes to notice. 5s where several processes can serve (`store.kind: redis`), 0s otherwise.',
          ),
      },
      'not a listener; write { port: 8080 }',
    )
    .describe('Where the gateway listens: plain HTTP behind a reverse proxy, or TLS by itself.'),
  operations: z.strictObject(address).optional().describe('A second listener for /healthz, /readyz and /metrics.'),
  trustedProxies: z
    .array(network())
    .default([])
    .describe('Addresses or networks (10.0.0.0/8) whose X-Forwarded-For is believed.'),
  store: storeSchema.describe('What is remembered, and where.'),
  keys: z
    .strictObject({
      dir: path().prefault('./keys').describe('The folder of the root secret and of imported keys.'),
      create: z.boolean().default(false).describe('Whether a missing root secret is made on first start.'),
      rotateEvery: duration().prefault('90d').describe('How long a key signs.'),
      lead: duration().prefault('24h').describe('How long a next key is published before it signs.'),
      rsaBits: z.literal([2048, 3072, 4096]).default(3072).describe('The size of new RSA keys.'),
    })
    .prefault({})
    .describe('The root secret, and how signing keys change.'),
  audit: z
    .strictObject({ path: path().prefault('-').describe('A file, or `-` for standard output.') })
    .prefault({})
    .describe('Where the audit events go, a line of JSON each.'),
  log: z
    .strictObject({
      level: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('The least that is logged.'),
    })
    .prefault({})
    .describe('The log, on standard error.'),
  brand: brandSchema.prefault({}).describe('How the pages look.'),
  sessions: z
    .strictObject({
      idle: duration().prefault('1h').describe('A browser session ends after so long without use.'),
      max: duration().prefault('12h').describe('A browser session ends after so long whatever happens.'),
      refresh: duration().prefault('12h').describe('Refreshes of one sign-in end after so long whatever happens.'),
      perPerson: z
        .int()
        .min(1)
        .optional()
        .describe('How many sign-ins one person may have at once; a further one ends the oldest.'),
    })
    .prefault({})
    .describe('How long sign-ins last.'),
  clients: z.array(clientSchema).default([]).describe('OAuth clients of the gateway.'),
  saml: samlSchema
    .prefault({})
    .describe('What the gateway says of itself in its SAML metadata, to all of its SAML upstreams.'),
} as const

/** What every connector has, whatever its protocol; each type adds its own options (connectors/index.ts). */
export const connectorFields = {
  id: name().describe('Its name in rules, URLs, logs and metrics; part of every `sub`, so never renamed.'),
  label: z.string().min(1).max(80).describe('What people read on the chooser page.'),
  hint: z.string().max(80).optional().describe('A second, smaller line on the chooser page.'),
  unlisted: z
    .boolean()
    .default(false)
    .describe('Not on the chooser page: reached by link, hint or e-mail domain only.'),
  emailDomains: z
    .array(emailDomain())
    .default([])
    .describe('E-mail domains whose people belong here; only these may be asserted.'),
  domain: z.string().min(1).max(64).exactOptional().describe('The Keystone domain in which its people live.'),
  maxProofAge: duration()
    .prefault('12h')
    .describe('How long an answer of this upstream is good for; nothing outlives it.'),
  recheckAfter: duration()
    .prefault('5m')
    .describe('At a refresh, the upstream is asked again where its last answer is older than this.'),
  recheckGrace: duration()
    .prefault('30m')
    .describe('How much longer refreshes go on while the upstream cannot be reached.'),
  sessionIdle: duration().optional().describe('As `sessions.idle`, for its people; `sessions.idle` where absent.'),
  sessionMax: duration().optional().describe('As `sessions.max`, for its people; `sessions.max` where absent.'),
} as const

/** What every target has; each type adds its own options (targets/index.ts). */
export const targetFields = {
  id: name().describe('Its name in rules, logs and metrics.'),
  label: z.string().min(1).max(80).optional().describe('What people read; the id where absent.'),
} as const
