import assert from 'node:assert/strict'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Browser, browser } from '../../support/browser.ts'
import { authorization, pickPerson, tokensOf } from '../../support/sign-in.ts'
import { people } from '../../support/standard.ts'
import { type Chrome, startChrome } from '../browser/chrome.ts'
import { atEach } from './both.ts'
import { ask } from './cloud.ts'
import { type Command, tokenIssue } from './openstack.ts'
import type { World } from './world.ts'

const REDIRECT = 'http://127.0.0.1/cb'

/** The person at another device: opens the address, confirms the code, signs in. */
async function confirm(address: string): Promise<void> {
  const who = browser()
  const entry = await who.get(address)
  const asked = await who.submit(entry, entry.form())
  const page = await who.submit(asked, asked.form(), { confirm: 'yes' })
  await pickPerson(who, page, 'ada')
}

/** A code of the confidential client, fetched by other means: without PKCE, as v3oidcauthcode has it. */
async function pastedCode({ gateway }: World): Promise<string> {
  const who: Browser = browser({ stopAt: ({ href }) => href.startsWith(REDIRECT) })
  const none = { code_challenge: '', code_challenge_method: '', scope: 'openid email profile', redirect_uri: REDIRECT }
  const page = await pickPerson(who, await who.get(authorization(gateway, 'openstack-service', none).url), 'ada')
  return new URL(page.headers.get('location') ?? '').searchParams.get('code') ?? ''
}

/** What Keystone says of a token: whose, for which project, with which roles. */
async function lookedUp({ keystone }: World, token: string) {
  const headers = { 'x-auth-token': token, 'x-subject-token': token }
  const { body } = await ask(`${keystone.url}/v3/auth/tokens`, { headers })
  const { user, project, roles } = body.token
  return [user.name, project.name, ...roles.map(({ name }: { name: string }) => name).sort()]
}

const ADA = ['corp:ada', 'web', 'member', 'reader']

let chrome: Chrome
before(async () => {
  chrome = await startChrome()
})
after(() => chrome?.close())

atEach({ people }, (world, kind) => {
  before(async () => {
    if (kind.schema !== '3.0') await world().cloud.team('corp', 'web', 'member')
  })

  test('v3websso opens a real browser, she signs in, and the command has her token', async () => {
    // Python's webbrowser calls this with the address.
    const [script, file] = [join(world().printed, 'open.sh'), join(world().printed, 'address')]
    await writeFile(script, `#!/bin/sh\nprintf 'address: %s \\n' "$1" >${file}\n`)
    await chmod(script, 0o755)
    const running = tokenIssue(world(), { cloud: 'cloud', env: { BROWSER: `${script} %s` } })
    const address = await written(file)
    await chrome.as({ ignoreHTTPSErrors: true }, async ({ page }) => {
      await page.goto(address)
      await page.getByRole('button', { name: 'Ada L.' }).click()
      await page.waitForURL(/^http:\/\/localhost:9990\//)
    })
    assert.deepEqual(await lookedUp(world(), await running.token()), ADA)
  })

  for (const client of ['openstack', 'openstack-service'])
    test(`the device flow by ${client}, as printed`, async () => {
      const running = tokenIssue(world(), { cloud: `cloud-${client}-device` })
      await confirm(await running.said(/(https:\S+user_code=\S+)/))
      assert.deepEqual(await lookedUp(world(), await running.token()), ADA)
    })

  test('the device flow without PKCE, which keystoneauth leaves out unless told', async () => {
    const clouds = join(world().printed, 'cli/plain.yaml')
    const text = await readFile(join(world().printed, 'cli/clouds.yaml'), 'utf8')
    await writeFile(clouds, text.replaceAll(/^ *code_challenge_method.*\n/gm, ''))
    const env = { OS_CLIENT_CONFIG_FILE: clouds }
    const running = tokenIssue(world(), { cloud: 'cloud-openstack-device', env })
    await confirm(await running.said(/(https:\S+user_code=\S+)/))
    assert.deepEqual(await lookedUp(world(), await running.token()), ADA)
  })

  const unattended: readonly (readonly [what: string, whose: string, command: () => Promise<Command>])[] = [
    [
      'a code that was fetched by other means',
      'corp:ada',
      async () => ({ cloud: 'cloud-openstack-service-code', words: [`--os-code=${await pastedCode(world())}`] }),
    ],
    ['a secret of its own', 'corp:robot-1', async () => ({ cloud: 'cloud-robot' })],
    [
      'an access token',
      'corp:ada',
      async () => {
        const { access_token } = await tokensOf(world().gateway, 'openstack', 'ada')
        return { cloud: 'cloud-token', words: ['--os-access-token', access_token] }
      },
    ],
  ]
  for (const [what, whose, command] of unattended) {
    test(`by ${what}`, async () => {
      const token = await tokenIssue(world(), await command()).token()
      assert.deepEqual(await lookedUp(world(), token), [whose, ...ADA.slice(1)])
    })

    test(`by ${what}, with the old client of Debian`, async () => {
      const token = await tokenIssue(world(), { ...(await command()), path: '/usr/bin' }).token()
      assert.deepEqual(await lookedUp(world(), token), [whose, ...ADA.slice(1)])
    })
  }
})

/** The address in a file, once it is there. */
async function written(file: string): Promise<string> {
  for (let tries = 0; tries < 300; tries += 1) {
    const address = /address: (\S+) /.exec(await readFile(file, 'utf8').catch(() => ''))?.[1]
    if (address !== undefined) return address
    await delay(100)
  }
  throw new Error('no browser was opened within 30 s')
}
