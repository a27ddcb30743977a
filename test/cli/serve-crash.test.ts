import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, test } from 'node:test'
import { type Idp, startIdp } from '../support/oidc-idp.ts'
import { rounds } from '../support/rounds.ts'
import { type Place, place, type Serving, type SharedClock, secrets, serve, sharedClock } from '../support/serving.ts'
import { authorization, CALLBACK, person, signIn } from '../support/sign-in.ts'

/* `kill -9` at any moment: what a client was told holds, and what was used stays used. */

const KILLS = rounds(3, 20)
const WORKERS = 4
/** Refreshes of one sign-in; then the next begins. */
const CHAIN = 6

const client =
  "  - { id: cli, native: true, target: argo, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], alwaysRefresh: true }\n"

let at: Place
let idp: Idp
let gateway: Serving
/** However long a start takes, the ten seconds in which an answer is given twice are not over. */
let clock: SharedClock
before(async () => {
  at = await place()
  clock = await sharedClock(at)
  idp = await startIdp({
    people: [{ sub: 'ada', claims: { preferred_username: 'ada', groups: ['/ci'] } }],
    clients: [{ id: 'lotse', secret: secrets.UP_SECRET, redirectUris: [`${at.issuer}/callback/corp`] }],
  })
  await at.change('https://up.invalid', idp.issuer)
  await at.change('clients:\n', `clients:\n${client}`)
})
after(async () => {
  await gateway?.kill()
  await idp.close()
  await at.remove()
  clock.stop()
})

/** The refresh tokens of one sign-in that were handed out, oldest first; a client holds the last one. */
type Family = string[]

async function token(fields: Record<string, string>): Promise<string> {
  const body = new URLSearchParams({ client_id: 'cli', ...fields })
  const answer = await fetch(`${at.issuer}/token`, { method: 'POST', body })
  const said = (await answer.json()) as { refresh_token?: string; error?: string }
  return said.refresh_token ?? `${answer.status} ${said.error}`
}

const refresh = (refresh_token: string | undefined) =>
  token({ grant_type: 'refresh_token', refresh_token: refresh_token ?? '' })

async function enter(): Promise<string> {
  const { url, verifier } = authorization(at, 'cli')
  const code = (await signIn(person(), { url, verifier }, 'ada')).get('code') ?? ''
  return token({ grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK })
}

/** Signs in and refreshes until the gateway is gone; writes down what it was given, and calls `told` each time. */
async function work(families: Family[], isOver: () => boolean, told: () => void): Promise<void> {
  const given = async (asking: Promise<string>): Promise<string | undefined> => {
    const answer = await asking.catch(() => undefined)
    if (answer === undefined && !isOver()) throw new Error('the gateway was not there before it was killed')
    // A refusal is no token: it would fail here, and not only at the look afterwards.
    assert.match(answer ?? 'x'.repeat(43), /^[\w-]{43}$/)
    return answer
  }
  while (!isOver()) {
    const first = await given(enter())
    if (first === undefined) return
    const family = [first]
    families.push(family)
    told()
    for (let n = 0; n < CHAIN && !isOver(); n += 1) {
      const next = await given(refresh(family.at(-1)))
      if (next === undefined) return
      family.push(next)
      told()
    }
  }
}

async function start(): Promise<void> {
  gateway = serve(at, 'pipe', clock)
  await gateway.logged('serving')
}

/** All families that were begun before the gateway was killed in the middle of its work, as soon as it had handed out so many tokens. */
async function killedAfter(tokens: number): Promise<readonly Family[]> {
  const families: Family[] = []
  let left = tokens
  const enough = Promise.withResolvers<void>()
  const told = () => {
    left -= 1
    if (left === 0) enough.resolve()
  }
  const working = Promise.all(Array.from({ length: WORKERS }, () => work(families, () => left <= 0, told)))
  await Promise.race([enough.promise, working])
  await Promise.all([gateway.kill(), working])
  return families
}

test(`${KILLS} kills lose no refresh token that was handed out and make none usable again`, async () => {
  const all: Family[] = []
  await start()
  for (let round = 0; round < KILLS; round += 1) {
    const families = await killedAfter(23 + 5 * round)
    await start()
    for (const [n, family] of families.entries()) {
      // The newest may have been used by a request that was never answered: then this is its retry.
      family.push(await refresh(family.at(-1)))
      assert.match(family.at(-1) ?? '', /^[\w-]{43}$/, 'the newest token works')
      if (n % 2 === 0 || family.length < 3) all.push(family)
      else
        assert.equal(await refresh(family.at(-3)), '400 invalid_grant', 'one whose successor was used is dead at once')
    }
  }
  assert.ok(all.length >= KILLS, `only ${all.length} families were looked at`)
  await gateway.kill()
  clock.advance(11)
  await start()
  for (const [n, family] of all.entries()) {
    if (n % 2 === 0) assert.match(await refresh(family.at(-1)), /^[\w-]{43}$/, 'the newest token works')
    else assert.equal(await refresh(family.at(-2)), '400 invalid_grant', 'a used token is dead after its ten seconds')
  }
  await gateway.kill()
  const db = new DatabaseSync(join(at.folder, 'lotse.db'))
  assert.deepEqual({ ...db.prepare('pragma integrity_check').get() }, { integrity_check: 'ok' })
  db.close()
})
