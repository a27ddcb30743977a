import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { exit, type Io } from '../../src/cli/command.ts'
import { main } from '../../src/cli/index.ts'
import { addUser } from '../support/keystone/state.ts'
import { type KeystoneStandIn, startKeystoneStandIn } from '../support/keystone-stand-in.ts'

let keystone: KeystoneStandIn
let folder: string
before(async () => {
  keystone = await startKeystoneStandIn()
  folder = await mkdtemp(join(tmpdir(), 'lotse-subjects-'))
  const yaml = `issuer: https://login.example
listen: { port: 8080 }
store: { kind: embedded, path: ./x.db }
keys: { create: true }
connectors:
  - { id: corp, type: oidc, label: Corp, issuer: 'https://sso.example', clientId: lotse, clientSecret: { env: SECRET }, domain: corp, emailDomains: [corp.example] }
targets:
  - { id: sky, type: keystone, url: '${keystone.url}', reconcile: { user: { name: admin, password: { env: PASSWORD }, scope: { project: admin } }, perSecond: 1000 } }
clients: []
rules: []
`
  await writeFile(join(folder, 'gateway.yaml'), yaml)
})
after(async () => {
  await keystone.close()
  await rm(folder, { recursive: true })
})

/** @param stops after so many writes; never if absent */
async function adopt(people: string, stops = Number.POSITIVE_INFINITY) {
  await writeFile(join(folder, 'people.csv'), people)
  const out: string[] = []
  const err: string[] = []
  const stop = { aborted: false }
  const io = {
    out: (text: string) => out.push(text),
    err: (text: string) => err.push(text),
    env: { SECRET: 'x', PASSWORD: keystone.admin.password },
    cwd: folder,
    columns: undefined,
    now: () => Math.floor(Date.now() / 1000),
    stop: Object.defineProperty(stop, 'aborted', { get: () => keystone.count.writes >= stops }),
    onHangup: () => {},
  } as unknown as Io
  const words = 'subjects adopt sky --csv people.csv --idp keycloak --yes -c gateway.yaml'
  const code = await main(words.split(' '), io)
  return { code, out: out.join('\n'), err: err.join('\n') }
}

const known = (name: string) =>
  addUser(keystone.state, {
    name,
    domain_id: 'default',
    federated: [{ idp_id: 'keycloak', protocols: [{ protocol_id: 'openid', unique_id: `f-${name}` }] }],
  }).id

test('who is told to stop in the middle says so, and that it is not done', async () => {
  for (const name of ['ada', 'bob']) known(name)
  keystone.forget()
  const { code, out, err } = await adopt('f-ada,corp,ada\nf-bob,corp,bob\n', 1)
  assert.equal(code, exit.failed)
  assert.match(out, /done +corp\/ada/)
  assert.match(err, /stopped before 1 of 2/)
  assert.equal((await adopt('f-ada,corp,ada\nf-bob,corp,bob\n')).code, exit.ok)
})

test('who could not be moved, since her new id is somebody’s whom this account does not see, is no success', async () => {
  known('eve')
  keystone.fail({ method: 'PATCH', answer: 409 })
  const { code, out, err } = await adopt('f-eve,corp,eve\n')
  assert.equal(code, exit.refused)
  assert.match(out, /ready +corp\/eve/)
  assert.match(err, /1 ready could not be moved: /)
})
