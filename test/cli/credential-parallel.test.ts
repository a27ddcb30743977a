import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { answerCode, CLIENT, clients, execInfo, expire, loginAs, startLotse, tokenIn } from '../support/plugin.ts'
import { rounds } from '../support/rounds.ts'
import { standard } from '../support/standard.ts'

/* What a loop over kubectl, k9s and a Terraform beside it do: many processes of the plugin at once, each of its own. */

const ROUNDS = rounds(1, 50)
const PROCESSES = rounds(10, 30)

let idp: Idp
let gateway: TestGateway
let folder: string
let env: Readonly<Record<string, string>>
before(async () => {
  ;({ idp, gateway } = await standard({ extra: () => ({ clients }) }))
  folder = await mkdtemp(join(tmpdir(), 'lotse-parallel-'))
  env = {
    LOTSE_CACHE: join(folder, 'cache'),
    LOTSE_ISSUER: gateway.issuer,
    LOTSE_CLIENT: CLIENT,
    KUBERNETES_EXEC_INFO: execInfo(true),
  }
})
after(async () => {
  await gateway.close()
  await idp.close()
  await rm(folder, { recursive: true })
})

const refreshes = () =>
  gateway.events.filter((event) => event.event === 'token.issued' && event.grantType === 'refresh_token').length
const many = () => Promise.all(Array.from({ length: PROCESSES }, () => startLotse(['kubectl-credential'], env).ended))

test(`${PROCESSES} processes with an expired token refresh once, and all succeed with the same token`, async () => {
  await loginAs('ada', env)
  for (let round = 1; round <= ROUNDS; round += 1) {
    await expire(env)
    const before = refreshes()
    const ended = await many()
    assert.deepEqual(
      ended.filter(({ code }) => code !== 0),
      [],
      `round ${round}`,
    )
    assert.equal(new Set(ended.map(({ out }) => tokenIn(out))).size, 1, `round ${round}`)
    assert.equal(refreshes() - before, 1, `round ${round}`)
  }
})

test(`${PROCESSES} processes without a sign-in ask one person once, and all are refused when she declines`, async () => {
  const apart = { ...env, LOTSE_CACHE: join(folder, 'apart') }
  const starts = Array.from({ length: PROCESSES }, () => startLotse(['kubectl-credential'], apart))
  const address = await Promise.any(starts.map(({ asked }) => asked))
  await answerCode(address, 'decline')
  const ended = await Promise.all(starts.map((each) => each.ended))
  assert.deepEqual(
    ended.map(({ code }) => code),
    starts.map(() => 1),
  )
  assert.equal(ended.filter(({ err }) => /Open http/.test(err)).length, 1)
  for (const { err } of ended) assert.match(err, /it was declined/)
})
