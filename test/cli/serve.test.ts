import assert from 'node:assert/strict'
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import {
  type Place,
  parsed,
  place,
  robotFields,
  robotGroups,
  type Serving,
  secrets,
  serve,
} from '../support/serving.ts'

/** Runs with a gateway of its own. */
async function alone(use: (at: Place, gateway: Serving) => Promise<void>, prepare?: (at: Place) => Promise<void>) {
  const at = await place()
  await prepare?.(at)
  const gateway = serve(at)
  try {
    await use(at, gateway)
  } finally {
    await gateway.kill()
    await at.remove()
  }
}

/** A token request of which the gateway has taken the head and waits for the body. */
async function halfAsked(at: Place): Promise<{ finish(): Promise<string>; socket: Socket }> {
  const body = robotFields().toString()
  const socket = connect(at.ports[0], '127.0.0.1')
  let heard = ''
  const hear = (words: string) =>
    new Promise<void>((resolve) => {
      const look = () => heard.includes(words) && resolve()
      socket.on('data', look)
      look()
    })
  socket.setEncoding('utf8').on('data', (chunk) => {
    heard += chunk
  })
  socket.on('error', () => {})
  const head = ['POST /token HTTP/1.1', `Host: 127.0.0.1:${at.ports[0]}`, 'Expect: 100-continue']
  head.push('Content-Type: application/x-www-form-urlencoded', `Content-Length: ${body.length}`, '', '')
  socket.write(head.join('\r\n'))
  await hear('100 Continue')
  return {
    socket,
    finish: () =>
      new Promise((resolve) => {
        socket.once('close', () => resolve(heard))
        socket.write(body)
      }),
  }
}

suite('a gateway that serves', () => {
  let at: Place
  let gateway: Serving
  before(async () => {
    at = await place()
    gateway = serve(at)
    await gateway.logged('serving')
  })
  after(async () => {
    await gateway.kill()
    await at.remove()
  })

  test('operators reach health, readiness and metrics on their own listener, the public has no metrics', async () => {
    for (const [path, type] of [
      ['/healthz', /json/],
      ['/readyz', /json/],
      ['/metrics', /text\/plain/],
    ] as const) {
      const answer = await fetch(at.operations + path)
      assert.equal(answer.status, 200, path)
      assert.match(answer.headers.get('content-type') ?? '', type)
      // Probes may come through the proxy, too: they tell one word. Metrics are nobody else's business.
      assert.equal((await fetch(at.issuer + path)).status, path === '/metrics' ? 404 : 200, path)
    }
    assert.equal((await fetch(`${at.operations}/token`, { method: 'POST' })).status, 404)
  })

  test('metrics count without naming a person or anything that a request chose', async () => {
    assert.deepEqual(await robotGroups(at), ['old-ci'])
    await fetch(`${at.issuer}/made-up-path?connector=made-up`)
    await fetch(`${at.issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'made-up', client_id: 'made-up' }),
    })
    const text = await (await fetch(`${at.operations}/metrics`)).text()
    assert.match(text, /^lotse_tokens_total\{grant_type="client_credentials",target="argo"\} [1-9]/m)
    assert.match(text, /^lotse_config_loaded_timestamp_seconds \d{10}/m)
    assert.doesNotMatch(text, /made-up|robot-1|127\.0\.0\.1/)
  })

  test('the audit events are lines of JSON on standard output, the log lines of JSON on standard error', async () => {
    await fetch(`${at.issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({ ...Object.fromEntries(robotFields()), client_secret: 'a-wrong-secret-of-somebody' }),
    })
    await robotGroups(at)
    const events = gateway.out().trimEnd().split('\n').map(parsed)
    assert.equal(events[0]?.['event'], 'key.rotated')
    assert.ok(events.some((event) => event['event'] === 'process.started'))
    assert.ok(events.some((event) => event['event'] === 'token.issued'))
    assert.ok(events.some((event) => event['event'] === 'token.refused' && event['code'] === 'invalid_client'))
    for (const line of gateway.err().trimEnd().split('\n')) assert.ok(parsed(line)['level'], line)
    const all = gateway.out() + gateway.err()
    for (const secret of [...Object.values(secrets), 'a-wrong-secret-of-somebody']) {
      assert.ok(!all.includes(secret), secret)
    }
    // With its dot: the letters alone stand in some random id, some day.
    assert.doesNotMatch(all, /eyJ[\w-]*\.|\.eyJ/)
  })

  test('a second process on the same store is refused and says why', async () => {
    const second = serve(at)
    assert.equal(await second.ended(), 3)
    assert.match(second.err(), /^lotse serve: another process serves from .*lotse\.db; /m)
    assert.deepEqual(await robotGroups(at), ['old-ci'])
  })

  test('a bad file is refused with its place, and what was in use stays', async () => {
    await at.change('target: argo, group:', 'target: argo, grup:')
    gateway.child.kill('SIGHUP')
    const line = await gateway.logged('the configuration is refused; the one in use stays')
    assert.match(String(line['problems']), /gateway\.yaml:\d+:\d+ .*grup.*did you mean group/)
    assert.deepEqual(await robotGroups(at), ['old-ci'])
    assert.ok(gateway.out().includes('"config.refused"'))
    await at.change('target: argo, grup:', 'target: argo, group:')
    gateway.child.kill('SIGHUP')
    await gateway.logged('the configuration is what it was')
  })

  test('a changed file acts at the next token, without a signal', async () => {
    const from = gateway.lines()
    await at.change('old-<team>', 'new-<team>')
    await gateway.logged('the configuration was loaded again', from)
    assert.deepEqual(await robotGroups(at), ['new-ci'])
    assert.match(gateway.out(), /"event":"config\.loaded","digest":"[0-9a-f]{64}"/)
  })

  test('SIGHUP loads a changed file, and tells what acts after a restart only', async () => {
    const from = gateway.lines()
    await at.change('./lotse.db', './other.db')
    gateway.child.kill('SIGHUP')
    const line = await gateway.logged('some of the configuration acts after a restart only', from)
    assert.deepEqual(line['options'], ['store'])
    assert.deepEqual(await robotGroups(at), ['new-ci'])
  })

  test('a reload with another issuer is refused', async () => {
    const from = gateway.lines()
    await at.change(`issuer: ${at.issuer}`, 'issuer: http://127.0.0.1:1')
    gateway.child.kill('SIGHUP')
    const line = await gateway.logged('the configuration is refused; the one in use stays', from)
    assert.match(String(line['problems']), /issuer cannot change/)
    assert.equal((await fetch(`${at.issuer}/.well-known/openid-configuration`)).status, 200)
  })
})

test('asked to end, it finishes what it accepted, ends idle connections, takes no new ones and exits 0', () =>
  alone(async (at, gateway) => {
    await gateway.logged('serving')
    const idle = connect(at.ports[0], '127.0.0.1').setEncoding('utf8')
    idle.write(`GET /jwks HTTP/1.1\r\nHost: 127.0.0.1:${at.ports[0]}\r\n\r\n`)
    await new Promise((resolve) => idle.once('data', resolve))
    const idleEnded = new Promise((resolve) => idle.once('close', resolve))
    const asked = await halfAsked(at)
    gateway.child.kill('SIGTERM')
    await gateway.logged('stopping')
    await idleEnded
    assert.equal((await fetch(`${at.operations}/readyz`)).status, 503)
    assert.equal((await fetch(`${at.operations}/healthz`)).status, 200)
    await assert.rejects(fetch(`${at.issuer}/jwks`))
    const answer = await asked.finish()
    assert.match(answer, /HTTP\/1\.1 200 OK[\s\S]*Connection: close[\s\S]*"access_token"/i)
    const begun = performance.now()
    assert.equal(await gateway.ended(), 0)
    assert.ok(performance.now() - begun < 3000)
    assert.match(gateway.out(), /"process\.stopped"\}\n$/)
  }))

test('with a time to drain it says first that it is not ready, and takes requests until the others have heard', () =>
  alone(
    async (at, gateway) => {
      await gateway.logged('serving')
      gateway.child.kill('SIGTERM')
      await gateway.logged('stopping')
      assert.equal((await fetch(`${at.operations}/readyz`)).status, 503)
      const answer = await fetch(`${at.issuer}/jwks`)
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get('connection'), 'close')
      assert.equal(typeof (await robotGroups(at)), 'object')
      assert.equal(await gateway.ended(), 0)
    },
    (at) => at.change(`listen: { port: ${at.ports[0]} }`, `listen: { port: ${at.ports[0]}, drain: 3s }`),
  ))

test('a second signal ends it at once', () =>
  alone(async (at, gateway) => {
    await gateway.logged('serving')
    const { socket } = await halfAsked(at)
    gateway.child.kill('SIGTERM')
    await gateway.logged('stopping')
    gateway.child.kill('SIGTERM')
    assert.equal(await gateway.ended(), 130)
    socket.destroy()
  }))

for (const [which, name] of [
  [0, 'listen'],
  [1, 'operations'],
] as const) {
  test(`a port of ${name} that is taken is named, and the process ends with 3`, async () => {
    const squatter = createServer()
    try {
      await alone(
        async (at, gateway) => {
          assert.equal(await gateway.ended(), 3)
          assert.match(gateway.err(), new RegExp(`cannot listen on 127.0.0.1:${at.ports[which]}: another process has`))
        },
        (at) => new Promise((resolve) => squatter.listen(at.ports[which], '127.0.0.1', () => resolve())),
      )
    } finally {
      squatter.close()
    }
  })
}

test('a first configuration with mistakes names all of them and ends with 1, before anything is written', () =>
  alone(
    async (at, gateway) => {
      assert.equal(await gateway.ended(), 1)
      assert.match(gateway.err(), /gateway\.yaml:\d+:\d+ .*lisen/)
      assert.match(gateway.err(), /gateway\.yaml:\d+:\d+ .*grup/)
      await assert.rejects(readFile(join(at.folder, 'lotse.db')), { code: 'ENOENT' })
    },
    async (at) => {
      await at.change('listen:', 'lisen:')
      await at.change('group:', 'grup:')
    },
  ))

test('TLS files that are not there are named, and the process ends with 3', () =>
  alone(
    async (_at, gateway) => {
      assert.equal(await gateway.ended(), 3)
      assert.match(gateway.err(), /lotse serve: cannot read listen\.tls\.certificate: .*no such file.*tls\.crt/)
    },
    (at) => at.change('listen: {', 'listen: { tls: { certificate: ./tls.crt, key: ./tls.key },'),
  ))

test('standard output that takes no audit line ends the start', async () => {
  const at = await place()
  const full = await open('/dev/full', 'w')
  const gateway = serve(at, full.fd)
  try {
    assert.equal(await gateway.ended(), 3)
    assert.match(gateway.err(), /lotse serve: .*(ENOSPC|no space)/i)
  } finally {
    await gateway.kill()
    await full.close()
    await at.remove()
  }
})

test('a token whose audit line nobody takes is not handed out, and the gateway lives on', () =>
  alone(async (at, gateway) => {
    await gateway.logged('serving')
    assert.deepEqual(await robotGroups(at), ['old-ci'])
    gateway.child.stdout?.destroy()
    assert.equal(await robotGroups(at), 503)
    assert.equal((await fetch(`${at.operations}/healthz`)).status, 200)
    assert.equal((await fetch(`${at.issuer}/jwks`)).status, 200)
  }))

test('after SIGHUP the audit goes on in a new file; where that cannot be made, in the old one', () =>
  alone(
    async (at, gateway) => {
      await gateway.logged('serving')
      const file = join(at.folder, 'audit', 'audit.log')
      await rename(file, `${file}.1`)
      gateway.child.kill('SIGHUP')
      await gateway.logged('the configuration is what it was')
      await robotGroups(at)
      assert.match(await readFile(`${file}.1`, 'utf8'), /process\.started/)
      assert.match(await readFile(file, 'utf8'), /^\{.*"token\.issued".*\}\n$/)

      await rename(join(at.folder, 'audit'), join(at.folder, 'old'))
      await writeFile(join(at.folder, 'audit'), 'no folder')
      gateway.child.kill('SIGHUP')
      await gateway.logged('the audit file cannot be opened again; the old one stays in use')
      assert.deepEqual(await robotGroups(at), ['old-ci'])
      assert.equal((await readFile(join(at.folder, 'old', 'audit.log'), 'utf8')).trimEnd().split('\n').length, 2)
      await rm(join(at.folder, 'audit'))
    },
    async (at) => {
      await mkdir(join(at.folder, 'audit'))
      await at.change("path: '-'", 'path: ./audit/audit.log')
    },
  ))
