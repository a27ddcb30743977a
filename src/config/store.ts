import { z } from 'zod'
import { path, secretReference } from './fields.ts'

const serverAddress = () =>
  z
    .string()
    .regex(
      /^(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[1-9][0-9]{0,4}$/,
      'not a server; write its host and port, such as redis-1.internal:6379',
    )

const embedded = z.strictObject({
  kind: z.literal('embedded').describe('SQLite in one file, for one serving process.'),
  path: path().describe('The file; its folder is made where it is missing.'),
})

const redis = z.strictObject({
  kind: z.literal('redis').describe('Redis 7 or Valkey, for any number of serving processes.'),
  topology: z
    .enum(['standalone', 'sentinel', 'cluster'])
    .default('standalone')
    .describe('One server; the primary that Sentinels name; or the node of a Cluster that has the gateway’s keys.'),
  servers: z
    .array(serverAddress())
    .min(1)
    .max(16)
    .describe('`host:port` of the server, of all Sentinels, or of some nodes of the Cluster.'),
  primary: z.string().min(1).max(128).default('mymaster').describe('What the Sentinels call the primary.'),
  replicas: z
    .int()
    .min(0)
    .max(5)
    .optional()
    .describe(
      'How many replicas have to hold a write before it is told of; where fewer answer, the gateway says 503. 0 for one server, 1 otherwise.',
    ),
  username: z.string().min(1).max(128).optional().describe('The ACL user; the default user where absent.'),
  password: secretReference().optional().describe('Its password.'),
  sentinel: z
    .strictObject({
      username: z.string().min(1).max(128).optional().describe('The ACL user at the Sentinels.'),
      password: secretReference().optional().describe('Its password.'),
    })
    .prefault({})
    .describe('How Sentinels are signed in to; they have users of their own.'),
  tls: z
    .strictObject({
      ca: secretReference().optional().describe("PEM certificates to trust instead of the system's."),
      certificate: secretReference().optional().describe('A client certificate, PEM.'),
      key: secretReference().optional().describe('Its private key.'),
    })
    .optional()
    .describe('TLS to all of them; `{}` with the certificates of the system.'),
  database: z.int().min(0).max(1023).default(0).describe('The number of the database; a Cluster has only 0.'),
  prefix: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,31}$/, 'not a prefix; write lower-case letters, digits, - _ . (32 at most)')
    .default('lotse')
    .describe('What all keys begin with, `{lotse}:`; another for each installation on one server.'),
})

/** Where things are remembered. */
export const storeSchema = z.discriminatedUnion(
  'kind',
  [embedded, redis],
  'not a store; write { kind: embedded, path: lotse.db }',
)

export type StoreConfig = z.output<typeof storeSchema>
export type RedisConfig = z.output<typeof redis>

/** What the options of a store contradict each other in. */
export function storeMistakes(
  store: StoreConfig,
): readonly { readonly path: readonly string[]; readonly message: string }[] {
  if (store.kind === 'embedded') return []
  const { topology, servers, database, replicas, tls } = store
  return [
    ...(topology === 'standalone' && servers.length > 1
      ? [
          {
            path: ['servers'],
            message: 'one server has one address; name its topology, sentinel or cluster, or leave one',
          },
        ]
      : []),
    ...(topology === 'cluster' && database !== 0
      ? [{ path: ['database'], message: 'a Cluster has only the database 0; take this out, and write a prefix' }]
      : []),
    ...(topology === 'cluster' && replicas === 0
      ? [
          {
            path: ['replicas'],
            message: 'a Cluster changes its primaries by itself, and would forget what was used; write 1 or more',
          },
        ]
      : []),
    ...((tls?.certificate === undefined) !== (tls?.key === undefined)
      ? [{ path: ['tls'], message: 'a client certificate needs its key, and the key its certificate' }]
      : []),
  ]
}
