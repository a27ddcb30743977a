import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Io } from '../../../src/cli/command.ts'
import { main } from '../../../src/cli/index.ts'
import { people } from '../../support/standard.ts'
import { atEach } from './both.ts'
import { env, type World } from './world.ts'

/** `lotse check --live cloud`, as its operator runs it: each line's verdict and check, and the whole text. */
async function check({ gateway }: World) {
  const out: string[] = []
  const io = {
    out: (text: string) => out.push(text),
    err: (text: string) => out.push(text),
    env,
    cwd: gateway.folder,
    now: () => Math.floor(Date.now() / 1000),
  } as unknown as Io
  const code = await main(['check', '--live', 'cloud', '--config', join(gateway.folder, 'main.yaml')], io)
  const found = out.map((line) => /^(\w+) +cloud {2}([^:]+)/.exec(line)?.slice(1, 3).join(' ') ?? line)
  return { code, found, text: out.join('\n') }
}

/** The printed part of keystone.conf, changed as a hand might; Keystone runs with it until `back`. */
async function withConf({ printed, keystone }: World, name: string, change: (text: string) => string) {
  const part = join(printed, 'keystone/keystone.conf.part')
  const other = join(printed, `keystone/${name}.part`)
  await writeFile(other, change(await readFile(part, 'utf8')))
  const apache = ['lotse-keystone.conf', 'lotse-secrets.conf'].map((file) => join(printed, 'apache', file))
  await keystone.restart({ apache, keystone: other })
}

atEach({ people }, (world, kind) => {
  test('a Keystone that was set up by what lotse print wrote has nothing bad', async () => {
    const { code, found, text } = await check(world())
    assert.deepEqual(
      found.filter((each) => each.startsWith('bad')),
      [],
      text,
    )
    assert.equal(code, 0)
    const checks = [
      'identity provider',
      'forged claims',
      'bearer',
      'websso',
      'websso by protocol',
      'dashboard',
      'v3websso',
    ]
    for (const each of checks) assert.ok(found.includes(`ok ${each}`), `${each}: ${text}`)
    assert.match(text, kind.schema === '3.0' ? /version: Keystone 30/ : /note +cloud +version: older than Keystone 27/)
  })

  test('claims read from request headers, as Keystone’s own documentation has it, and dashboards not trusted are found', async () => {
    const readsHeaders = (text: string) =>
      text.replace(/(remote_id_attribute *= *).*/, '$1HTTP_OIDC_ISS').replace(/^assertion_prefix.*$/m, '')
    await withConf(world(), 'headers', (text) => readsHeaders(text).replace(/^trusted_dashboard.*$/gm, ''))
    const { code, found, text } = await check(world())
    assert.equal(code, 1)
    assert.match(text, /ANYBODY CAN BECOME ANYBODY: it believes the request headers OIDC-iss/)
    const { body } = await world().cloud.api('GET', '/users?name=lotse-check-forged-claims')
    assert.deepEqual(body.users, [], 'and nobody was made for it')
    assert.ok(found.includes('bad dashboard') && found.includes('note v3websso'), text)
  })
})
