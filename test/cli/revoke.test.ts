import assert from 'node:assert/strict'
import { copyFile, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import type { Operator } from '../support/lotse.ts'
import { type Operated, type SignedIn, startOperated } from '../support/operated.ts'

let world: Operated
let at: Operator
let lotse: Operator['lotse']
let lines = 0
before(async () => {
  world = await startOperated()
  at = world.at
  lotse = at.lotse
})
beforeEach(async () => {
  await world.clear()
  lines = (await at.audit()).length
})
after(() => world.close())

/** What commands have written down since the test began, without times. */
async function written() {
  return (await at.audit()).slice(lines).map(({ event, cause, clients, client, personal }) => {
    const { sub, upstreamId } = personal as { sub: string; upstreamId?: string }
    return { event, cause, of: clients ?? client, sub, ...(upstreamId !== undefined && { upstreamId }) }
  })
}

for (const named of ['CONNECTOR/ID', 'SUB'])
  test(`a person named by ${named} is out in every browser and at every client, and nobody else is`, async () => {
    const [one, other] = [await world.enter('ada'), await world.enter('ada', 'portal')]
    const [bob, guest] = [await world.enter('bob'), await world.enter('ada', 'kubectl', 'guests')]
    const { code, out } = await lotse(`revoke --subject ${named === 'SUB' ? one.sub : 'corp/ada'}`)
    assert.equal(code, 0)
    assert.match(out[0] ?? '', /^WHAT +PERSON +CLIENTS +SINCE$/)
    assert.deepEqual(
      out.slice(1, 3).map((line) => line.split(/ {2,}/).slice(0, 3)),
      [
        ['sign-in', 'corp/ada', 'kubectl'],
        ['sign-in', 'corp/ada', 'portal'],
      ],
    )
    assert.deepEqual(out.slice(3), ['2 sign-ins ended'])
    assert.deepEqual(await world.live(one, other, bob, guest), [false, false, true, true])
    assert.deepEqual(await Promise.all([one, other, bob].map(world.known)), [false, false, true])
    assert.deepEqual(
      new Set(await written()),
      new Set(
        ['kubectl', 'portal'].map((client) => ({
          ...{ event: 'session.ended', cause: 'operator', of: [client], sub: one.sub, upstreamId: 'ada' },
        })),
      ),
    )
    assert.equal((await lotse('revoke --subject corp/ada')).code, 1, 'there is nothing left')
  })

for (const by of ['session', 'proof'] as const)
  test(`one sign-in named by its ${by} ends, the same person's other one goes on`, async () => {
    const [one, other] = [await world.enter('ada'), await world.enter('ada')]
    assert.match(one[by], /^[\w-]{20,}$/)
    const { code, out } = await lotse(`revoke --${by} ${one[by]}`)
    assert.deepEqual([code, out.at(-1)], [0, '1 sign-in ended'])
    assert.deepEqual(await world.live(one, other), [false, true])
    assert.deepEqual([await world.known(one), await world.known(other)], [false, true])
    assert.equal((await written()).length, 1)
  })

test('everybody who came by a connector is out, those of another one stay', async () => {
  const [ada, bob, guest] = [
    await world.enter('ada'),
    await world.enter('bob', 'portal'),
    await world.enter('ada', 'kubectl', 'guests'),
  ]
  assert.deepEqual((await lotse('revoke --connector corp')).out.at(-1), '2 sign-ins ended')
  assert.deepEqual(await world.live(ada, bob, guest), [false, false, true])
})

test("a client's tokens end, the people stay signed in and other clients keep theirs", async () => {
  const [ada, bob] = [await world.enter('ada'), await world.enter('bob', 'portal')]
  const { code, out } = await lotse('revoke --client kubectl')
  assert.equal(code, 0)
  assert.match(out[1] ?? '', /^tokens +corp\/ada +kubectl /)
  assert.equal(out.at(-1), '1 set of tokens at 1 client ended')
  assert.deepEqual(await world.live(ada, bob), [false, true])
  assert.equal(await world.known(ada), true)
  assert.deepEqual(await written(), [{ event: 'family.revoked', cause: 'operator', of: 'kubectl', sub: ada.sub }])
})

test('a running gateway tells the clients, each once and of its own session', async () => {
  const [ada, bob] = [await world.enter('ada', 'portal'), await world.enter('bob', 'portal')]
  await lotse('revoke --subject corp/ada')
  await world.aSecond()
  await world.aSecond()
  assert.deepEqual(world.heard, [`portal ${ada.sid}`])
  assert.equal((await world.live(bob))[0], true)
  const ending = { name: 'Ending', durable: true }
  assert.deepEqual(await world.gateway.store.list(ending, 100), [], 'nothing is left to do')
  assert.equal(world.gateway.events.filter((each) => each.event === 'session.ended').length, 0, 'written down once')
})

test('a dry run shows what would end and changes nothing', async () => {
  const [ada, bob] = [await world.enter('ada'), await world.enter('bob', 'portal')]
  const endings = (await world.gateway.store.list({ name: 'Ending', durable: true }, 1000)).length
  for (const [words, last] of [
    ['--subject corp/ada', '1 sign-in would end'],
    ['--connector corp', '2 sign-ins would end'],
    ['--client kubectl', '1 set of tokens at 1 client would end'],
    [`--session ${ada.session}`, '1 sign-in would end'],
    [`--key ${await at.kidOf('issuer')}`, '2 sets of tokens at 2 clients would end'],
  ]) {
    const { code, out } = await lotse(`revoke ${words} --dry-run`)
    assert.deepEqual([code, out.at(-1)], [0, last], words)
  }
  await world.aSecond()
  assert.deepEqual(await world.live(ada, bob), [true, true])
  assert.deepEqual(await written(), [])
  assert.ok((await world.gateway.store.list({ name: 'Ending', durable: true }, 1000)).length <= endings)
})

test('many at once need --yes, and the refusal counts them', async () => {
  const all: SignedIn[] = []
  for (let n = 0; n < 11; n++) all.push(await world.enter('ada'))
  for (const [words, count] of [
    ['--connector corp', '11 sign-ins'],
    ['--client kubectl', '11 sets of tokens at 1 client'],
    [`--key ${await at.kidOf('issuer')}`, '11 sets of tokens at 1 client'],
  ]) {
    const { code, out, err } = await lotse(`revoke ${words}`)
    assert.deepEqual([code, out], [1, []])
    assert.match(err.join(), new RegExp(`^lotse revoke: ${count} would end; nothing was done\\. .*--yes`))
  }
  assert.equal((await world.live(all[0]!))[0], true)
  assert.deepEqual((await lotse('revoke --connector corp --yes')).out.at(-1), '11 sign-ins ended')
  assert.deepEqual(new Set(await world.live(...all)), new Set([false]))
})

test('broken rules, connectors and secrets of the configuration hinder no revocation', async () => {
  const [ada, bob, guest] = [
    await world.enter('ada'),
    await world.enter('bob', 'openstack'),
    await world.enter('ada', 'portal', 'guests'),
  ]
  await at.configure(
    `${world.config.replace(/^rules:$/m, 'rulez:').replaceAll('CORP_SECRET', 'NOWHERE')}breakGlass: 7\n`,
  )
  assert.equal((await lotse('check')).code, 1)
  assert.equal((await lotse('revoke --subject corp/ada')).code, 0)
  assert.equal((await lotse('revoke --client openstack')).code, 0)
  assert.equal((await lotse(`revoke --key ${await at.kidOf('issuer')}`)).code, 0)
  await world.aSecond()
  assert.deepEqual(await world.live(ada, bob, guest), [false, false, false])
})

test('programs read what ended, without claims and without what is sealed', async () => {
  const ada = await world.enter('ada', 'portal')
  const { signIns, ...rest } = await at.json<{ signIns: Record<string, unknown>[] }>('revoke --subject corp/ada')
  assert.deepEqual(rest, { selector: { kind: 'subject', sub: ada.sub }, ended: true, families: [] })
  const [{ since, address, ...signIn } = {}] = signIns
  assert.ok(Number.isInteger(since) && address === '127.0.0.1')
  assert.deepEqual(signIn, {
    ...{ proof: ada.proof, sub: ada.sub, connector: 'corp', upstreamId: 'ada' },
    ...{ client: 'portal', clients: ['portal'], sessions: [ada.session] },
  })
})

test('a store from which nobody serves is changed all the same', async () => {
  const ada = await world.enter('ada')
  const folder = await mkdtemp(join(world.gateway.folder, 'restored-'))
  await lotse(`store backup --out ${join(folder, 'lotse.db')}`)
  await copyFile(join(world.gateway.folder, 'gateway.yaml'), join(folder, 'gateway.yaml'))
  const elsewhere = `--subject corp/ada --config ${join(folder, 'gateway.yaml')}`
  assert.deepEqual((await lotse(`revoke ${elsewhere}`, '')).out.at(-1), '1 sign-in ended')
  assert.equal((await lotse(`sessions ${elsewhere}`, '')).code, 1)
  assert.equal((await world.live(ada))[0], true, 'of another store')
})

for (const words of [
  '',
  'corp/ada',
  '--subject ada',
  '--subject /ada',
  '--subject corp/',
  '--subject corp/ada --client kubectl',
  '--connector corp --dry-run --yes',
  '--upstream corp',
])
  test(`is not understood as: revoke ${words}`, async () => {
    assert.equal((await lotse(`revoke ${words}`)).code, 2)
  })

test('what nobody holds is told, and exits with 1', async () => {
  for (const words of ['--subject corp/nobody', '--session x', '--proof x', '--connector x', '--client x', '--key x']) {
    const { code, out, err } = await lotse(`revoke ${words}`)
    assert.deepEqual([code, out], [1, []], words)
    assert.match(err.join(), /^lotse revoke: (nothing rests on|no ring has a key)/)
  }
})
