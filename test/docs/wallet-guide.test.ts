import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { problemText } from '../../src/config/problem.ts'
import type { WalletConfig } from '../../src/connectors/wallet/options.ts'
import { openSigner } from '../../src/connectors/wallet/signer.ts'
import { decide } from '../../src/core/decide.ts'
import { describeGrant } from '../../src/core/grants.ts'
import { loadFrom, now, server } from '../config/files.ts'
import { root } from '../support/runner.ts'

const page = readFileSync(join(root, 'docs/guides/wallet.md'), 'utf8')
const [connector = '', rules = ''] = [...page.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, text]) => text)
const commands = /^```\n(openssl [\s\S]*?)^```/m.exec(page)?.[1] ?? ''

test('the commands of docs/guides/wallet.md make a certificate by which the gateway signs, and its example loads', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'lotse-wallet-guide-'))
  t.after(() => rmSync(folder, { recursive: true }))
  execFileSync('sh', ['-e', '-c', commands], { cwd: folder, stdio: 'pipe' })
  const made = (name: string) => readFileSync(join(folder, name), 'utf8')
  const files = {
    '/etc/lotse/tls/wallet-chain.pem': made('wallet-chain.pem'),
    '/etc/lotse/tls/wallet.key': made('wallet.key'),
    '/etc/lotse/tls/corp-root.pem': made('root.pem'),
  }
  const main = `${server}\nconnectors:\n${connector.replace(/^/gm, '  ')}\ntargets: [{ id: cloud, type: keystone, url: https://keystone.cloud.example/v3 }]\n${rules}`
  const loaded = await loadFrom({ files: { ...files, '/etc/lotse/gateway.yaml': main } })
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(problemText).join('\n'))
  const config = loaded.config.connectors[0] as unknown as WalletConfig
  for (const clientIdPrefix of ['x509_hash', 'x509_san_dns'] as const)
    assert.ok(openSigner({ ...config, clientIdPrefix }, 'login.cloud.example'))
  const claims = { 'org.did': ['https://hr.corp.example'], roles: ['developer'] }
  const subject = { connector: 'gaiax', id: 'a', claims, records: {}, authTime: now }
  assert.deepEqual(decide(loaded.policy, subject, now).grants.map(describeGrant), ['cloud project web: member'])
  const root = await loadFrom({
    files: {
      ...files,
      '/etc/lotse/tls/wallet-chain.pem': made('root.pem'),
      '/etc/lotse/tls/wallet.key': made('root.key'),
      '/etc/lotse/gateway.yaml': main,
    },
  })
  assert.match(root.ok ? '' : root.problems.map(problemText).join('\n'), /self-signed/)
})
