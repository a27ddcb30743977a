import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { type Chrome, startChrome } from './chrome.ts'
import { examine } from './look.ts'
import { request, startWorld, type World } from './world.ts'

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

/** Signs in up to the answer, which does not arrive: its address. */
async function heldAnswer(page: Page): Promise<string> {
  // The answer is a redirect, which playwright's own routes do not see.
  const debug = await page.context().newCDPSession(page)
  const held = new Promise<string>((resolve) => {
    debug.on('Fetch.requestPaused', ({ requestId, request: { url } }) => {
      resolve(url)
      void debug.send('Fetch.failRequest', { requestId, errorReason: 'Aborted' })
    })
  })
  await debug.send('Fetch.enable', { patterns: [{ urlPattern: '*/callback/corp?*' }] })
  await page.goto(request(world, 'kubectl', { connector: 'corp' }).url)
  await page.getByRole('button', { name: 'Ada L.' }).click()
  const answer = await held
  await debug.send('Fetch.disable')
  await debug.detach()
  return answer
}

test('an answer that arrives in another browser is refused there, and still good where it was asked for', async () => {
  await chrome.as({}, async ({ page: own }) => {
    const answer = await heldAnswer(own)
    await chrome.as({}, async ({ page }) => {
      await page.goto(answer)
      assert.equal(await heading(page), 'This sign-in was begun in another browser')
      await examine(page, 'reached wrong browser')
    })
    await own.goto(answer)
    await own.waitForURL(`${world.app.here}/**`)
    assert.ok(world.app.told.at(-1)?.fields.get('code'))
  })
})

test('an answer that was used, a sign-in that nobody began and a page that is not there say so', async () => {
  await chrome.as({}, async ({ page }) => {
    const answer = await heldAnswer(page)
    await page.goto(answer)
    await page.waitForURL(`${world.app.here}/**`)
    await page.goto(answer)
    assert.equal(await heading(page), 'This sign-in is over')
    await examine(page, 'reached expired')
    await page.goto(`${world.gateway.issuer}/login/${'a'.repeat(43)}`)
    assert.equal(await heading(page), 'This sign-in is over')
    await page.goto(`${world.gateway.issuer}/nothing-here`)
    await examine(page, 'reached not found')
  })
})

test('a request that no client may send gets a page, not a redirect', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(request(world, 'nobody').url)
    assert.ok(page.url().startsWith(world.gateway.issuer))
    await examine(page, 'reached bad request')
    await page.goto(request(world, 'kubectl', { redirect_uri: 'https://evil.example/' }).url)
    assert.ok(page.url().startsWith(world.gateway.issuer))
  })
})

test('somebody to whom the rules give nothing sees what was said about her, and can go on as somebody else or back', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(request(world, 'horizon').url)
    await page.getByRole('link', { name: /Corp AG/ }).click()
    await page.getByRole('button', { name: 'carol' }).click()
    assert.equal(await heading(page), 'You are signed in, but nothing is granted to you here')
    for (const said of ['/all', 'carol']) assert.ok((await page.getByText(said, { exact: true }).count()) > 0, said)
    await examine(page, 'reached refused')
    await page.getByRole('link', { name: 'Back to the program' }).click()
    await page.waitForURL(`${world.app.here}/**`)
    assert.equal(world.app.told.at(-1)?.fields.get('error'), 'access_denied')
  })
})

test('after a refusal another account of the same organisation can be used', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(request(world, 'horizon').url)
    await page.getByRole('link', { name: /Corp AG/ }).click()
    await page.getByRole('button', { name: 'carol' }).click()
    await page.getByRole('link', { name: 'Use another account' }).click()
    await page.getByRole('link', { name: /Corp AG/ }).click()
    // The upstream remembers carol: it must be asked for somebody else.
    await page.getByRole('button', { name: 'Ada L.' }).click()
    await page.waitForURL(`${world.app.here}/**`)
    assert.ok(world.app.told.at(-1)?.fields.get('code'))
  })
})

test('an answer that the upstream itself disowns goes back to the client as an OAuth error', async () => {
  await chrome.as({}, async ({ page }) => {
    const answer = await heldAnswer(page)
    await page.goto(answer.replace(/code=[^&]*/, 'code=wrong'))
    await page.waitForURL(`${world.app.here}/**`)
    assert.equal(world.app.told.at(-1)?.fields.get('error'), 'access_denied')
  })
})

test('no page of the gateway lets itself be framed', async () => {
  await chrome.as({}, async ({ page, complaints }) => {
    const login = new URL(request(world, 'kubectl').url)
    for (const address of [`${world.gateway.issuer}/device`, login.href, `${world.gateway.issuer}/logout`]) {
      world.app.pages.set(
        '/frame',
        `<!doctype html><html lang="en"><title>Frame</title><link rel="icon" href="data:,"><iframe src="${address.replaceAll('&', '&amp;')}"></iframe></html>`,
      )
      for (const site of [world.app.here, world.app.there]) {
        complaints.length = 0
        await page.goto(`${site}/frame`, { waitUntil: 'load' })
        const frame = page.frames()[1]
        assert.ok(frame)
        await frame.waitForURL('chrome-error://chromewebdata/')
        assert.equal(await frame.getByText('Cloud Nord').count(), 0)
        assert.match(complaints.join(), /frame-ancestors/)
      }
    }
    complaints.length = 0
  })
})
