import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, test } from 'node:test'
import type { AuditEvent } from '../../src/audit.ts'
import { accountId } from '../../src/core/subject.ts'
import { type Ends, openEnds, type Selector } from '../../src/lifecycle/end.ts'
import { groupOf, openProofShelf, type StoredProof } from '../../src/lifecycle/proofs.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import { kinds } from '../../src/store/kinds.ts'
import { type Store, StoreUnavailable } from '../../src/store/store.ts'

let now = 1_800_000_000
let store: Store
let events: AuditEvent[] = []
/** Who was said to be touched, and after how many seconds to look. */
let touched: [sub: string, delay: number][] = []
/** Whether the audit log takes nothing. */
let full = false
/** Operations of the store that still work; then it is broken. */
let left = Number.POSITIVE_INFINITY
beforeEach(async () => {
  now = 1_800_000_000
  events = []
  touched = []
  full = false
  left = Number.POSITIVE_INFINITY
  store = await openEmbedded({ path: ':memory:', now: () => now })
})
afterEach(() => store.close())

const counted = (): Store =>
  new Proxy(store, {
    get: (target, name: keyof Store) => {
      const method = target[name] as (...args: unknown[]) => Promise<unknown>
      return (...args: unknown[]) =>
        left-- > 0 ? method(...args) : Promise.reject(new StoreUnavailable(`${name} after the crash`))
    },
  })

function ends(): Ends {
  const used = counted()
  return openEnds({
    store: used,
    proofs: openProofShelf(used, () => now),
    audit: async (_id, event) => {
      if (full) throw new Error('no space left on device')
      events.push(event)
    },
    log: () => {},
    now: () => now,
    random: () => randomBytes(16).toString('base64url'),
    refuseFor: 3600,
    touched: async (...args) => void touched.push(args),
  })
}

/** As it is a few seconds later: nobody else can be at it still. */
function later(): Ends {
  now += 5
  return ends()
}

const by = { reference: 'test' }

/** A sign-in with a session, a grant for each client and a refresh token under each grant, as the library stores them. */
async function signIn(
  name: string,
  {
    connector = 'corp',
    id = 'ada',
    clients = ['web'],
  }: { connector?: string; id?: string; clients?: readonly string[] } = {},
): Promise<void> {
  const subject = { connector, id, claims: {}, records: {}, authTime: now }
  const proof: StoredProof = {
    subject,
    provenAt: now,
    goodUntil: now + 1000,
    signedInAt: now,
    via: { client: 'web', address: '::1' },
    upstreamSession: `up-${name}`,
  }
  assert.ok(await openProofShelf(store, () => now).put(name, proof))
  const sub = accountId(subject)
  const authorizations = Object.fromEntries(clients.map((client) => [client, { sid: `${name}-${client}` }]))
  const session = JSON.stringify({ accountId: sub, proof: name, uid: `uid-${name}`, authorizations })
  const groups = [groupOf.session(`uid-${name}`), groupOf.proof(name)]
  await store.put(kinds.Session, `session-${name}`, session, 1000, { alias: `uid-${name}`, groups })
  for (const client of clients) {
    const grant = `${name}-${client}`
    const payload = { clientId: client, accountId: sub, iat: now, proof: name, sid: grant }
    await store.put(kinds.Grant, grant, JSON.stringify(payload), 1000, {
      groups: [...groups, groupOf.grant(grant), groupOf.client(client)],
    })
    await store.put(kinds.RefreshToken, `rt-${grant}`, '{}', 1000, { groups: [groupOf.grant(grant)] })
  }
}

/** What of it is still there: proofs, then refresh tokens. */
async function alive(): Promise<string> {
  const proofs = (await store.list(kinds.Proof, 100)).map(({ id }) => id)
  const tokens = (await store.list(kinds.RefreshToken, 100)).map(({ id }) => id.slice(3))
  return `${proofs.sort().join(' ')} | ${tokens.sort().join(' ')}`
}

const told = async () => (await store.list(kinds.LogoutQueue, 100)).map(({ value }) => JSON.parse(value).sid).sort()

const everybody = async () => {
  await signIn('a', { id: 'ada', clients: ['web', 'cli'] })
  await signIn('b', { id: 'ada' })
  await signIn('c', { id: 'bob' })
  await signIn('d', { connector: 'campus', id: 'ada' })
}
const sub = (connector: string, id: string) => accountId({ connector, id })
const people = { a: sub('corp', 'ada'), b: sub('corp', 'ada'), c: sub('corp', 'bob'), d: sub('campus', 'ada') }

// biome-ignore format: the columns are read downwards
const selectors: readonly (readonly [Selector, stays: string, tells: readonly string[]])[] = [
  [{ kind: 'proof', id: 'a' },                                 'b c d | b-web c-web d-web',            ['a-cli', 'a-web']],
  [{ kind: 'subject', sub: sub('corp', 'ada') },               'c d | c-web d-web',                    ['a-cli', 'a-web', 'b-web']],
  [{ kind: 'session', uid: 'uid-b' },                          'a c d | a-cli a-web c-web d-web',      ['b-web']],
  [{ kind: 'connector', id: 'campus' },                        'a b c | a-cli a-web b-web c-web',      ['d-web']],
  [{ kind: 'upstream', connector: 'corp', session: 'up-c' },   'a b d | a-cli a-web b-web d-web',      ['c-web']],
  [{ kind: 'upstream', connector: 'campus', session: 'up-c' }, 'a b c d | a-cli a-web b-web c-web d-web', []],
  [{ kind: 'client', id: 'cli' },                              'a b c d | a-web b-web c-web d-web',    []],
  [{ kind: 'key', kid: 'k', clients: ['web'] },                'a b c d | a-cli',                      []],
  [{ kind: 'subject', sub: sub('corp', 'nobody') },            'a b c d | a-cli a-web b-web c-web d-web', []],
]

for (const [selector, stays, tells] of selectors) {
  test(`${JSON.stringify(selector)} ends exactly what it names`, async () => {
    await everybody()
    await ends().end(selector, 'operator', by)
    assert.equal(await alive(), stays)
    assert.deepEqual(await told(), tells)
    const ended = ['a', 'b', 'c', 'd'].filter((name) => !stays.split(' ').includes(name))
    assert.deepEqual(
      touched
        .filter(([, delay]) => delay > 0)
        .map(([who]) => who)
        .sort(),
      ended.map((name) => people[name as keyof typeof people]).sort(),
      'whoever keeps leases is told of each before it ends',
    )
    assert.deepEqual(
      new Set(touched.filter(([, delay]) => delay === 0).map(([who]) => who)),
      new Set([...touched.map(([who]) => who), ...(selector.kind === 'subject' ? [selector.sub] : [])]),
      'and again when it has ended',
    )
  })
}

test('each sign-in that ends is one line with its cause, each family too', async () => {
  await everybody()
  const one = ends()
  await one.end({ kind: 'client', id: 'cli' }, 'operator', by)
  await one.end({ kind: 'subject', sub: sub('corp', 'ada') }, 'upstream', by)
  await one.end({ kind: 'subject', sub: sub('corp', 'ada') }, 'upstream', by)
  assert.deepEqual(
    events.map((event) => [
      event.event,
      'cause' in event && event.cause,
      'clients' in event ? event.clients : undefined,
    ]),
    [
      ['family.revoked', 'operator', undefined],
      ['session.ended', 'upstream', ['web']],
      ['session.ended', 'upstream', ['web']],
    ],
  )
})

test('what ended takes nothing that comes late: no token, no grant, no renewed proof', async () => {
  await signIn('a')
  const proofs = openProofShelf(store, () => now)
  const proof = (await proofs.get('a')) as StoredProof
  await ends().end({ kind: 'proof', id: 'a' }, 'recheck', by)
  assert.equal(await proofs.put('a', { ...proof, provenAt: now + 1 }), false)
  const late = (group: string) => store.put(kinds.RefreshToken, 'late', '{}', 100, { groups: [group] })
  assert.equal(await late(groupOf.grant('a-web')), false)
  assert.equal(await store.put(kinds.Grant, 'late', '{}', 100, { groups: [groupOf.proof('a')] }), false)
})

for (const [what, goesOn] of [
  ['a process that dies', 'another'],
  ['a store that fails for a moment', 'the same'],
] as const)
  test(`an end that breaks off at any point by ${what} is carried out afterwards, and nobody is forgotten`, async () => {
    assert.ok((await breakingOff(goesOn)) > 10)
  })

/** @returns points at which it broke off */
async function breakingOff(goesOn: 'another' | 'the same'): Promise<number> {
  let points = 0
  for (let at = 1; ; at++) {
    await store.close()
    store = await openEmbedded({ path: ':memory:', now: () => now })
    events = []
    touched = []
    await everybody()
    left = at
    const one = ends()
    const broken = await one.end({ kind: 'subject', sub: sub('corp', 'ada') }, 'upstream', by).then(
      () => undefined,
      (error: unknown) => error,
    )
    left = Number.POSITIVE_INFINITY
    if (broken === undefined) break
    points++
    assert.ok(broken instanceof StoreUnavailable, String(broken))
    const begun = (await store.list(kinds.Ending, 10)).length > 0
    if (goesOn === 'another') await later().resume()
    else {
      now += 5
      await one.resume()
    }
    if (!begun) continue // the very first write failed: whoever asked was told, and nothing happened
    assert.equal(await alive(), 'c d | c-web d-web', `after a crash at operation ${at}`)
    assert.deepEqual(await told(), ['a-cli', 'a-web', 'b-web'])
    assert.ok(events.filter(({ event }) => event === 'session.ended').length >= 2, 'each end is written down')
    for (const name of ['a', 'b'] as const)
      assert.ok(
        touched.some(([who]) => who === people[name]),
        'and told of',
      )
  }
  return points
}

test('an ending is struck off by whoever carried it out, a command too', async () => {
  await everybody()
  await ends().end({ kind: 'connector', id: 'campus' }, 'operator', by)
  assert.equal((await store.list(kinds.Ending, 10)).length, 0)
  await later().resume()
  assert.equal(events.length, 1, 'it is written down once')
})

test('whoever keeps leases hears of an end before it happens: a crash after that forgets nobody', async () => {
  await signIn('a')
  const told: string[] = []
  const used = counted()
  const proofs = openProofShelf(used, () => now)
  const touching = async (_sub: string, delay: number) => {
    told.push(`${delay > 0 ? 'before' : 'after'}: ${(await alive()).startsWith('a') ? 'signed in' : 'ended'}`)
  }
  const random = () => randomBytes(16).toString('base64url')
  const audit = async () => {}
  const ports = { store: used, proofs, audit, log: () => {}, now: () => now, random, refuseFor: 3600 }
  await openEnds({ ...ports, touched: touching }).end({ kind: 'proof', id: 'a' }, 'person', by)
  assert.deepEqual(told, ['before: signed in', 'after: ended'])
})

test('an end that takes its time is written down once, whatever the process does meanwhile', async () => {
  await signIn('a')
  const random = () => randomBytes(16).toString('base64url')
  const audit = async (_id: string, event: AuditEvent) => void events.push(event)
  const ports = { store, proofs: openProofShelf(store, () => now), audit, log: () => {}, now: () => now, random }
  const slow = async () => {
    now += 5
    await one.resume()
  }
  const one: Ends = openEnds({ ...ports, refuseFor: 3600, touched: slow })
  await one.end({ kind: 'proof', id: 'a' }, 'person', by)
  assert.equal(events.length, 1)
})

test('an audit log that is full keeps nobody in, and gets every line when it has room again', async () => {
  await everybody()
  full = true
  const one = ends()
  await assert.rejects(one.end({ kind: 'subject', sub: sub('corp', 'ada') }, 'upstream', by), /no space left/)
  assert.equal(await alive(), 'c d | c-web d-web')
  assert.deepEqual(await told(), ['a-cli', 'a-web', 'b-web'])
  now += 86_400 * 3
  await one.resume()
  assert.equal(events.length, 0)
  full = false
  await one.resume()
  await one.resume()
  assert.deepEqual(
    events.map((event) => event.event === 'session.ended' && [event.cause, event.connector]),
    [
      ['upstream', 'corp'],
      ['upstream', 'corp'],
    ],
  )
})

test('a message that is good once ends once', async () => {
  await everybody()
  const one = ends()
  const once = { id: 'corp\njti-1', until: now + 300 }
  const selector = { kind: 'subject', sub: sub('corp', 'bob') } as const
  assert.deepEqual(await one.endOnce(once, selector, 'upstream', by), { signIns: 1, families: 0 })
  await signIn('c', { id: 'bob' }).catch(() => {}) // the same name is refused: c has ended
  await signIn('c2', { id: 'bob' })
  assert.equal(await one.endOnce(once, selector, 'upstream', by), undefined)
  assert.ok((await alive()).startsWith('a b c2 d'))
})

test('an end that a crash broke off spares who signed in after it was asked for', async () => {
  await everybody()
  left = 1 // the ending is written down, and nothing else happens
  await assert.rejects(ends().end({ kind: 'subject', sub: sub('corp', 'ada') }, 'upstream', by))
  left = Number.POSITIVE_INFINITY
  now += 1
  await signIn('e', { id: 'ada' })
  await later().resume()
  assert.equal(await alive(), 'c d e | c-web d-web e-web')
})

test('what a crash broke off is found behind thousands of ends that are done, and when its message is forgotten', async () => {
  await everybody()
  const one = ends()
  for (let n = 0; n < 1100; n++) {
    await one.end({ kind: 'session', uid: `over-${n}` }, 'person', by)
    await one.endOnce({ id: `jti-${n}`, until: now + 300 }, { kind: 'subject', sub: `over-${n}` }, 'upstream', by)
  }
  left = 2 // of a message that is good once
  const selector = { kind: 'subject', sub: sub('corp', 'ada') } as const
  await assert.rejects(ends().endOnce({ id: 'jti', until: now + 300 }, selector, 'upstream', by))
  left = Number.POSITIVE_INFINITY
  now += 900
  await later().resume()
  assert.equal(await alive(), 'c d | c-web d-web')
})

test('a message whose end failed half way is obeyed when it comes again, and only then', async () => {
  await everybody()
  const once = { id: 'corp\njti-1', until: now + 300 }
  const selector = { kind: 'subject', sub: sub('corp', 'ada') } as const
  const one = ends()
  left = 4
  await assert.rejects(one.endOnce(once, selector, 'upstream', by))
  left = Number.POSITIVE_INFINITY
  assert.deepEqual(await one.endOnce(once, selector, 'upstream', by), { signIns: 2, families: 0 })
  assert.equal(await alive(), 'c d | c-web d-web')
  assert.equal(await one.endOnce(once, selector, 'upstream', by), undefined)
})

test('a proof that runs out ends by itself, within a minute of its end', async () => {
  await everybody()
  const one = ends()
  const minutes = async (rounds: number) => {
    for (let n = 0; n < rounds; n++) await one.expire()
  }
  await minutes(15)
  assert.equal(events.length, 0)
  now += 1000
  await minutes(2)
  assert.equal(events.length, 4)
  assert.ok(events.every((event) => event.event === 'session.ended' && event.cause === 'expiry'))
})

test('a thousand sign-ins end in one go, and requests come in between', async () => {
  for (let n = 0; n < 1000; n++) await signIn(`n${n}`, { id: 'ada' })
  let turns = 0
  let going = true
  const others = (async () => {
    while (going) {
      await new Promise((resolve) => setImmediate(resolve))
      turns++
    }
  })()
  const ended = await ends().end({ kind: 'subject', sub: sub('corp', 'ada') }, 'upstream', by)
  going = false
  await others
  assert.equal(ended.signIns, 1000)
  assert.ok(turns >= 40, `${turns} turns`)
})
