import assert from 'node:assert/strict'
import { test } from 'node:test'
import Provider from 'oidc-provider'
import Router, { type Middleware } from 'oidc-provider/lib/helpers/router.js'
import supertest from 'supertest'
import { openProvider } from '../../src/http/request-context.ts'

const ISSUER = 'https://login.example'
const plain = { features: { devInteractions: { enabled: false } } }

test('each route of the library begins with the step that is replaced, and with no other', () => {
  const { post } = Router.prototype
  const steps: string[][] = []
  Router.prototype.post = function (name, path, ...middleware: Middleware[]) {
    steps.push(middleware.map((each) => each.name))
    return post.call(this, name, path, ...middleware)
  }
  try {
    new Provider(ISSUER, plain)
  } finally {
    Router.prototype.post = post
  }
  assert.ok(steps.length > 0)
  for (const names of steps) assert.deepEqual(names.slice(0, 2), ['ensureOIDC', 'ensureSessionSave'])
  for (const [, ...others] of steps) assert.ok(!others.includes('ensureOIDC'))
})

test('what the library keeps of a request is in a field, and no getter of the request’s own keeps it from dying', async () => {
  const provider = openProvider(ISSUER, plain)
  const seen: { readonly ctx: object; readonly stored: unknown; readonly oidc: unknown }[] = []
  provider.on('grant.error', (ctx) => seen.push({ ctx, stored: Provider.ctx, oidc: ctx.oidc }))
  let outside: unknown = 'nothing was asked'
  provider.use(async (ctx, next) => {
    await next()
    if (ctx.status === 404) outside = (ctx as { readonly oidc?: unknown }).oidc
  })
  await supertest(provider.callback()).post('/token').type('form').send({ grant_type: 'authorization_code' })
  const [{ ctx, stored, oidc } = assert.fail('no error of a grant')] = seen
  assert.equal(stored, ctx)
  assert.ok(oidc instanceof (provider as unknown as { OIDCContext: new () => object }).OIDCContext)
  const accessors = Object.values(Object.getOwnPropertyDescriptors(ctx)).filter(({ get }) => get !== undefined)
  assert.deepEqual(accessors, [])
  await supertest(provider.callback()).get('/nowhere')
  assert.equal(outside, undefined)
})

test('a provider that is opened changes nothing for those that others make', async () => {
  openProvider(ISSUER, plain)
  const stock = new Provider(ISSUER, plain)
  const own: unknown[] = []
  stock.on('grant.error', (ctx) => own.push(Object.getOwnPropertyDescriptor(ctx, 'oidc')?.get))
  await supertest(stock.callback()).post('/token').type('form').send({ grant_type: 'authorization_code' })
  assert.equal(typeof own[0], 'function')
})
