import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Locator, Page } from 'playwright-core'
import { claimsIn } from '../../support/gateway.ts'
import { type Chrome, startChrome } from './chrome.ts'
import { examine } from './look.ts'
import { startWorld, type World } from './world.ts'

let world: World
let chrome: Chrome
before(async () => {
  world = await startWorld()
  chrome = await startChrome()
})
after(async () => {
  await chrome?.close()
  await world?.close()
})

const heading = (page: Page) => page.getByRole('heading', { level: 1 }).textContent()

const ask = async () => {
  const { body } = await world.gateway.post('/device/auth', { client_id: 'kubectl', scope: 'openid profile email' })
  return body
}

const poll = (code: string | undefined) =>
  world.gateway.post('/token', {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    device_code: code ?? '',
    client_id: 'kubectl',
  })

const yes = (page: Page) => page.getByRole('button', { name: 'Yes, this is me' })
const no = (page: Page) => page.getByRole('button', { name: 'No, decline' })

async function typeCode(page: Page, asked: Readonly<Record<string, string>>): Promise<void> {
  await page.goto(asked['verification_uri'] ?? '')
  await page.getByLabel('Code').fill(asked['user_code']?.toLowerCase().replace('-', '') ?? '')
  await page.getByRole('button', { name: 'Continue' }).click()
  await yes(page).waitFor()
}

test('a person types the code of her command line, confirms, signs in, and the command line gets her tokens', async () => {
  await chrome.as({}, async ({ page }) => {
    const asked = await ask()
    assert.equal((await poll(asked['device_code'])).body['error'], 'authorization_pending')
    await page.goto(asked['verification_uri'] ?? '')
    assert.equal(await heading(page), 'Connect a command line')
    await examine(page, 'reached device entry')
    await page.getByLabel('Code').fill(asked['user_code'] ?? '')
    await page.getByRole('button', { name: 'Continue' }).click()
    await yes(page).waitFor()
    assert.ok((await page.getByRole('main').textContent())?.includes(asked['user_code'] ?? '-'))
    for (const shown of ['kubectl', 'Cluster prod', '127.0.0.1', 'just now']) {
      assert.equal(await page.getByRole('definition').filter({ hasText: shown }).count(), 1, shown)
    }
    await examine(page, 'reached device confirm')
    await yes(page).click()
    await page.getByRole('link', { name: /Example University/ }).click()
    await page.getByRole('button', { name: 'Ada L.' }).click()
    await page.getByText('You can close this window.').waitFor()
    await examine(page, 'reached device done')
    const { status, body } = await poll(asked['device_code'])
    assert.equal(status, 200)
    assert.deepEqual(claimsIn(body['id_token'] ?? '')['groups'], ['x-web'])
  })
})

test('a link with the code fills it in and no more, in either language; all goes by keyboard and without script', async () => {
  await chrome.as({ javaScriptEnabled: false }, async ({ page }) => {
    const asked = await ask()
    await page.goto(asked['verification_uri_complete'] ?? '')
    await page.getByRole('link', { name: 'Deutsch' }).click()
    assert.equal(await heading(page), 'Kommandozeile verbinden')
    assert.equal(await page.getByLabel('Code').inputValue(), asked['user_code'])
    await page.getByRole('link', { name: 'English' }).click()
    assert.equal(await page.getByLabel('Code').inputValue(), asked['user_code'])
    await page.getByLabel('Code').press('Enter')
    await yes(page).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('link', { name: /Corp AG/ }).press('Enter')
    await page.getByRole('button', { name: 'Ada L.' }).press('Enter')
    await page.getByText('You can close this window.').waitFor()
    assert.equal((await poll(asked['device_code'])).status, 200)
  })
})

test('declining looks exactly as inviting as confirming, comes first, and ends it', async () => {
  await chrome.as({}, async ({ page }) => {
    const asked = await ask()
    await typeCode(page, asked)
    const look = (button: Locator) =>
      button.evaluate((element) => {
        const { width, height } = element.getBoundingClientRect()
        const style = getComputedStyle(element)
        const names = ['color', 'backgroundColor', 'border', 'font', 'boxShadow', 'opacity', 'padding'] as const
        return { width, height, ...Object.fromEntries(names.map((name) => [name, style[name]])) }
      })
    for (const width of [390, 1280]) {
      await page.setViewportSize({ width, height: 844 })
      assert.deepEqual(await look(no(page)), await look(yes(page)))
    }
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'No, decline')
    await no(page).click()
    assert.equal(await heading(page), 'Declined')
    assert.match((await page.getByRole('main').textContent()) ?? '', /kubectl did not get access/)
    await examine(page, 'reached device declined')
    assert.equal((await poll(asked['device_code'])).body['error'], 'access_denied')
    assert.equal(
      world.gateway.events.findLast(({ event }) => event === 'device.declined')?.['client' as never],
      'kubectl',
    )
  })
})

test('a code that nobody asked for and one that was used are told apart from nothing, and can be typed again', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(`${world.gateway.issuer}/device`)
    await page.getByLabel('Code').fill('BBBB-BBBB')
    await page.getByLabel('Code').press('Enter')
    await page.getByRole('alert').waitFor()
    await examine(page, 'reached device entry, not found')
    const asked = await ask()
    await page.getByLabel('Code').fill(asked['user_code'] ?? '')
    await page.getByLabel('Code').press('Enter')
    await yes(page).waitFor()
  })
})

test('somebody to whom the rules give nothing is told so, and her command line at once', async () => {
  await chrome.as({}, async ({ page }) => {
    const asked = await ask()
    await typeCode(page, asked)
    await yes(page).click()
    await page.getByRole('link', { name: /Corp AG/ }).click()
    await page.getByRole('button', { name: 'carol' }).click()
    assert.equal(await heading(page), 'You are signed in, but nothing is granted to you here')
    await examine(page, 'reached device refused')
    assert.equal((await poll(asked['device_code'])).body['error'], 'access_denied')
  })
})

test('after too many wrong codes from one address there is no field any more', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(`${world.gateway.issuer}/device`)
    for (let tries = 0; tries < 20; tries += 1) {
      if ((await page.getByLabel('Code').count()) === 0) break
      await page.getByLabel('Code').fill('BBBB-BBBC')
      await page.getByLabel('Code').press('Enter')
      await page.waitForLoadState()
    }
    assert.equal(await page.getByRole('textbox').count(), 0)
    await examine(page, 'reached device, too many')
  })
})
