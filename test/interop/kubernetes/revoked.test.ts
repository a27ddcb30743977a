import assert from 'node:assert/strict'
import { appendFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { root } from '../../support/runner.ts'
import { output } from '../upstreams/server.ts'
import { refused, startTraffic } from './traffic.ts'
import { atEach, type Kind, type World } from './world.ts'

/* A key that has leaked: how long each cluster takes its tokens after `lotse keys rotate --emergency`, and what makes it let go. */

const KINDS = ['stock', 'structured'] as const

/** Milliseconds: a kube-apiserver believes for ten seconds what it believed once; the rest is for a busy machine. */
const REMEMBERED = 15_000
/** It takes a changed configuration file ten seconds after the change, and remembers what it believed before for ten more. */
const RELOADED = 30_000

atEach(KINDS, (world) => {
  /** A token by a key that is revoked now, which the cluster has taken a moment before. */
  async function revoked(kinds: readonly Kind[]): Promise<ReadonlyMap<Kind, string>> {
    const tokens = new Map<Kind, string>()
    for (const kind of kinds) {
      const token = await world().accessToken(kind, 'bob')
      assert.equal((await world().cluster(kind).whoami(token)).status, 201)
      tokens.set(kind, token)
    }
    await world().rotate('--emergency')
    return tokens
  }

  test('a sign-in: tokens by the new key are taken from the first one, and those by the old one are let go of', async (t) => {
    const tokens = await revoked(KINDS)
    const began = Date.now()
    const traffic = await startTraffic(world(), KINDS)
    await letGo(t, world(), tokens, { began, within: REMEMBERED })
    const uses = await traffic.stop()
    assert.ok(uses.length > 10)
    assert.deepEqual(refused(uses), [])
  })

  test('without one a cluster goes on to take them; a token by a key that nobody has makes it ask', async (t) => {
    const tokens = await revoked(KINDS)
    await delay(12_000)
    for (const [kind, token] of tokens)
      assert.equal((await world().cluster(kind).whoami(token)).status, 201, `${kind} has not asked`)
    const began = Date.now()
    for (const kind of KINDS) assert.equal(await strangerAt(world(), kind), '401\n')
    await letGo(t, world(), tokens, { began, within: REMEMBERED })
  })

  test('structured: a comment in the file of its configuration', async (t) => {
    const tokens = await revoked(['structured'])
    const began = Date.now()
    await appendFile(join(world().printed('structured'), 'authentication/v1.yaml'), `# ${began}\n`)
    await letGo(t, world(), tokens, { began, within: RELOADED })
  })

  test('stock: a restart', async (t) => {
    const tokens = await revoked(['stock'])
    const began = Date.now()
    await world().restart('stock')
    await letGo(t, world(), tokens, { began, within: 60_000 })
  })
})

/** What the guide tells operators to run: shows a cluster a token by a key that nobody has. */
async function strangerAt({ gateway, cluster }: World, kind: Kind): Promise<string> {
  const guide = await readFile(join(root, 'docs/guides/key-rotation.md'), 'utf8')
  const [, script = ''] = /^```sh\n([\s\S]*?)^```/m.exec(guide) ?? []
  const here = `issuer=${gateway.issuer} audience=k8s-${kind} server=${cluster(kind).url}\n`
  const args = ['-c', script.replace(/^issuer=.*\n/, here)]
  return output({ command: 'bash', args }, 30)
}

/** Waits until each cluster refuses its token, and says how long that took. */
async function letGo(
  t: TestContext,
  world: World,
  tokens: ReadonlyMap<Kind, string>,
  { began, within }: { readonly began: number; readonly within: number },
): Promise<void> {
  const one = async ([kind, token]: readonly [Kind, string]) => {
    while ((await world.cluster(kind).whoami(token)).status === 201) {
      assert.ok(Date.now() - began < within, `${kind} still takes a token of the revoked key after ${within} ms`)
      await delay(100)
    }
    t.diagnostic(`${kind} let go of the revoked key after ${((Date.now() - began) / 1000).toFixed(1)} s`)
  }
  await Promise.all([...tokens].map(one))
}
