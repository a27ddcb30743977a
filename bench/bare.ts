/**
 * `bare.js PORT FILE UPSTREAM`, or a Redis URL in the place of the file: what the gateway is compared with, oidc-provider as a broker in front of one OIDC upstream with
 * hardly anything of its own: a plain SQLite adapter (WAL, synchronous=FULL, one transaction per turn of the event loop), openid-client
 * inside the interaction, no rules, no audit, no proof, no pages, upstream signatures unchecked. `npm run bench -- baseline` compares it with
 * the original that it was written after.
 */
import crypto from 'node:crypto'
import fs from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import Provider, { type Adapter, type AdapterPayload, type ClientMetadata, errors } from 'oidc-provider'
import * as oidc from 'openid-client'
import { createClient } from 'redis'

const [port = '', file = '', upstreamIssuer = ''] = process.argv.slice(2)
const issuer = `http://127.0.0.1:${port}`
const audience = 'urn:peers:api'
const now = () => Math.floor(Date.now() / 1000)

interface Row {
  readonly payload: string
  readonly consumed: number | null
}
interface Job {
  readonly work: () => unknown
  readonly done: (value: unknown) => void
}

const remote = file.startsWith('redis:')
const db = new DatabaseSync(remote ? ':memory:' : file)
db.exec(
  'pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -64000; pragma wal_autocheckpoint = 4000',
)
db.exec(`create table if not exists kv(id text primary key, payload text, exp int, consumed int, grant_id text, uid text) without rowid;
  create index if not exists kg on kv(grant_id) where grant_id is not null;
  create index if not exists ku on kv(uid) where uid is not null`)
const sql = {
  upsert: db.prepare(`insert into kv(id, payload, exp, grant_id, uid) values(?, ?, ?, ?, ?)
    on conflict(id) do update set payload = excluded.payload, exp = excluded.exp`),
  get: db.prepare('select payload, consumed from kv where id = ?'),
  byUid: db.prepare('select payload, consumed from kv where uid = ?'),
  consume: db.prepare('update kv set consumed = ? where id = ? and consumed is null'),
  delete: db.prepare('delete from kv where id = ?'),
  deleteGrant: db.prepare('delete from kv where grant_id = ?'),
}

let queue: Job[] = []

function flush(): void {
  const jobs = queue
  queue = []
  db.exec('begin immediate')
  const values = jobs.map(({ work }) => work())
  db.exec('commit')
  jobs.forEach(({ done }, index) => void done(values[index]))
}

/** Resolves after the COMMIT of this turn. */
function write(work: () => unknown): Promise<unknown> {
  return new Promise((done) => {
    if (queue.length === 0) setImmediate(flush)
    queue.push({ work, done })
  })
}

function payloadOf(row: unknown): AdapterPayload | undefined {
  if (!row) return undefined
  const { payload, consumed } = row as Row
  const value = JSON.parse(payload) as AdapterPayload
  if (consumed) value.consumed = consumed
  return value
}

/** As oidc-provider's own example for Redis: a hash for each entry, a list for each grant, two steps in one `MULTI`. */
async function redisAdapter(url: string): Promise<(model: string) => Adapter> {
  const client = await createClient({ url }).connect()
  return (model) => {
    const at = (id: string) => `bare:${model}:${id}`
    const found = async (id: string) => {
      const { payload, consumed } = await client.hGetAll(at(id))
      return payloadOf(payload === undefined ? undefined : { payload, consumed: consumed ? Number(consumed) : null })
    }
    return {
      async upsert(id, payload, ttl = 86_400) {
        const steps = client
          .multi()
          .hSet(at(id), { payload: JSON.stringify(payload) })
          .expire(at(id), ttl)
        if (payload.grantId)
          steps.rPush(`bare:grant:${payload.grantId}`, at(id)).expire(`bare:grant:${payload.grantId}`, ttl)
        if (payload.uid) steps.set(`bare:uid:${payload.uid}`, id, { EX: ttl })
        await steps.exec()
      },
      find: found,
      findByUid: async (uid) => found((await client.get(`bare:uid:${uid}`)) ?? ''),
      findByUserCode: async () => undefined,
      async consume(id) {
        if ((await client.hSetNX(at(id), 'consumed', String(now()))) !== 1) throw new errors.InvalidGrant('used')
      },
      destroy: async (id) => void (await client.del(at(id))),
      async revokeByGrantId(grantId) {
        const keys = await client.lRange(`bare:grant:${grantId}`, 0, -1)
        await client.del([...keys, `bare:grant:${grantId}`])
      },
    }
  }
}

function sqliteAdapter(model: string): Adapter {
  const put = (id: string, payload: AdapterPayload, ttl = 86_400) =>
    sql.upsert.run(model + id, JSON.stringify(payload), now() + ttl, payload.grantId ?? null, payload.uid ?? null)
  return {
    upsert: (id, payload, ttl) => write(() => put(id, payload, ttl)) as Promise<undefined>,
    find: async (id) => payloadOf(sql.get.get(model + id)),
    findByUid: async (uid) => payloadOf(sql.byUid.get(uid)),
    findByUserCode: async () => undefined,
    async consume(id) {
      const { changes } = (await write(() => sql.consume.run(now(), model + id))) as { changes: number }
      if (changes !== 1) throw new errors.InvalidGrant('used')
    },
    destroy: (id) => write(() => sql.delete.run(model + id)) as Promise<undefined>,
    revokeByGrantId: (grantId) => write(() => sql.deleteGrant.run(grantId)) as Promise<undefined>,
  }
}

const adapter = remote ? await redisAdapter(file) : sqliteAdapter

/** The signing keys stand beside the database, where it is a file, so that a restart keeps them. */
function signingKeys(path: string | undefined): object[] {
  if (path !== undefined && fs.existsSync(path)) return JSON.parse(fs.readFileSync(path, 'utf8')) as object[]
  const ec = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
  const rsa = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  const keys = Object.entries({ ES256: ec, RS256: rsa }).map(([alg, jwk]) => ({ ...jwk, alg, use: 'sig', kid: alg }))
  if (path !== undefined) fs.writeFileSync(path, JSON.stringify(keys))
  return keys
}

/** `op` gets opaque access tokens, the others JWTs: the library introspects no JWT. */
const algs: Readonly<Record<string, 'ES256' | 'RS256'>> = { es: 'ES256', rs: 'RS256', op: 'ES256' }
const accounts = adapter('Account')
const pending = adapter('Pending')

const provider = new Provider(issuer, {
  adapter,
  jwks: { keys: signingKeys(remote ? undefined : `${file}.keys`) as never },
  cookies: { keys: ['k'] },
  extraParams: ['idp'],
  scopes: ['openid', 'offline_access'],
  clients: Object.entries(algs).map(
    ([id, alg]): ClientMetadata => ({
      client_id: id,
      client_secret: 's',
      redirect_uris: ['http://127.0.0.3:9000/cb'],
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      id_token_signed_response_alg: alg,
    }),
  ),
  claims: {
    openid: ['sub', 'groups'],
    profile: ['name', 'preferred_username'],
    email: ['email', 'email_verified'],
  },
  conformIdTokenClaims: false,
  async findAccount(_ctx, id) {
    const found = await accounts.find(id)
    return found ? { accountId: id, claims: () => ({ ...(found['claims'] as object), sub: id }) } : undefined
  },
  async loadExistingGrant({ oidc: { session, client } }) {
    const known = session?.grantIdFor(client?.clientId ?? '')
    if (known) return provider.Grant.find(known)
    const grant = new provider.Grant({ clientId: client?.clientId ?? '', accountId: session?.accountId ?? '' })
    grant.addOIDCScope('openid profile email offline_access')
    grant.addResourceScope(audience, 'api')
    await grant.save()
    return grant
  },
  issueRefreshToken: () => true,
  expiresWithSession: () => false,
  rotateRefreshToken: true,
  extraTokenClaims: () => ({ groups: ['g1', 'g2'] }),
  ttl: {
    AccessToken: 300,
    ClientCredentials: 300,
    RefreshToken: 86_400,
    Grant: 86_400,
    IdToken: 300,
    Session: 3600,
    Interaction: 600,
    AuthorizationCode: 60,
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    dPoP: { enabled: false },
    userinfo: { enabled: false },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, _resource, client) => ({
        scope: 'api',
        audience,
        accessTokenFormat: client.clientId === 'op' ? 'opaque' : 'jwt',
        jwt: { sign: { alg: algs[client.clientId] ?? 'ES256' } },
      }),
    },
  },
})
provider.on('server_error', (_ctx, error) => console.error(error))

let discovered: Promise<oidc.Configuration> | undefined
function upstream(): Promise<oidc.Configuration> {
  discovered ??= oidc.discovery(
    new URL(upstreamIssuer),
    'broker',
    { client_secret: 's', id_token_signed_response_alg: 'ES256' },
    undefined,
    { execute: [oidc.allowInsecureRequests] },
  )
  return discovered
}

type Context = Parameters<Parameters<typeof provider.use>[0]>[0]

async function begin(ctx: Context): Promise<void> {
  const { uid, prompt } = await provider.interactionDetails(ctx.req, ctx.res)
  if (prompt.name !== 'login') ctx.throw(400, prompt.name)
  const config = await upstream()
  const verifier = oidc.randomPKCECodeVerifier()
  const state = oidc.randomState()
  const nonce = oidc.randomNonce()
  await pending.upsert(state, { interaction: uid, verifier, nonce }, 600)
  ctx.cookies.set('st', state, { path: '/cb', httpOnly: true, sameSite: 'lax', overwrite: true })
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: `${issuer}/cb`,
    scope: 'openid profile email',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  })
  ctx.status = 302
  ctx.redirect(url.href)
}

async function complete(ctx: Context): Promise<void> {
  const state = String(ctx.query['state'])
  const waiting = await pending.find(state)
  if (!waiting || ctx.cookies.get('st') !== state) return ctx.throw(400, 'state')
  await pending.consume(state)
  const tokens = await oidc.authorizationCodeGrant(await upstream(), new URL(issuer + ctx.url), {
    pkceCodeVerifier: String(waiting['verifier']),
    expectedState: state,
    expectedNonce: String(waiting['nonce']),
    idTokenExpected: true,
  })
  const { sub, name, preferred_username, email, email_verified, groups } = tokens.claims()!
  const claims = { name, preferred_username, email, email_verified, groups }
  await accounts.upsert(`0|${sub}`, { claims } as never, 86_400) // the adapter's types know the library's models only
  const interaction = (await provider.Interaction.find(String(waiting['interaction'])))!
  interaction.result = { login: { accountId: `0|${sub}`, remember: false } }
  await interaction.save(interaction.exp - now())
  ctx.status = 303
  ctx.redirect(interaction.returnTo)
}

provider.use(async (ctx, next) => {
  if (ctx.path.startsWith('/interaction/')) return begin(ctx)
  if (ctx.path === '/cb') return complete(ctx)
  return next()
})
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'))

// A CPU profile is written only where the process ends by itself.
process.once('SIGTERM', () => process.exit(0))
