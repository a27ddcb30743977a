import { z } from 'zod'
import { duration, path, secretReference, url, urlWithQuery } from '../../config/fields.ts'
import { connectorFields } from '../../config/schema.ts'
import { proxyProblem, proxyUrl } from '../proxy.ts'

/** An entityID: a URI of at most 1024 characters (SAML core 8.3.6), compared letter by letter. */
const entityId = () =>
  z.string().regex(/^[a-zA-Z][a-zA-Z0-9+.-]*:[\x21-\x7e]{1,1000}$/, 'not an entityID; write it as the metadata says it')

const uri = () => z.string().regex(/^[a-zA-Z][a-zA-Z0-9+.-]*:[\x21-\x7e]{1,1000}$/, 'not a URI')

const certificate = () =>
  secretReference().describe('The PEM certificate by which the metadata is signed, by `{ file }` or `{ env }`.')

/** Where metadata comes from; the one certificate of a source decides what is believed of it. */
const source = z.union(
  [
    z.strictObject({
      url: urlWithQuery().describe('A document with one entity or many; one with many must be signed.'),
      certificate: certificate().optional(),
    }),
    z.strictObject({
      file: path().describe('The same from a file, which is read again when it changes.'),
      certificate: certificate().optional(),
    }),
    z.strictObject({
      mdq: url().describe('The base URL of a metadata query server, which is asked for one entity at a time.'),
      certificate: certificate(),
    }),
  ],
  {
    error:
      'not a source of metadata; write an URL, or { url }, { file } or { mdq, certificate }, or a list of these three',
  },
)

/** What may name a person for good, in the words of the option `subject`. Anything else there is an attribute's name. */
export const identifiers = ['subject-id', 'pairwise-id', 'eduPersonUniqueId', 'persistent', 'emailAddress'] as const

/** What a connector of type `saml` takes, with the fields of every connector: the raw shape that config composes. */
export const samlOptions = {
  ...connectorFields,
  metadata: z
    .union([
      urlWithQuery().transform((text): { url: string; certificate?: string | undefined } => ({ url: text })),
      source,
      z.array(source).min(1).max(20),
    ])
    .transform((read) => [read].flat())
    .describe('Where the metadata of the identity provider, or of a whole federation, comes from; or a list of such.'),
  entity: entityId().optional().describe('The one identity provider to use, where the metadata has several.'),
  only: z
    .strictObject({
      registrationAuthorities: z.array(uri()).optional().describe('Only what one of these registered.'),
      categories: z.array(uri()).optional().describe('Only with one of these entity categories or certifications.'),
      entities: z.array(entityId()).optional().describe('Only these.'),
    })
    .optional()
    .describe('Which identity providers of the metadata are taken.'),
  discovery: z
    .union([z.literal('page'), z.strictObject({ url: url().describe('An identity provider discovery service.') })])
    .default('page')
    .describe(
      'How people of a federation say where they belong: on our own page, or at a service such as SeamlessAccess.',
    ),
  subject: z
    .array(
      z
        .string()
        .min(1)
        .max(255)
        .refine((text) => text !== 'transient', 'another one at each sign-in; no person is known by it'),
    )
    .min(1)
    .max(10)
    .default(['subject-id', 'pairwise-id', 'eduPersonUniqueId', 'persistent'])
    .describe(
      'What names a person for good, in order of preference; a sign-in without any of them is refused. `persistent` and ' +
        '`emailAddress` are formats of the NameID, other words attributes. An e-mail address may pass to another person.',
    ),
  nameIdFormat: z
    .enum(['persistent', 'transient', 'emailAddress', 'unspecified'])
    .optional()
    .describe('The format of NameID to ask for; the identity provider chooses where absent.'),
  acr: z
    .record(z.string().min(1), z.string().min(1))
    .optional()
    .describe(
      "The upstream's authentication contexts and what each means here (`low`, `substantial`, `high`); others then mean " +
        'nothing. Read the other way round for what is asked. Without it the value is taken, and asked for, as it is.',
    ),
  acrNotMet: z
    .enum(['refuse', 'report'])
    .default('refuse')
    .describe('When the upstream did not reach the strength that was asked for: refuse, or go on and say which.'),
  maxAge: duration().optional().describe('The oldest authentication that is taken; checked in the answer.'),
  signed: z
    .enum(['either', 'assertion', 'response', 'both'])
    .default('either')
    .describe('What of an answer has to be signed. Only what is signed is read, whatever this says.'),
  encrypted: z
    .enum(['optional', 'required'])
    .default('optional')
    .describe('`required` refuses an assertion that came in the clear.'),
  sha1: z
    .enum(['refused', 'allowed'])
    .default('refused')
    .describe(
      '`allowed` takes signatures with SHA-1, which can be forged with money; it is said in the log at each start.',
    ),
  requestBinding: z
    .enum(['redirect', 'post'])
    .default('redirect')
    .describe('How requests travel; the other way where the identity provider does not take this one.'),
  idpInitiated: z
    .union([z.literal('refused'), z.strictObject({ restartAt: url() })])
    .default('refused')
    .describe(
      'An answer that nobody asked for is never believed. With `restartAt` its browser is sent to that page, such as the ' +
        "dashboard's, to begin a sign-in of its own.",
    ),
  upstreamLogout: z
    .enum(['on', 'off'])
    .default('on')
    .describe("`on`: a sign-out here also ends the upstream's session; `off` ends the gateway's alone."),
  ca: secretReference()
    .optional()
    .describe("PEM certificates that the TLS of metadata's servers chains to, instead of the system's."),
  proxy: proxyUrl()
    .optional()
    .describe(
      'The forward proxy for metadata (CONNECT). One with `user:password@` is a secret: `{ env }` or `{ file }`.',
    ),
} as const

/** The options once loaded: what was referenced by `{ env }` or `{ file }` is the text itself. */
export type SamlConfig = z.output<z.ZodObject<typeof samlOptions>>

/** One place that metadata comes from, once loaded. */
export type MetadataSource = SamlConfig['metadata'][number]

/** What the options contradict each other in; empty where all is well. For the loader, after the shape was read. */
export function samlProblems(config: Pick<SamlConfig, 'metadata' | 'entity' | 'discovery'> & { proxy?: unknown }) {
  const problems: { readonly path: readonly (string | number)[]; readonly message: string }[] = []
  const mdqAlone = config.metadata.every((each) => 'mdq' in each)
  // Nobody can search where nothing is listed: such a server answers about an entity that is named.
  if (mdqAlone && config.entity === undefined && config.discovery === 'page')
    problems.push({
      path: ['discovery'],
      message: 'a metadata query server has no list to show; name a discovery service by { url }, or one entity',
    })
  // What only its own address vouches for could call itself, or its people, by the names of the others beside it.
  if (config.metadata.length > 1 && config.entity === undefined)
    config.metadata.forEach((each, at) => {
      if ('url' in each && each.certificate === undefined)
        problems.push({
          path: ['metadata', at],
          message:
            'unsigned metadata speaks for one identity provider alone; give it a connector of its own, or its certificate',
        })
    })
  return [...problems, ...proxyProblem(config)]
}
