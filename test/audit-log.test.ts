import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AuditEvent } from '../src/audit.ts'
import { openAudit } from '../src/audit-log.ts'

const now = () => 1_764_000_000
const started: AuditEvent = { event: 'process.started', version: '0.1.0' }

function memory(fail: () => boolean = () => false) {
  const writes: string[] = []
  const write = async (text: string) => {
    if (fail()) throw new Error('no space left on device')
    writes.push(text)
  }
  return { writes, write }
}

async function folder(t: { after(f: () => Promise<void>): void }): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'lotse-audit-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

test('an event is one JSON line with version, time, id and event, and it is in the file once audit resolved', async (t) => {
  const path = join(await folder(t), 'audit.log')
  const log = await openAudit({ path, now })
  await log.audit('e-1', started)
  assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), {
    v: 1,
    time: '2025-11-24T16:00:00.000Z',
    id: 'e-1',
    event: 'process.started',
    version: '0.1.0',
  })
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  await log.close()
})

test('an audit log is appended to, never begun anew', async (t) => {
  const path = join(await folder(t), 'audit.log')
  for (const id of ['a', 'b']) {
    const log = await openAudit({ path, now })
    await log.audit(id, started)
    await log.close()
  }
  assert.equal((await readFile(path, 'utf8')).trim().split('\n').length, 2)
})

test('events of one turn of the event loop go out in one write, in their order', async () => {
  const { writes, write } = memory()
  const { audit } = await openAudit({ path: '-', now, write })
  await Promise.all(Array.from({ length: 100 }, (_, n) => audit(`id-${n}`, started)))
  assert.equal(writes.length, 1)
  const ids = writes[0]
    ?.trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { id: string }).id)
  assert.deepEqual(
    ids,
    Array.from({ length: 100 }, (_, n) => `id-${n}`),
  )
})

test('an event that cannot be written rejects, and the next one works again on a line of its own', async () => {
  let broken = true
  const { writes, write } = memory(() => broken)
  const { audit } = await openAudit({ path: '-', now, write })
  const results = await Promise.allSettled([audit('1', started), audit('2', started)])
  assert.deepEqual(
    results.map((result) => result.status),
    ['rejected', 'rejected'],
  )
  broken = false
  await audit('3', started)
  assert.equal(writes.length, 1)
  assert.match(writes[0] ?? '', /^\n\{.*"id":"3".*\}\n$/)
})

test('an audit file that cannot be opened, and one without room, fail loudly', async () => {
  await assert.rejects(openAudit({ path: '/nowhere/at/all/audit.log', now }), { code: 'ENOENT' })
  const full = await openAudit({ path: '/dev/full', now })
  await assert.rejects(full.audit('1', started), { code: 'ENOSPC' })
  await full.close()
})

test('only fields of the closed list are written, at every depth', async () => {
  const { writes, write } = memory()
  const { audit } = await openAudit({ path: '-', now, write })
  const event = {
    event: 'login.success',
    connector: 'corp',
    accessToken: 'hunter2',
    because: [
      {
        rule: 'teams',
        effect: 'gave',
        grants: [{ target: 'cloud', project: 'web', roles: ['member'], claim: 'hunter2' }],
        claims: 'hunter2',
      },
    ],
    personal: { sub: 's', upstreamId: 'u', cookie: 'hunter2', password: 'hunter2' },
  } as const
  await audit('1', event as AuditEvent)
  assert.deepEqual(JSON.parse(writes[0] ?? ''), {
    v: 1,
    time: '2025-11-24T16:00:00.000Z',
    id: '1',
    event: 'login.success',
    connector: 'corp',
    because: [{ rule: 'teams', effect: 'gave', grants: [{ target: 'cloud', project: 'web', roles: ['member'] }] }],
    personal: { sub: 's', upstreamId: 'u' },
  })
})

test('a name with control characters cannot forge a second line', async () => {
  const { writes, write } = memory()
  const { audit } = await openAudit({ path: '-', now, write })
  const username = 'eve\n{"event":"login.success"}\u0000\u001b[2J\u009b2J\u2028'
  await audit('1', { event: 'device.declined', client: 'cli', personal: { username, userAgent: 'x'.repeat(9999) } })
  const text = writes[0] ?? ''
  assert.equal(text.indexOf('\n'), text.length - 1)
  assert.doesNotMatch(text.trimEnd(), /\p{Cc}|\u2028/u)
  const read = JSON.parse(text) as { personal: { username: string; userAgent: string } }
  assert.equal(read.personal.username, username)
  assert.equal(read.personal.userAgent.length, 1024)
})

test('after a rotation reopen writes to the new file, and no line is lost meanwhile', async (t) => {
  const dir = await folder(t)
  const path = join(dir, 'audit.log')
  const log = await openAudit({ path, now })
  await log.audit('old', started)
  await rename(path, `${path}.1`)
  const between: AuditEvent = { event: 'device.declined', client: 'cli', personal: { username: 'x'.repeat(1000) } }
  const load = Array.from({ length: 3000 }, () => log.audit('between', between))
  await new Promise(setImmediate) // a write of several parts is under way
  await log.reopen()
  await Promise.all([...load, log.audit('new', started)])
  assert.match(await readFile(`${path}.1`, 'utf8'), /"old".*\n/)
  assert.match(await readFile(path, 'utf8'), /"new".*\n$/)
  const both = await Promise.all([path, `${path}.1`].map((file) => readFile(file, 'utf8')))
  assert.equal(both.join('').trim().split('\n').length, 3002)
  await log.close()
})

test('where reopen fails the old file stays in use', async (t) => {
  const dir = await folder(t)
  const path = join(dir, 'audit.log')
  const open = await openAudit({ path, now })
  await rename(path, `${path}.1`)
  await mkdir(path)
  await assert.rejects(open.reopen(), { code: 'EISDIR' })
  await open.audit('still', started)
  assert.match(await readFile(`${path}.1`, 'utf8'), /"still"/)
  await open.close()
})

test('a closed audit log wrote everything that it took and refuses what comes later', async (t) => {
  const path = join(await folder(t), 'audit.log')
  const log = await openAudit({ path, now })
  const last = log.audit('last', { event: 'process.stopped' })
  await log.close()
  await last
  assert.match(await readFile(path, 'utf8'), /"last"/)
  await assert.rejects(log.audit('late', started), /closed/)
  const stream = await openAudit({ path: '-', now, write: memory().write })
  await stream.close()
  await assert.rejects(stream.audit('late', started), /closed/)
})
