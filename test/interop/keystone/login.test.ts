import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { promisify } from 'node:util'
import { type Io, readArgs } from '../../../src/cli/command.ts'
import { loginCommand } from '../../../src/cli/login.ts'
import { browser } from '../../support/browser.ts'
import { people } from '../../support/standard.ts'
import { atEach } from './both.ts'
import { env, shellOf, type World } from './world.ts'

const call = promisify(execFile)

/** `lotse login cloud`; ada confirms the code while it waits. @returns what it printed */
async function login({ gateway, ca }: World, ...words: readonly string[]): Promise<string> {
  const out: string[] = []
  const err: string[] = []
  const io = {
    out: (text: string) => out.push(text),
    err: (text: string) => err.push(text),
    env: { ...env, OS_CACERT: ca },
    cwd: gateway.folder,
    now: () => Math.floor(Date.now() / 1000),
    stop: new AbortController().signal,
  } as unknown as Io
  const command = loginCommand(() => async () => {
    const who = browser()
    const entry = await who.get(/Open (\S+) in a browser/.exec(err.join('\n'))?.[1] ?? '')
    const confirm = await who.submit(entry, entry.form())
    const page = await who.submit(confirm, confirm.form(), { confirm: 'yes' })
    await who.submit(page, page.form('ada'))
  })
  const code = await command.run(readArgs(['cloud', '--config', 'main.yaml', ...words], command.options), io)
  assert.equal(code, 0, err.join('\n'))
  return out.join('\n')
}

atEach({ people }, (world, kind) => {
  before(async () => {
    if (kind.schema !== '3.0') await world().cloud.team('corp', 'web', 'member')
  })

  test('Debian’s openstack, which knows neither websso nor codes, works with what lotse login printed', async () => {
    const printed = await login(world(), '--project', 'web')
    const shell = { ...shellOf(world()), PATH: '/usr/bin:/bin' }
    const openstack = async (line: string) =>
      (await call('bash', ['-euc', `${printed}\n${line}`], { env: shell })).stdout
    assert.equal((await openstack('openstack project list -f value -c Name')).trim(), 'web')
    const { body } = await world().cloud.api('GET', '/projects?name=web')
    const issued = await openstack('openstack token issue -f value -c project_id')
    assert.equal(issued.trim(), body.projects[0].id)
  })

  test('the newest openstack takes the printed clouds.yaml', async () => {
    const file = join(world().gateway.folder, 'clouds.yaml')
    await login(world(), '--project', 'web', '--clouds', '--out', file)
    const shell = { ...shellOf(world()), PATH: `${join(kind.venv, 'bin')}:/usr/bin:/bin`, OS_CLIENT_CONFIG_FILE: file }
    const { stdout } = await call(
      'openstack',
      ['--os-cloud', 'cloud', 'project', 'list', '-f', 'value', '-c', 'Name'],
      {
        env: shell,
      },
    )
    assert.equal(stdout.trim(), 'web')
  })
})
