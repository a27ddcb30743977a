import assert from 'node:assert/strict'
import { test } from 'node:test'
import request from 'supertest'
import { operationsApp } from '../../src/http/health.ts'
import { createMetrics } from '../../src/http/metrics.ts'

const metrics = createMetrics(() => ({ connectors: new Set(), targets: new Set(), routes: new Set() }))
const app = (ready: () => Promise<void>, patience = 20) =>
  request(operationsApp({ metrics, ready, patience }).callback())

test('/healthz says that the process lives, also while the store is down', async () => {
  await app(() => Promise.reject(new Error('store')))
    .get('/healthz')
    .expect(200, { status: 'alive' })
})

test('/readyz is 200 where the store takes a write', async () => {
  await app(async () => {})
    .get('/readyz')
    .expect(200, { status: 'ready' })
    .expect('cache-control', 'no-store')
})

test('/readyz tells how old the metadata of upstreams is, and old metadata makes nobody unready', async () => {
  const standing = () => ({ dfn: { readAt: 1_000_000, validUntil: 1_100_000, idps: 5000 }, idle: { idps: 0 } })
  await request(operationsApp({ metrics, ready: async () => {}, standing }).callback())
    .get('/readyz')
    .expect(200, { status: 'ready', metadata: standing() })
})

test('/readyz is 503 where the store fails, without the reason', async () => {
  const answer = await app(() => Promise.reject(new Error('SQLITE_FULL')))
    .get('/readyz')
    .expect(503)
  assert.deepEqual(answer.body, { status: 'unavailable' })
})

test('/readyz is 503 where the check throws at once', async () => {
  const ready = () => {
    throw new Error('closed')
  }
  await app(ready).get('/readyz').expect(503, { status: 'unavailable' })
})

test('/readyz is 503 where the store hangs, and a hundred probes wait for one check', async () => {
  let checks = 0
  const probes = app(() => {
    checks += 1
    return new Promise(() => {})
  })
  const answers = await Promise.all(Array.from({ length: 100 }, () => probes.get('/readyz')))
  assert.ok(answers.every((answer) => answer.status === 503))
  assert.equal(checks, 1)
})

test('/readyz recovers by itself', async () => {
  let down = true
  const probe = app(async () => {
    if (down) throw new Error('down')
  })
  await probe.get('/readyz').expect(503)
  down = false
  await probe.get('/readyz').expect(200)
})

test('/metrics answers in the text format of Prometheus', async () => {
  const answer = await app(async () => {})
    .get('/metrics')
    .expect(200)
    .expect('content-type', /^text\/plain; version=/)
  assert.match(answer.text, /^# HELP lotse_logins_total /m)
})

test('everything else is 404 and other methods are 405', async () => {
  const probe = app(async () => {})
  await probe.get('/').expect(404)
  await probe.get('/constructor').expect(404)
  await probe.post('/readyz').expect(405).expect('allow', 'GET, HEAD')
  await probe.head('/healthz').expect(200)
})
