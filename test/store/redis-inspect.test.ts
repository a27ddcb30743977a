import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Expected, inspect, refusal } from '../../src/store/redis/inspect.ts'

const NOW = 1_800_000_000
const well = {
  redis_version: '7.0.15',
  maxmemory_policy: 'noeviction',
  maxmemory: '0',
  aof_enabled: '1',
  aof_last_write_status: 'ok',
  connected_slaves: '2',
}
const settings: Readonly<Record<string, string>> = {
  appendfsync: 'everysec',
  save: '',
  'min-replicas-to-write': '1',
  'min-replicas-max-lag': '10',
}

/** What is said of a server that differs in this from one that is all right. */
async function said(
  info: Partial<typeof well> & { readonly valkey_version?: string },
  given: {
    readonly expected?: Partial<Expected>
    readonly config?: typeof settings | 'forbidden' | 'hidden'
    readonly time?: number
  } = {},
) {
  const fields = Object.entries({ ...well, ...info }).map(([name, value]) => `${name}:${value}`)
  const answers: Readonly<Record<string, () => unknown>> = {
    INFO: () => ['# Server', ...fields].join('\r\n'),
    TIME: () => [String(given.time ?? NOW), '5'],
    CONFIG() {
      if (given.config === 'forbidden') throw new Error('NOPERM no permission')
      if (given.config === 'hidden') return ['appendfsync', 'always']
      return Object.entries({ ...settings, ...given.config }).flat()
    },
  }
  const call = async (name: string) => answers[name]?.()
  const checks = await inspect(call, { topology: 'sentinel', replicas: 1, now: NOW, ...given.expected })
  const told = Object.fromEntries(checks.map(({ check, ok, note }) => [check, !ok ? 'bad' : note ? 'note' : 'ok']))
  const found = checks.map(({ check, found }) => `${check}: ${found}`).join('\n')
  return { told, found, refusal: refusal(checks) }
}

test('a server that keeps all promises gets no remark', async () => {
  const { told, refusal } = await said({})
  assert.deepEqual(told, {
    version: 'ok',
    eviction: 'ok',
    persistence: 'ok',
    replicas: 'ok',
    'cut off': 'ok',
    clock: 'ok',
  })
  assert.equal(refusal, undefined)
  assert.equal((await said({ redis_version: '7.2.4', valkey_version: '9.1.2' })).told['version'], 'ok')
})

test('a server that forgets whatever it likes when it is full is refused, and so is an old one', async () => {
  for (const policy of ['allkeys-lru', 'allkeys-lfu', 'allkeys-random'])
    assert.match((await said({ maxmemory_policy: policy })).refusal ?? '', /forget what was used/)
  const { told, refusal } = await said({ maxmemory_policy: 'volatile-lru' })
  assert.deepEqual([told['eviction'], refusal], ['note', undefined])
  assert.match((await said({ redis_version: '6.2.1' })).refusal ?? '', /needs Redis 7/)
})

const weaknesses: readonly (readonly [string, Parameters<typeof said>, string, string])[] = [
  ['writes nothing to disk', [{ aof_enabled: '0' }], 'persistence', 'note'],
  ['cannot write its file', [{ aof_last_write_status: 'err' }], 'persistence', 'bad'],
  ['has too few replicas', [{ connected_slaves: '0' }], 'replicas', 'bad'],
  ['has no replica to spare', [{ connected_slaves: '1' }], 'replicas', 'note'],
  ['has replicas that nobody waits for', [{}, { expected: { replicas: 0 } }], 'replicas', 'note'],
  ['takes writes when it is cut off', [{}, { config: { 'min-replicas-to-write': '0' } }], 'cut off', 'note'],
  ['takes writes when it is cut off for long', [{}, { config: { 'min-replicas-max-lag': '0' } }], 'cut off', 'note'],
  ['flushes its file when it likes', [{}, { config: { appendfsync: 'no' } }], 'persistence', 'note'],
  ['shows some of its configuration', [{}, { config: 'hidden' }], 'cut off', 'note'],
  ['does not tell its configuration', [{}, { config: 'forbidden' }], 'cut off', 'note'],
  ['has a clock that is a little wrong', [{}, { time: NOW + 10 }], 'clock', 'note'],
  ['has a clock that is wrong', [{}, { time: NOW - 15 }], 'clock', 'bad'],
]
for (const [what, args, check, mark] of weaknesses)
  test(`a server that ${what} is told of`, async () => {
    assert.equal((await said(...args)).told[check], mark)
  })

test('what a server does not show is not taken for another of its settings', async () => {
  const { found } = await said({}, { config: 'hidden' })
  assert.match(found, /^cut off: this user may not read the configuration/m)
})

test('one server alone may have no replicas', async () => {
  const { told } = await said({ connected_slaves: '0' }, { expected: { topology: 'standalone', replicas: 0 } })
  assert.deepEqual([told['replicas'], told['cut off']], ['ok', 'ok'])
})
