import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { accountId } from '../../src/core/subject.ts'
import { kinds } from '../../src/store/kinds.ts'
import { fakeClock, forgetEnds, passTime, type TestGateway } from '../support/gateway.ts'
import { addUser } from '../support/keystone/state.ts'
import { type KeystoneStandIn, startKeystoneStandIn } from '../support/keystone-stand-in.ts'
import { type Operator, operator } from '../support/lotse.ts'
import { asTheyAreNow, type Idp, type Person } from '../support/oidc-idp.ts'
import { authorization, person, pickPerson, refresh, tokensOf } from '../support/sign-in.ts'
import { standard, standardEnv } from '../support/standard.ts'
import { milliseconds } from '../support/turns.ts'

/** A whole gateway, its upstream, and a Keystone in memory into which it writes. */
const names = ['ada', 'bob', ...Array.from({ length: 30 }, (_, n) => `person-${n}`)]
const there: Person[] = []
const everybody = (): Person[] =>
  names.map((sub) => ({
    sub,
    claims: { preferred_username: sub, groups: ['/teams/web/dev', '/teams/db/dev'], account_status: 'active' },
  }))
/** What somebody's upstream says of her from now on. */
const says = (sub: string, groups: readonly string[]) => {
  there.splice(
    there.findIndex((each) => each.sub === sub),
    1,
    { sub, claims: { preferred_username: sub, groups, account_status: 'active' } },
  )
}

let keystone: KeystoneStandIn
let idp: Idp
let gateway: TestGateway
let at: Operator
let config: string
let clock: ReturnType<typeof fakeClock>

const env = { ...standardEnv, KEYSTONE_PASSWORD: 'stand-in-secret' }
const target = (id: string, more: string) =>
  `  - { id: ${id}, type: keystone, url: ${keystone.url}, audience: ${id}, domain: Default, reconcile: { user: { name: admin, password: { env: KEYSTONE_PASSWORD }, scope: { project: admin } }, perSecond: 1000, ${more} } }`
const client = (id: string) =>
  `  - { id: ${id}-cli, native: true, target: ${id}, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], offlineAccess: true }`
const robot = (id: string) =>
  `  - { id: ${id}, target: sky, auth: client_secret_post, secret: { env: ROBOT_SECRET }, grants: [client_credentials], serviceAccount: { connector: corp, id: ${id}, claims: { groups: [/teams/ci/dev], account_status: [active] } } }`
const rule = (id: string, project = '<team>') =>
  `  - { name: ${id}, from: [corp], each: { claim: groups, pattern: '/teams/<team>/<rank>' }, give: [{ target: ${id}, project: '${project}', domain: Default, roles: [member] }] }\n`

before(async () => {
  keystone = await startKeystoneStandIn()
  keystone.domain('corp')
  keystone.role('member')
  keystone.role('reader')
  there.push(...everybody())
  ;({ idp, gateway, config } = await standard({
    env,
    idp: { people: there, configuration: asTheyAreNow(there) },
    extra: () => ({
      targets: `${target('sky', 'ifUnreachable: go-on')}`,
      clients: `${client('sky')}\n${robot('sky-robot')}`,
    }),
    rules: rule('sky'),
  }))
  at = await operator(gateway, config, env)
})
beforeEach(async () => {
  await forgetEnds(gateway)
  there.splice(0, there.length, ...everybody())
  clock = fakeClock()
  await gateway.reload(config) // passes are due: the clock of the test before was ahead
  keystone.up()
  keystone.slow(0)
  await seconds(1) // and done: what happens from here on is found by marks alone
})
afterEach(async () => {
  gateway.failAudit('no')
  keystone.up()
  await at.configure(config)
  await gateway.ends.end({ kind: 'connector', id: 'corp' }, 'operator', { reference: 'test' })
  await seconds(20)
  clock.stop()
})
after(async () => {
  await gateway.close()
  await idp.close()
  await keystone.close()
})

const seconds = (count: number) => passTime(gateway.app, clock, count)

/** Seconds of the serving process, until it is so: what nobody waits for takes its turns. */
async function soon(isSo: () => Promise<boolean>): Promise<void> {
  for (let n = 0; n < 20 && !(await isSo()); n++) await seconds(1)
}

const sub = (id: string) => accountId({ connector: 'corp', id })
const access = (id: string) => keystone.access(sub(id))
const enabled = (id: string) => keystone.state.users.get(keystone.user(sub(id)) ?? '')?.enabled

test('whoever signs in first finds user, project and role ready', async () => {
  await tokensOf(gateway, 'sky-cli', 'ada')
  assert.deepEqual(access('ada'), ['member in project db (Default)', 'member in project web (Default)'])
  const given = gateway.events.findLast((each) => each.event === 'lease.given')
  assert.ok(given?.event === 'lease.given' && given.personal.sub === sub('ada') && given.leases.length === 2)
})

test('a sign-in at another client waits for nothing, and has her roles within a second', async () => {
  await tokensOf(gateway, 'kubectl', 'ada')
  assert.deepEqual(access('ada'), [])
  await seconds(1)
  assert.equal(access('ada').length, 2)
})

test('a group that is gone upstream is a role that is gone, with old tokens, at the next recheck', async () => {
  const { refresh_token: token } = await tokensOf(gateway, 'sky-cli', 'ada')
  const project = keystone.project('db')
  const scoped = keystone.scope(keystone.login(sub('ada')), project) ?? ''
  assert.ok(keystone.valid(scoped))
  says('ada', ['/teams/web/dev'])
  clock.advance(600)
  assert.equal((await refresh(gateway, 'sky-cli', token)).status, 200)
  await seconds(1)
  assert.deepEqual(access('ada'), ['member in project web (Default)'])
  assert.ok(!keystone.valid(scoped))
})

test('what one sign-in of a person finds out ends what stood on her others, although nobody uses them', async () => {
  await tokensOf(gateway, 'sky-cli', 'ada')
  const { refresh_token: token } = await tokensOf(gateway, 'sky-cli', 'ada')
  says('ada', ['/teams/web/dev'])
  clock.advance(600)
  const { status, body } = await refresh(gateway, 'sky-cli', token)
  assert.equal(status, 200)
  await soon(async () => !access('ada').includes('member in project db (Default)'))
  assert.deepEqual(access('ada'), ['member in project web (Default)'])
  there.splice(0, there.length)
  clock.advance(600)
  assert.equal((await refresh(gateway, 'sky-cli', body['refresh_token'] ?? '')).status, 400)
  await soon(async () => enabled('ada') === false)
  assert.deepEqual([enabled('ada'), access('ada')], [false, []])
})

test('without anybody using a token the pass finds out what upstream has changed', async () => {
  await tokensOf(gateway, 'sky-cli', 'ada')
  await seconds(1)
  says('ada', ['/teams/web/dev'])
  clock.advance(901)
  await seconds(1)
  assert.deepEqual(access('ada'), ['member in project web (Default)'])
})

test('an end locks and empties the account within a second, and whoever comes back is the same user', async () => {
  await tokensOf(gateway, 'sky-cli', 'ada')
  const id = keystone.user(sub('ada')) ?? ''
  keystone.grant('reader', 'project', keystone.project('hand'), id)
  const token = keystone.login(sub('ada'))
  clock.advance(1)
  assert.equal((await at.lotse(`revoke --subject ${sub('ada')}`)).code, 0)
  await seconds(1)
  assert.ok(!keystone.valid(token))
  assert.equal(enabled('ada'), false)
  assert.deepEqual(access('ada'), ['reader in project hand (Default)'], 'what an administrator gave stays')
  await tokensOf(gateway, 'sky-cli', 'ada')
  assert.equal(keystone.user(sub('ada')), id)
  assert.equal(enabled('ada'), true)
  assert.equal(access('ada').length, 3)
})

test('a proof that runs out ends its leases', async () => {
  await tokensOf(gateway, 'sky-cli', 'ada')
  for (const { id } of await gateway.store.list(kinds.Proof, 10)) {
    const proof = await gateway.store.get(kinds.Proof, id)
    const { goodUntil } = JSON.parse(proof?.value ?? '{}')
    clock.advance(goodUntil - Date.now() / 1000 + 1)
  }
  for (let n = 0; n < 20 && enabled('ada'); n++) await seconds(20)
  assert.equal(enabled('ada'), false)
  assert.deepEqual(
    access('ada').filter((each) => each.startsWith('member')),
    [],
  )
})

test('a Keystone that is down for a minute holds up nobody, and has everything afterwards', async () => {
  await tokensOf(gateway, 'sky-cli', 'bob')
  keystone.down('hang-up')
  let token = ''
  const took = await milliseconds(async () => {
    ;({ refresh_token: token } = await tokensOf(gateway, 'sky-cli', 'ada'))
    await tokensOf(gateway, 'sky-cli', 'ada')
  })
  assert.ok(took < 3000, 'nobody waits for a target that is known to be down')
  await gateway.ends.end({ kind: 'subject', sub: sub('bob') }, 'upstream', { reference: 'test' })
  await seconds(60)
  assert.equal((await refresh(gateway, 'sky-cli', token)).status, 200)
  assert.match((await gateway.app.metrics.text()).body, /lotse_target_up\{target="sky"\} 0/)
  keystone.up()
  await seconds(20)
  assert.equal(access('ada').filter((each) => each.startsWith('member')).length, 2)
  assert.equal(enabled('bob'), false)
  assert.deepEqual(await gateway.store.list(kinds.Due, 10), [])
  assert.match((await gateway.app.metrics.text()).body, /lotse_target_up\{target="sky"\} 1/)
})

test('a Keystone that must be there refuses who comes while it is down, and leaves no proof behind', async () => {
  const refusing = config.replace('ifUnreachable: go-on', 'ifUnreachable: refuse')
  await gateway.reload(refusing)
  try {
    keystone.down()
    const who = person()
    const page = await pickPerson(who, await who.get(authorization(gateway, 'sky-cli').url), 'ada')
    assert.equal(page.status, 503)
    const last = gateway.events.findLast(({ event }) => event.startsWith('login'))
    assert.ok(last?.event === 'login.refused' && last.code === 'unavailable' && last.personal.sub === sub('ada'))
    assert.deepEqual(await gateway.store.list(kinds.Proof, 10), [])
    await tokensOf(gateway, 'kubectl', 'bob') // on the way elsewhere it does not matter
    keystone.up()
    await seconds(20)
    await tokensOf(gateway, 'sky-cli', 'ada')
    assert.equal(access('ada').filter((each) => each.startsWith('member')).length, 2)
  } finally {
    await gateway.reload(config)
  }
})

test('rules that would take from thirty at once take from nobody before an operator says so', async () => {
  for (const id of names.slice(0, 30)) await tokensOf(gateway, 'kubectl', id)
  await seconds(3)
  const having = () => names.filter((id) => access(id).includes('member in project web (Default)')).length
  assert.equal(having(), 30)
  const other = config.replace(`project: '<team>'`, `project: 'x-<team>'`)
  await gateway.reload(other)
  await at.configure(other)
  await seconds(2)
  assert.equal(having(), 30)
  assert.ok(access('ada').includes('member in project x-web (Default)'))
  assert.deepEqual(
    gateway.events.flatMap((each) => (each.event === 'reconcile.held' ? [each.accounts] : [])),
    [32],
    'they, and two services',
  )
  assert.match((await gateway.app.metrics.text()).body, /lotse_reconcile_held_accounts\{target="sky"\} 32/)

  keystone.forget()
  const look = await at.lotse('reconcile --dry-run')
  assert.equal(look.code, 1)
  assert.match(look.out.join('\n'), /sky +corp\/ada +take \(held\) +member in project web \(Default\)/)
  assert.match(look.err.join('\n'), /take from 32 accounts at once; nothing is taken/)
  assert.equal(keystone.count.writes, 0)
  assert.equal((await at.lotse('reconcile sky')).code, 1, 'nor by hand')
  assert.equal(having(), 30)

  const done = await at.lotse('reconcile sky --yes')
  assert.equal(done.code, 0, done.err.join('\n'))
  assert.equal(having(), 0)
  assert.equal((await at.audit()).filter(({ event }) => event === 'lease.taken').length, 32)
  keystone.forget()
  await gateway.reload(other)
  await seconds(3)
  assert.equal(keystone.count.writes, 0, 'the gateway finds nothing to do')
  assert.deepEqual(await at.json('reconcile --dry-run'), [{ target: 'sky', accounts: 32, plans: [], left: [] }])
})

test('an operator reconciles beside the gateway, and both do each thing once', async () => {
  for (const id of names.slice(0, 10)) await tokensOf(gateway, 'kubectl', id)
  const before = keystone.seen.length
  await Promise.all([gateway.app.settle(), at.lotse('reconcile'), gateway.app.reconcile(), at.lotse('reconcile --yes')])
  await gateway.app.idle()
  await seconds(3)
  for (const id of names.slice(0, 10)) {
    assert.equal(access(id).filter((each) => each.startsWith('member')).length, 2, id)
  }
  const puts = keystone.seen.slice(before).filter(({ method, path }) => method === 'PUT' && path.includes('/roles/'))
  assert.ok(puts.length >= 20)
  assert.equal(new Set(puts.map(({ path }) => path)).size, puts.length)
  keystone.forget()
  await seconds(3)
  assert.equal((await at.lotse('reconcile')).code, 0)
  assert.equal(keystone.count.writes, 0)
})

test('what cannot be understood is said before anything is opened', async () => {
  assert.equal((await at.lotse('reconcile cloud')).code, 2)
  assert.match((await at.lotse('reconcile cloud')).err.join(), /with reconcile or apply there is sky/)
  assert.equal((await at.lotse('reconcile --dry-run --yes')).code, 2)
  keystone.down()
  assert.equal((await at.lotse('reconcile')).code, 3)
})

test("another gateway's users come over with their ids, and only when told to", async () => {
  const unique_id = 'f%3A1%3Acarol%2C%20her'
  const federated = [{ idp_id: 'keycloak', protocols: [{ protocol_id: 'openid', unique_id }] }]
  const { id } = addUser(keystone.state, { name: 'carol', domain_id: 'default', federated })
  const file = join(gateway.folder, 'people.csv')
  await writeFile(file, '# old,connector,id\n"f:1:carol, her",corp,carol\nnobody,corp,dave\n')
  const adopt = `subjects adopt sky --csv ${file} --idp keycloak`
  keystone.forget()
  const look = await at.lotse(adopt)
  assert.equal(look.code, 1, 'one of them is not there')
  assert.match(look.out.join('\n'), /ready +corp\/carol.*\nabsent +corp\/dave/)
  assert.equal(keystone.count.writes, 0)
  assert.match((await at.lotse(`${adopt} --yes`)).out.join('\n'), /done +corp\/carol/)
  assert.equal(keystone.user(sub('carol')), id)
})

const wrongFiles: readonly (readonly [text: string, says: RegExp])[] = [
  ['x,corp\n', /people\.csv:1: not OLD UNIQUE ID/],
  ['x,corp,a\ny,corp\n', /people\.csv:2/],
  ['x,elsewhere,a\n', /no connector "elsewhere"/],
  ['x,corp,a\nx,corp,b\n', /x stands there twice/],
  ['x,corp,a\ny,corp,a\n', /corp\/a stands there twice/],
]

test('a file with something wrong in it moves nobody', async () => {
  const file = join(gateway.folder, 'people.csv')
  for (const [text, says] of wrongFiles) {
    await writeFile(file, text)
    keystone.forget()
    const said = await at.lotse(`subjects adopt sky --csv ${file} --idp keycloak --yes`)
    assert.equal(said.code, 1)
    assert.match(said.err.join(), says)
    assert.equal(keystone.count.reads, 0)
  }
})

test('what rules or people need and nobody makes is said to the operator', async () => {
  await gateway.reload(config.replace('domain: corp,', 'domain: nowhere,'))
  await tokensOf(gateway, 'sky-cli', 'person-29')
  assert.equal(keystone.user(sub('person-29')), undefined)
  const told = gateway.logs.filter(({ fields }) => fields['what'] === 'domain nowhere')
  assert.deepEqual(
    told.map(({ level }) => level),
    ['error'],
  )
})

const asRobot = (client_id: string) =>
  gateway.post('/token', {
    grant_type: 'client_credentials',
    client_id,
    client_secret: standardEnv.ROBOT_SECRET,
  })
/** The configuration with one more robot, for whom no pass has done anything yet. */
const withRobot = (id: string) => config.replace(robot('sky-robot'), `${robot('sky-robot')}\n${robot(id)}`)

test('a client of its own has its role before it has its token', async () => {
  await gateway.reload(withRobot('new-robot'))
  assert.deepEqual(access('new-robot'), [])
  assert.equal((await asRobot('new-robot')).status, 200)
  assert.deepEqual(access('new-robot'), ['member in project ci (Default)'])
})

test('a client of its own is told to come back while a Keystone is down that must be there, and gets its token afterwards', async () => {
  await gateway.reload(withRobot('late-robot').replace('ifUnreachable: go-on', 'ifUnreachable: refuse'))
  keystone.down()
  const { status, body } = await asRobot('late-robot')
  assert.deepEqual([status, body['error']], [503, 'temporarily_unavailable'])
  keystone.up()
  await seconds(20)
  assert.equal((await asRobot('late-robot')).status, 200)
})

test('a sign-in that fails when everything is given leaves nothing of it', async () => {
  await seconds(2) // the pass that is due anyway
  const who = person()
  const page = await who.get(authorization(gateway, 'sky-cli').url)
  gateway.failAudit('login.success')
  assert.equal((await pickPerson(who, page, 'ada')).status, 503)
  gateway.failAudit('no')
  const given = () => access('ada').filter((each) => each.startsWith('member'))
  assert.equal(given().length, 2)
  await seconds(3)
  assert.deepEqual(given(), [])
  assert.equal(enabled('ada'), false)
})
