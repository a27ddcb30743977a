import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { type Demo, startDemo } from '../../../src/demo/world.ts'
import { root } from '../../support/runner.ts'
import { type Chrome, startChrome } from './chrome.ts'
import { examine } from './look.ts'

let demo: Demo
let chrome: Chrome
before(async () => {
  const now = () => Math.floor(Date.now() / 1000)
  demo = await startDemo({ config: join(root, 'config/demo.yaml'), env: {}, now, log: () => {}, say: () => {} })
  chrome = await startChrome()
})
after(async () => {
  await chrome?.close()
  await demo?.close()
})

const heading = (page: Page) => page.getByRole('heading', { level: 1 }).textContent()

test('the demo explains who becomes what, and every page of it is accessible and fits', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(demo.world.web)
    assert.equal(await heading(page), 'Who becomes what, and where')
    await examine(page, 'demo start')
    await page.getByRole('link', { name: 'Why?' }).first().click()
    await page.getByRole('heading', { name: 'What the rules say' }).waitFor()
    await examine(page, 'demo who')
    await page.goto(`${demo.world.web}/config`)
    await examine(page, 'demo configuration')
    await page.goto(`${demo.world.web}/nothing-here`)
    await examine(page, 'demo not found')
  })
})

test('somebody signs in at the demo, reads her tokens, fetches new ones and signs out', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(demo.world.web)
    await page.getByRole('link', { name: 'Sign in as Ada' }).click()
    assert.equal(await heading(page), 'Who are you?')
    await examine(page, 'demo upstream')
    await page.getByRole('button', { name: 'Ada Sommer' }).click()
    await page.waitForURL(`${demo.world.web}/you`)
    assert.equal(await heading(page), 'Ada Sommer is signed in')
    for (const claims of await page.getByText('Claims', { exact: true }).all()) await claims.click()
    await examine(page, 'demo signed in')
    await page.getByRole('button', { name: 'Fetch new tokens' }).click()
    await page.getByText('So far: once.').waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    assert.equal(await heading(page), 'Sign out?')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.waitForURL(`${demo.world.web}/`)
  })
})

test('one browser signs in as one person of an organisation after another', async () => {
  await chrome.as({}, async ({ page }) => {
    for (const [first, name] of [
      ['Ada', 'Ada Sommer'],
      ['Ben', 'Ben Okafor'],
      ['Eva', 'Eva Lindqvist'],
      ['Ada', 'Ada Sommer'],
    ] as const) {
      await page.goto(demo.world.web)
      await page.getByRole('link', { name: `Sign in as ${first}` }).click()
      await page.getByRole('button', { name }).click()
      await page.waitForURL(`${demo.world.web}/you`)
      assert.equal(await heading(page), `${name} is signed in`)
    }
  })
})

test('somebody signs in at the demo with a wallet, and every page on the way is accessible and fits', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(demo.world.wallet)
    assert.equal(await heading(page), 'Ada’s wallet')
    await examine(page, 'demo wallet')
    await page.goto(demo.world.web)
    await page.getByRole('link', { name: 'Sign in with the wallet' }).click()
    await page.locator(`a[href^="${demo.world.wallet}"]`).click()
    assert.equal(await heading(page), 'What may be shown?')
    await examine(page, 'demo wallet asks')
    await page.getByRole('button', { name: 'Employee, Corp AG' }).click()
    await page.waitForURL(`${demo.world.web}/you`)
    assert.equal(await heading(page), 'Ada Sommer is signed in')
  })
})

test('a credential that was revoked signs nobody in at the demo', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(demo.world.web)
    await page.getByRole('link', { name: 'Sign in with the wallet' }).click()
    await page.locator(`a[href^="${demo.world.wallet}"]`).click()
    await page.getByRole('button', { name: 'Guest, Example University' }).click()
    assert.equal(await heading(page), 'Your credential is no longer valid')
    await examine(page, 'demo wallet revoked')
  })
})

test('somebody to whom the rules give nothing is shown why, by the gateway and by the demo', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(demo.world.web)
    await page.getByRole('link', { name: 'Sign in as Finn' }).click()
    await page.getByRole('button', { name: 'Finn Huber' }).click()
    await page.getByRole('link', { name: 'Back to the program' }).click()
    assert.equal(await heading(page), 'The gateway gave no access')
    await examine(page, 'demo refused')
  })
})
