import assert from 'node:assert/strict'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort, type GatewayOptions, startGateway, type TestGateway } from '../../support/gateway.ts'
import { operator } from '../../support/lotse.ts'
import { startIdp } from '../../support/oidc-idp.ts'
import { tokensOf } from '../../support/sign-in.ts'
import { people, standardEnv } from '../../support/standard.ts'
import { type Cluster, startCluster, startEtcd } from './cluster.ts'
import type { Programs } from './install.ts'
import { config, flagsFor, programs, tls } from './world.ts'

const KINDS = ['stock', 'structured'] as const
type Kind = (typeof KINDS)[number]

/** Seconds: a kube-apiserver asks for an issuer that is not there every ten; the rest is for a busy machine. */
const POLL = 15

for (const version of programs)
  describe(`Kubernetes ${version.version}`, () => {
    test('clusters start without their gateway, take its tokens soon after it is there, and go on while it is away', async (t) => {
      await using opened = new AsyncDisposableStack()
      const { options, clusters } = await clustersWithoutGateway(version, opened)
      const gateway = await startGateway(options)
      const tokens = new Map<Kind, string>()
      try {
        for (const kind of KINDS) tokens.set(kind, await tokenOf(gateway, kind))
        await Promise.all(KINDS.map((kind) => taken(t, clusters[kind], kind, tokens.get(kind) ?? '')))
      } finally {
        await gateway.close()
      }
      for (const kind of KINDS) {
        const unused = tokens.get(kind) ?? ''
        // Not what it remembers of one token, but the key: ten seconds later nothing is remembered.
        await delay(kind === 'stock' ? 11_000 : 0)
        assert.equal((await clusters[kind].whoami(unused)).status, 201, `${kind} while the gateway is away`)
      }
    })
  })

const tokenOf = async (gateway: TestGateway, kind: Kind) =>
  (await tokensOf(gateway, 'kubectl', 'ada', { resource: `urn:lotse:target:${kind}` })).access_token

async function taken(t: TestContext, cluster: Cluster, kind: Kind, token: string): Promise<void> {
  const began = Date.now()
  const seconds = () => (Date.now() - began) / 1000
  while ((await cluster.whoami(token)).status !== 201) {
    assert.ok(seconds() < POLL, `${kind} takes no token ${POLL} s after the gateway was there`)
    await delay(100)
  }
  t.diagnostic(`${kind} took a token ${seconds().toFixed(1)} s after the gateway was there`)
}

/** Clusters that know a gateway which has been there only to print, and how to start it again under its address. */
async function clustersWithoutGateway(version: Programs, opened: AsyncDisposableStack) {
  const work = await mkdtemp(join(tmpdir(), 'lotse-kubernetes-'))
  opened.defer(() => rm(work, { recursive: true, force: true }))
  const [port, stock, structured, ids] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const redirectUris = [`https://127.0.0.1:${port}/callback/corp`]
  const idp = await startIdp({ people, clients: [{ id: 'lotse', secret: standardEnv.CORP_SECRET, redirectUris }] })
  opened.defer(() => idp.close())
  const ports = { stock, structured, ids }
  const options: GatewayOptions = { config: config(idp.issuer, ports), env: standardEnv, port, tls }
  const flags = await printedTo(work, options)
  const etcd = await startEtcd(version, work)
  opened.defer(() => etcd.stop())
  const start = async (kind: Kind) => {
    const cluster = await startCluster({
      name: kind,
      programs: version,
      work,
      etcd: etcd.url,
      port: ports[kind],
      flags: flags[kind],
    })
    opened.defer(() => cluster.stop())
    return cluster
  }
  const clusters = { stock: await start('stock'), structured: await start('structured') }
  return { options, clusters }
}

/** The flags of each cluster, whose files outlive the gateway that printed them. */
async function printedTo(work: string, options: GatewayOptions): Promise<Readonly<Record<Kind, readonly string[]>>> {
  const gateway = await startGateway(options)
  try {
    const commands = await operator(gateway, options.config)
    await writeFile(join(gateway.folder, 'issuer-ca.pem'), tls.cert)
    const kept = async (kind: Kind) => {
      const flags = await flagsFor(kind, commands, gateway.folder)
      await cp(join(gateway.folder, kind), join(work, 'printed', kind), { recursive: true })
      return flags.map((flag) => flag.replace(gateway.folder, join(work, 'printed')))
    }
    return { stock: await kept('stock'), structured: await kept('structured') }
  } finally {
    await gateway.close()
  }
}
