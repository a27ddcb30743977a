import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, before, beforeEach, test } from 'node:test'
import { answerCode, cacheIn, expire, startLotse } from '../../support/plugin.ts'
import { root } from '../../support/runner.ts'
import { person, pickPerson } from '../../support/sign-in.ts'
import { output } from '../upstreams/server.ts'
import { atEach, type Kind, printForPeople, type World } from './world.ts'

const KINDS = ['stock', 'structured'] as const
const NAMES = { stock: 'oidc:corp:ada', structured: 'corp-corp:ada' } as const

atEach(KINDS, (world, version) => {
  let folder: string
  let env: Readonly<Record<string, string>>
  before(() => printForPeople(world(), KINDS))
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lotse-person-'))
    env = await machineOf(world(), folder)
  })
  afterEach(() => rm(folder, { recursive: true }))

  /** What the cluster calls whoever runs kubectl on that machine, by the kubeconfigs that were printed for both clusters. */
  async function whoami(kind: Kind): Promise<string> {
    const args = ['--context', kind, 'auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}']
    return output({ command: version.kubectl, args, env }, 60)
  }

  /** `lotse login`, while `plays` is the person at the address that is shown. */
  async function login(words: readonly string[], plays: (address: string) => Promise<unknown>): Promise<void> {
    const client = ['--issuer', world().gateway.issuer, '--client', 'lotse-cli']
    const started = startLotse(['login', 'structured', '--cluster', ...client, ...words], env)
    await plays(await started.asked)
    const { code, err } = await started.ended
    assert.equal(code, 0, err)
  }

  test('one sign-in by a code serves kubectl at both clusters, refreshes, and is over after a sign-out', async () => {
    await login(['--device'], (address) => answerCode(address, 'confirm'))
    for (const kind of KINDS) assert.equal(await whoami(kind), NAMES[kind])
    await expire(env)
    for (const kind of KINDS) assert.equal(await whoami(kind), NAMES[kind], 'after a refresh')
    const { code, err } = await startLotse(['logout'], env).ended
    assert.equal(code, 0, err)
    for (const kind of KINDS) await assert.rejects(whoami(kind), /nobody is signed in/)
  })

  test('a kubectl whose token is refused before it ends gets another one, and nobody is asked', async () => {
    await login(['--device'], (address) => answerCode(address, 'confirm'))
    await spoil(join(folder, 'cache'))
    const met = startLotse(['--context', 'structured', 'get', '--raw', '/api'], env, [version.kubectl])
    assert.match((await met.ended).err, /Unauthorized/, 'kubectl does not repeat what was refused')
    assert.equal(await whoami('structured'), NAMES.structured)
  })

  test('one sign-in by a browser on the same machine serves both clusters', async () => {
    await login(['--browser'], async (address) => {
      const who = person()
      await pickPerson(who, await who.get(address), 'ada')
    })
    for (const kind of KINDS) assert.equal(await whoami(kind), NAMES[kind])
  })
})

/** Makes each token that is kept one that no key has signed, as after a key was revoked. */
async function spoil(folder: string): Promise<void> {
  for (const [name, { text }] of Object.entries(await cacheIn(folder))) {
    if (!name.endsWith('.json')) continue
    const session = JSON.parse(text) as { tokens: Record<string, { token: string }> }
    for (const held of Object.values(session.tokens)) held.token = held.token.replace(/\.[^.]*$/, '.AAAA')
    await writeFile(join(folder, name), JSON.stringify(session))
  }
}

/** A person's machine: the command on its path, a cache of its own, and the kubeconfigs of both clusters beside each other. */
async function machineOf({ gateway }: World, folder: string): Promise<Readonly<Record<string, string>>> {
  const command = join(folder, 'lotse')
  await writeFile(command, `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'src/main.ts')}' "$@"\n`)
  await chmod(command, 0o755)
  return {
    PATH: `${folder}:${process.env['PATH']}`,
    HOME: folder,
    LOTSE_CACHE: join(folder, 'cache'),
    LOTSE_CA: join(gateway.folder, 'issuer-ca.pem'),
    KUBECONFIG: KINDS.map((kind) => join(gateway.folder, 'people', kind, 'kubeconfig/lotse.yaml')).join(':'),
  }
}
