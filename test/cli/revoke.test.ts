import assert from 'node:assert/strict'
import { copyFile, mkdtemp } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { accountId } from '../../src/core/subject.ts'
import { claimsIn, type TestGateway } from '../support/gateway.ts'
import { type Operator, operator } from '../support/lotse.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, basic, CALLBACK, person, redeem, signIn, toldAt } from '../support/sign-in.ts'
import { standard, standardEnv } from '../support/standard.ts'

/** The clients that heard of a logout, each with the session that it was told of. */
const heard: string[] = []
let receiver: Server
let idp: Idp
let gateway: TestGateway
let config: string
let lotse: Operator['lotse']
let at: Operator
before(async () => {
  receiver = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { sid } = claimsIn(new URLSearchParams(body).get('logout_token') ?? '')
    heard.push(`${request.url?.slice(1)} ${sid}`)
    response.writeHead(200).end()
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  const back = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
  const secret = 'auth: client_secret_basic, secret: { env: HORIZON_SECRET }'
  ;({ idp, gateway, config } = await standard({
    answers: ['guests'],
    extra: (upstream) => ({
      connectors: `  - { id: guests, type: oidc, label: Guests, issuer: ${upstream}, clientId: lotse, clientSecret: { env: CORP_SECRET }, scope: openid profile email groups, domain: guests, identity: { prefix: 'guest:' } }`,
      clients: `  - { id: portal, target: prod, ${secret}, redirectUris: ['${CALLBACK}'], grants: [code, refresh], alwaysRefresh: true, backchannelLogout: { url: '${back}/portal', private: true } }`,
    }),
    rules: `  - { name: guests, from: [guests], each: { claim: groups, pattern: '/teams/<team>/<rank>' }, give: [{ target: prod, group: 'guest-<team>' }] }\n`,
  }))
  at = await operator(gateway, config)
  lotse = at.lotse
})
after(async () => {
  receiver.closeAllConnections()
  await new Promise((resolve) => receiver.close(resolve))
  await gateway.close()
  await idp.close()
})

/** One sign-in of somebody with a refresh token at one client, and everything by which it can be named. */
interface SignedIn {
  readonly sub: string
  readonly client: string
  readonly who: ReturnType<typeof person>
  readonly proof: string
  readonly session: string
  readonly sid: unknown
  token: string
}

/** A confidential client proves itself; the others name themselves. */
const proof = (client: string) =>
  client === 'portal'
    ? { fields: {}, headers: basic('portal', standardEnv.HORIZON_SECRET) }
    : { fields: { client_id: client }, headers: {} }

async function enter(id: string, client = 'kubectl', connector = 'corp'): Promise<SignedIn> {
  const before = new Set((await proofs()).map((each) => each.id))
  const who = person()
  const request = authorization(gateway, client, { connector })
  const code = (await signIn(who, request, id)).get('code')
  const { body } = await redeem(gateway, { code, verifier: request.verifier }, proof(client))
  const made = (await proofs()).find((each) => !before.has(each.id))?.id ?? ''
  const sub = accountId({ connector, id })
  const listed = await at.json<{ proof: string; sessions: string[] }[]>(`sessions --subject ${sub}`)
  return {
    ...{ sub, client, who, proof: made },
    session: listed.find((each) => each.proof === made)?.sessions[0] ?? '',
    sid: claimsIn(body['id_token'] ?? '')['sid'],
    token: body['refresh_token'] ?? '',
  }
}

const proofs = () => gateway.store.list({ name: 'Proof', durable: true }, 1000)

/** Whether the refresh token of a sign-in still gives tokens; the next one takes its place. */
async function lives(signedIn: SignedIn): Promise<boolean> {
  const { fields, headers } = proof(signedIn.client)
  const asked = { grant_type: 'refresh_token', refresh_token: signedIn.token, ...fields }
  const { status, body } = await gateway.post('/token', asked, headers)
  if (status === 200) signedIn.token = body['refresh_token'] ?? ''
  else assert.equal(body['error'], 'invalid_grant')
  return status === 200
}

const allLive = (...all: readonly SignedIn[]) => Promise.all(all.map(lives))

/** Whether the browser is still signed in at the gateway. */
const known = async ({ who }: SignedIn) =>
  toldAt(await who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)).has('code')

/** What commands have written down since the test began, without times. */
async function written() {
  return (await at.audit()).slice(lines).map(({ event, cause, clients, client, personal }) => {
    const { sub, upstreamId } = personal as { sub: string; upstreamId?: string }
    return { event, cause, of: clients ?? client, sub, ...(upstreamId !== undefined && { upstreamId }) }
  })
}

/** What a running gateway does by itself once a second. */
async function aSecond() {
  await setImmediate()
  await gateway.app.tick()
  await gateway.app.end()
  await gateway.app.deliver()
}

let lines = 0
beforeEach(async () => {
  await at.configure(config)
  for (const connector of ['corp', 'guests']) await lotse(`revoke --connector ${connector} --yes`)
  await aSecond()
  heard.length = 0
  lines = (await at.audit()).length
})

for (const named of ['CONNECTOR/ID', 'SUB'])
  test(`a person named by ${named} is out in every browser and at every client, and nobody else is`, async () => {
    const [one, other] = [await enter('ada'), await enter('ada', 'portal')]
    const [bob, guest] = [await enter('bob'), await enter('ada', 'kubectl', 'guests')]
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
    assert.deepEqual(await allLive(one, other, bob, guest), [false, false, true, true])
    assert.deepEqual(await Promise.all([one, other, bob].map(known)), [false, false, true])
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
    const [one, other] = [await enter('ada'), await enter('ada')]
    assert.match(one[by], /^[\w-]{20,}$/)
    const { code, out } = await lotse(`revoke --${by} ${one[by]}`)
    assert.deepEqual([code, out.at(-1)], [0, '1 sign-in ended'])
    assert.deepEqual(await allLive(one, other), [false, true])
    assert.deepEqual([await known(one), await known(other)], [false, true])
    assert.equal((await written()).length, 1)
  })

test('everybody who came by a connector is out, those of another one stay', async () => {
  const [ada, bob, guest] = [await enter('ada'), await enter('bob', 'portal'), await enter('ada', 'kubectl', 'guests')]
  assert.deepEqual((await lotse('revoke --connector corp')).out.at(-1), '2 sign-ins ended')
  assert.deepEqual(await allLive(ada, bob, guest), [false, false, true])
})

test("a client's tokens end, the people stay signed in and other clients keep theirs", async () => {
  const [ada, bob] = [await enter('ada'), await enter('bob', 'portal')]
  const { code, out } = await lotse('revoke --client kubectl')
  assert.equal(code, 0)
  assert.match(out[1] ?? '', /^tokens +corp\/ada +kubectl /)
  assert.equal(out.at(-1), '1 set of tokens at 1 client ended')
  assert.deepEqual(await allLive(ada, bob), [false, true])
  assert.equal(await known(ada), true)
  assert.deepEqual(await written(), [{ event: 'family.revoked', cause: 'operator', of: 'kubectl', sub: ada.sub }])
})

test('a running gateway tells the clients, each once and of its own session', async () => {
  const [ada, bob] = [await enter('ada', 'portal'), await enter('bob', 'portal')]
  await lotse('revoke --subject corp/ada')
  await aSecond()
  await aSecond()
  assert.deepEqual(heard, [`portal ${ada.sid}`])
  assert.equal(await lives(bob), true)
  const ending = { name: 'Ending', durable: true }
  assert.deepEqual(await gateway.store.list(ending, 100), [], 'nothing is left to do')
  assert.equal(gateway.events.filter((each) => each.event === 'session.ended').length, 0, 'written down once')
})

test('a dry run shows what would end and changes nothing', async () => {
  const [ada, bob] = [await enter('ada'), await enter('bob', 'portal')]
  const endings = (await gateway.store.list({ name: 'Ending', durable: true }, 1000)).length
  for (const [words, last] of [
    ['--subject corp/ada', '1 sign-in would end'],
    ['--connector corp', '2 sign-ins would end'],
    ['--client kubectl', '1 set of tokens at 1 client would end'],
    [`--session ${ada.session}`, '1 sign-in would end'],
    [`--key ${await kidOf('issuer')}`, '2 sets of tokens at 2 clients would end'],
  ]) {
    const { code, out } = await lotse(`revoke ${words} --dry-run`)
    assert.deepEqual([code, out.at(-1)], [0, last], words)
  }
  await aSecond()
  assert.deepEqual(await allLive(ada, bob), [true, true])
  assert.deepEqual(await written(), [])
  assert.equal((await gateway.store.list({ name: 'Ending', durable: true }, 1000)).length, endings)
})

test('many at once need --yes, and the refusal counts them', async () => {
  const all: SignedIn[] = []
  for (let n = 0; n < 11; n++) all.push(await enter('ada'))
  for (const [words, count] of [
    ['--connector corp', '11 sign-ins'],
    ['--client kubectl', '11 sets of tokens at 1 client'],
    [`--key ${await kidOf('issuer')}`, '11 sets of tokens at 1 client'],
  ]) {
    const { code, out, err } = await lotse(`revoke ${words}`)
    assert.deepEqual([code, out], [1, []])
    assert.match(err.join(), new RegExp(`^lotse revoke: ${count} would end; nothing was done\\. .*--yes`))
  }
  assert.equal(await lives(all[0]!), true)
  assert.deepEqual((await lotse('revoke --connector corp --yes')).out.at(-1), '11 sign-ins ended')
  assert.deepEqual(new Set(await allLive(...all)), new Set([false]))
})

test('broken rules, connectors and secrets of the configuration hinder no revocation', async () => {
  const [ada, bob, guest] = [
    await enter('ada'),
    await enter('bob', 'openstack'),
    await enter('ada', 'portal', 'guests'),
  ]
  await at.configure(`${config.replace(/^rules:$/m, 'rulez:').replaceAll('CORP_SECRET', 'NOWHERE')}breakGlass: 7\n`)
  assert.equal((await lotse('check')).code, 1)
  assert.equal((await lotse('revoke --subject corp/ada')).code, 0)
  assert.equal((await lotse('revoke --client openstack')).code, 0)
  assert.equal((await lotse(`revoke --key ${await kidOf('issuer')}`)).code, 0)
  await aSecond()
  assert.deepEqual(await allLive(ada, bob, guest), [false, false, false])
})

interface Key {
  readonly ring: string
  readonly kid: string
  readonly alg: string
  readonly state: string
}

const keysOf = async (ring: string) => (await at.json<Key[]>('keys list')).filter((key) => key.ring === ring)
const kidOf = async (ring: string) => (await keysOf(ring)).find(({ state }) => state === 'current')?.kid ?? ''

test("a Keystone's key goes with what clients of that Keystone hold, and with nothing else", async () => {
  const [cloud, prod] = [await enter('ada', 'openstack'), await enter('bob', 'kubectl')]
  const kid = await kidOf('keystone-cloud')
  const { code, out } = await lotse(`revoke --key ${kid}`)
  assert.equal(code, 0)
  const [, successor] =
    /^every key of ring keystone-cloud for ES256 was dropped; ([\w-]{43}) signs now$/.exec(out.at(-2) ?? '') ?? []
  assert.equal(successor, await kidOf('keystone-cloud'))
  assert.equal(out.at(-1), '1 set of tokens at 1 client ended')
  assert.deepEqual(await allLive(cloud, prod), [false, true])
  await aSecond()
  const published = await (await fetch(`${gateway.issuer}/jwks/keystone-cloud`)).text()
  assert.deepEqual([published.includes(kid), published.includes(successor ?? '-')], [false, true])
  const events = (await at.audit()).slice(lines).map(({ event, how, cause }) => [event, how ?? cause])
  assert.deepEqual(events, [
    ['key.rotated', 'emergency'],
    ['family.revoked', 'operator'],
  ])
  assert.equal((await lotse(`revoke --key ${kid}`)).code, 1, 'it is gone')
})

test('the key of ID tokens goes with what every client holds, and people sign in again under the new one', async () => {
  const [cloud, prod] = [await enter('ada', 'openstack'), await enter('bob', 'portal')]
  const kid = await kidOf('issuer')
  const said = await at.json<{ ended: boolean; key: Key & { successor: string } }>(`revoke --key ${kid}`)
  assert.deepEqual([said.ended, said.key.ring, said.key.alg], [true, 'issuer', 'ES256'])
  assert.deepEqual(await allLive(cloud, prod), [false, false])
  await aSecond()
  assert.ok(!(await (await fetch(`${gateway.issuer}/jwks`)).text()).includes(kid))
  assert.equal(await lives(await enter('ada')), true)
})

test('with a key that has signed nothing yet nothing ends, and the command that takes it away is named', async () => {
  const ada = await enter('ada')
  await lotse('keys rotate keystone-cloud')
  const next = (await keysOf('keystone-cloud')).find(({ state }) => state === 'next')?.kid
  const { code, out, err } = await lotse(`revoke --key ${next}`)
  assert.deepEqual([code, out], [1, []])
  assert.match(err.join(), /nothing has been signed .*'lotse keys rotate keystone-cloud --alg ES256 --emergency'/)
  assert.equal(await lives(ada), true)
})

test('programs read what ended, without claims and without what is sealed', async () => {
  const ada = await enter('ada', 'portal')
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
  const ada = await enter('ada')
  const folder = await mkdtemp(join(gateway.folder, 'restored-'))
  await lotse(`store backup --out ${join(folder, 'lotse.db')}`)
  await copyFile(join(gateway.folder, 'gateway.yaml'), join(folder, 'gateway.yaml'))
  const elsewhere = `--subject corp/ada --config ${join(folder, 'gateway.yaml')}`
  assert.deepEqual((await lotse(`revoke ${elsewhere}`, '')).out.at(-1), '1 sign-in ended')
  assert.equal((await lotse(`sessions ${elsewhere}`, '')).code, 1)
  assert.equal(await lives(ada), true, 'of another store')
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
