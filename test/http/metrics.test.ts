import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics } from '../../src/http/metrics.ts'

const known = (connectors: string[] = ['corp']) => ({
  connectors: new Set(connectors),
  targets: new Set(['cloud']),
  routes: new Set(['token']),
})

const lines = async (metrics: { text(): Promise<{ body: string }> }, name: string) =>
  (await metrics.text()).body.split('\n').filter((line) => line.startsWith(name))

test('sign-ins, tokens, requests and store errors are counted under their names', async () => {
  const metrics = createMetrics(known)
  metrics.login('corp', 'success')
  metrics.login('corp', 'success')
  metrics.login('corp', 'nothing_granted')
  metrics.token('refresh_token', 'cloud')
  metrics.request('token', 201, 0.004)
  metrics.storeError()
  metrics.configLoaded(1_764_000_000)
  assert.deepEqual(await lines(metrics, 'lotse_logins_total{'), [
    'lotse_logins_total{connector="corp",outcome="success"} 2',
    'lotse_logins_total{connector="corp",outcome="nothing_granted"} 1',
  ])
  assert.deepEqual(await lines(metrics, 'lotse_tokens_total{'), [
    'lotse_tokens_total{grant_type="refresh_token",target="cloud"} 1',
  ])
  assert.deepEqual(await lines(metrics, 'lotse_http_requests_total{'), [
    'lotse_http_requests_total{route="token",status="2xx"} 1',
  ])
  assert.deepEqual(await lines(metrics, 'lotse_http_request_seconds_count'), [
    'lotse_http_request_seconds_count{route="token"} 1',
  ])
  assert.deepEqual(await lines(metrics, 'lotse_store_errors_total '), ['lotse_store_errors_total 1'])
  assert.deepEqual(await lines(metrics, 'lotse_config_loaded_timestamp_seconds '), [
    'lotse_config_loaded_timestamp_seconds 1764000000',
  ])
})

test('ten thousand made-up names add one line each to no metric but `other`', async () => {
  const metrics = createMetrics(known)
  for (let n = 0; n < 10_000; n += 1) {
    metrics.login(`c${n}`, `o${n}`)
    metrics.token(`g${n}`, `t${n}`)
    metrics.request(`/r${n}`, n, 0.001)
    metrics.upstream(`u${n}`, 'up')
  }
  assert.deepEqual(await lines(metrics, 'lotse_logins_total{'), [
    'lotse_logins_total{connector="other",outcome="other"} 10000',
  ])
  assert.equal((await lines(metrics, 'lotse_tokens_total{')).length, 1)
  assert.equal((await lines(metrics, 'lotse_http_requests_total{')).length, 6)
  assert.equal((await lines(metrics, 'lotse_upstream_up{')).length, 0)
})

test('an upstream that the configuration no longer has disappears from the scrape', async () => {
  let connectors = ['corp', 'campus']
  const metrics = createMetrics(() => known(connectors))
  metrics.upstream('corp', 'up')
  metrics.upstream('campus', 'down')
  assert.deepEqual(await lines(metrics, 'lotse_upstream_up{'), [
    'lotse_upstream_up{connector="corp"} 1',
    'lotse_upstream_up{connector="campus"} 0',
  ])
  connectors = ['corp']
  assert.deepEqual(await lines(metrics, 'lotse_upstream_up{'), ['lotse_upstream_up{connector="corp"} 1'])
})

test('two gateways in one process count apart, and both tell about process and event loop', async () => {
  const [one, other] = [createMetrics(known), createMetrics(known)]
  one.storeError()
  assert.deepEqual(await lines(other, 'lotse_store_errors_total '), ['lotse_store_errors_total 0'])
  assert.equal((await lines(other, 'process_cpu_seconds_total ')).length, 1)
  assert.equal((await lines(other, 'nodejs_eventloop_lag_p99_seconds ')).length, 1)
})
