import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import type { Page as Window } from 'playwright-core'
import { errorCodes } from '../../../src/core/errors.ts'
import { errorPage, type Page, securityHeaders } from '../../../src/http/pages/index.ts'
import { everyPage, isScripted, now, themeIn } from '../../http/pages-samples.ts'
import { type Chrome, startChrome } from './chrome.ts'
import { examine, violations } from './look.ts'

let chrome: Chrome
let server: Server
let origin = ''
/** Path → what stands there, sent under its own headers as the gateway sends it. */
const pages = new Map<string, Page>()

before(async () => {
  server = createServer((request, response) => {
    const page = pages.get(request.url ?? '')
    if (page) response.writeHead(page.status, securityHeaders(page)).end(page.body)
    else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  chrome = await startChrome()
})
after(async () => {
  await chrome?.close()
  server?.closeAllConnections()
  server?.close()
})

/** Lets the form that sends itself stay to be looked at. */
const hold = (page: Window) =>
  page.addInitScript(() => {
    HTMLFormElement.prototype.submit = () => {}
  })

for (const wanted of ['en', 'de'] as const) {
  test(`every page in every state is accessible and fits, ${wanted}`, async () => {
    await chrome.as({}, async ({ page, asked }) => {
      await hold(page)
      for (const [name, made, language] of everyPage()) {
        if (language !== wanted) continue
        pages.set('/page', made)
        await page.goto(`${origin}/page`)
        assert.equal(await page.evaluate(() => document.documentElement.lang), wanted)
        await examine(page, `made ${name}`)
      }
      assert.deepEqual([...new Set(asked.map((url) => new URL(url).origin))], [origin])
    })
  })

  test(`every error has a page that is accessible and fits, ${wanted}`, async () => {
    await chrome.as({ viewport: { width: 320, height: 640 } }, async ({ page }) => {
      for (const code of errorCodes) {
        const ways = { retryHref: '/again', leaveHref: '/leave' }
        pages.set('/page', errorPage({ code, errorId: '7F3K-2M9Q', now, ...ways }, themeIn(wanted)))
        await page.goto(`${origin}/page`)
        assert.deepEqual(await violations(page), [], code)
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), code)
      }
    })
  })
}

test('no page needs a script, and the form that sends itself, the search of a federation and who waits alone have one', async () => {
  await chrome.as({}, async ({ page }) => {
    await hold(page)
    for (const [name, made] of everyPage()) {
      pages.set('/page', made)
      await page.goto(`${origin}/page`)
      const scripts = await page.evaluate(() => document.scripts.length)
      assert.equal(scripts, isScripted(name) ? 1 : 0, name)
    }
  })
})
