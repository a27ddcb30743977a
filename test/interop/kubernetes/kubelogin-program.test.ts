import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, before, beforeEach, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { parse, stringify } from 'yaml'
import { browser } from '../../support/browser.ts'
import { claimsIn, freePort } from '../../support/gateway.ts'
import type { Person } from '../../support/oidc-idp.ts'
import { answerCode } from '../../support/plugin.ts'
import { pickPerson } from '../../support/sign-in.ts'
import { people } from '../../support/standard.ts'
import type { Programs } from './install.ts'
import { atEach, type Kind, kinds, printForPeople, type World } from './world.ts'

/* kubelogin itself, as kubectl starts it by the kubeconfig that was printed: kubelogin.test.ts has its requests, for where it cannot be had. */

const NAMES = { stock: 'oidc:corp:ada', structured: 'corp-corp:ada', ids: 'corp:ada' } as const
const GROUPS = { stock: 'oidc:x-db', structured: "it's:x-db", ids: 'x-db' } as const

/** What a person does with the address that kubelogin opens. */
const flows = {
  code: async (address: string) => {
    const who = browser()
    await pickPerson(who, await who.get(address), 'ada')
  },
  device: (address: string) => answerCode(address, 'confirm'),
} as const
type Flow = keyof typeof flows

/** Who is there at the upstream. */
const there: Person[] = [...people]
const moved = (groups: readonly string[]) =>
  there.splice(
    0,
    there.length,
    ...people.map((one) => (one.sub === 'ada' ? { ...one, claims: { ...one.claims, groups } } : one)),
  )

atEach(
  kinds,
  (world, version) => {
    let machine: Machine
    before(() => printForPeople(world(), kinds))
    beforeEach(async () => {
      moved(['/teams/web/dev'])
      machine = await startMachine(version)
    })
    afterEach(() => machine.remove())

    for (const kind of kinds)
      for (const flow of ['code', 'device'] as const)
        test(`${kind}: ${flow} flow, token cache, refresh, and new groups after it`, {
          skip: version.kubelogin === undefined && 'no kubelogin can be had: KUBELOGIN may name one',
        }, async () => {
          const file = await machine.kubeconfig(world(), kind, flow)
          const signed = machine.whoami(file)
          await flows[flow](await machine.asked())
          assert.equal((await signed).username, NAMES[kind])
          assert.equal((await machine.whoami(file)).username, NAMES[kind], 'out of its cache')
          moved(['/teams/web/dev', '/teams/db/dev'])
          await delay(2000) // older than recheckAfter
          assert.ok(!(await machine.whoami(file)).groups.includes(GROUPS[kind]), 'the token is still good')
          await machine.expire()
          assert.ok((await machine.whoami(file)).groups.includes(GROUPS[kind]), 'new groups after a refresh')
          assert.equal(await machine.times(), 1, 'nobody was asked again')
        })
  },
  {
    people: there,
    config: (usual) => usual.replace("upstreamLogout: 'off'", "upstreamLogout: 'off', recheckAfter: 1s"),
  },
)

/** A person's machine: kubectl, kubelogin as its plugin, and a browser that writes down what it was to open. */
interface Machine {
  /** The printed kubeconfig, with a port that is free here; what it names is registered without one. */
  kubeconfig(world: World, kind: Kind, flow: Flow): Promise<string>
  whoami(kubeconfig: string): Promise<{ readonly username: string; readonly groups: readonly string[] }>
  /** The address that was opened last; waits for the first. */
  asked(): Promise<string>
  /** How many were. */
  times(): Promise<number>
  /** Makes each token of kubelogin's cache one that has to be refreshed. */
  expire(): Promise<void>
  remove(): Promise<void>
}

async function startMachine({ kubectl, kubelogin = '' }: Programs): Promise<Machine> {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-person-'))
  const [bin, opened] = [join(folder, 'bin'), join(folder, 'opened')]
  await mkdir(bin)
  await symlink(kubectl, join(bin, 'kubectl'))
  await symlink(kubelogin, join(bin, 'kubectl-oidc_login'))
  await writeFile(join(bin, 'xdg-open'), `#!/bin/sh\nprintf '%s\\n' "$1" >>'${opened}'\n`)
  await chmod(join(bin, 'xdg-open'), 0o755)
  const env = { HOME: folder, PATH: `${bin}:/usr/bin:/bin` }
  const addresses = async () => (await readFile(opened, 'utf8').catch(() => '')).split('\n').filter(Boolean)
  return {
    async kubeconfig({ gateway }, kind, flow) {
      const text = await readFile(join(gateway.folder, 'people', kind, `kubeconfig/kubelogin-${flow}.yaml`), 'utf8')
      const whole = parse(text) as {
        readonly users: readonly [{ readonly user: { readonly exec: { args: string[] } } }]
      }
      if (flow === 'code') whole.users[0].user.exec.args.push(`--listen-address=127.0.0.1:${await freePort()}`)
      const file = join(folder, `${kind}-${flow}.yaml`)
      await writeFile(file, stringify(whole))
      return file
    },
    async whoami(kubeconfig) {
      const args = ['--kubeconfig', kubeconfig, 'auth', 'whoami', '-o', 'json']
      const { stdout } = await promisify(execFile)(join(bin, 'kubectl'), args, { env, timeout: 60_000 })
      return JSON.parse(stdout).status.userInfo
    },
    async asked() {
      const until = Date.now() + 30_000
      while ((await addresses()).length === 0) {
        assert.ok(Date.now() < until, 'nothing was opened')
        await delay(50)
      }
      return (await addresses()).at(-1) ?? ''
    },
    times: async () => (await addresses()).length,
    expire: () => expire(join(folder, '.kube/cache/oidc-login')),
    remove: () => rm(folder, { recursive: true }),
  }
}

/** kubelogin reads when a token ends in the token itself, unchecked. */
async function expire(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const text = await readFile(join(cache, name), 'utf8').catch(() => '')
    if (!text.startsWith('{')) continue
    const kept = JSON.parse(text) as { id_token: string }
    const [head, , tail] = kept.id_token.split('.')
    const body = Buffer.from(JSON.stringify({ ...claimsIn(kept.id_token), exp: 1 })).toString('base64url')
    await writeFile(join(cache, name), JSON.stringify({ ...kept, id_token: [head, body, tail].join('.') }))
  }
}
