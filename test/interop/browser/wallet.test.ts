import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import decodeQR from 'qr/decode.js'
import { answerFor, employee, startWalletWorld, via, type WalletWorld } from '../../flows/wallet-world.ts'
import { CALLBACK } from '../../support/sign-in.ts'
import { encrypt, present, readClaims, send } from '../../support/wallet.ts'
import { type Chrome, startChrome } from './chrome.ts'
import { examine } from './look.ts'

let world: WalletWorld
let chrome: Chrome
before(async () => {
  world = await startWalletWorld()
  chrome = await startChrome()
})
after(async () => {
  await chrome?.close()
  await world?.close()
})

const languages = [
  [
    'en',
    'en-GB',
    'Open the wallet on this device',
    'Nobody waits for a wallet here any more',
    'Your credential is no longer valid',
  ],
  [
    'de',
    'de-DE',
    'Wallet auf diesem Gerät öffnen',
    'Hier wartet niemand mehr auf eine Wallet',
    'Ihr Nachweis gilt nicht mehr',
  ],
] as const

const begin = async (page: Page, connector: string) => {
  await page.goto(via(world.gateway, connector).url.href)
  assert.match(page.url(), /\/wallet\/wait\//)
}
/** Nothing listens where the client is: the address itself is what it is told. */
const told = (page: Page) =>
  page
    .waitForRequest((request) => request.url().startsWith(CALLBACK))
    .then((request) => new URL(request.url()).searchParams)
const linkIn = async (page: Page, name: string) =>
  (await page.getByRole('link', { name }).getAttribute('href')) ?? assert.fail('no link')

for (const [language, locale, open, over, gone] of languages) {
  test(`somebody signs in with a wallet on the same device, ${language}`, async () => {
    await chrome.as({ locale }, async ({ page }) => {
      await begin(page, 'gaiax')
      await examine(page, `wallet ${language}`)
      const { read, vpToken } = await answerFor(world, await linkIn(page, open))
      const sent = await send(read, vpToken)
      const answer = told(page)
      // What the wallet opens in this device's browser.
      await page.goto(sent.body['redirect_uri'] ?? '').catch(() => {}) // nobody listens where it ends
      assert.equal((await answer).has('code'), true)
    })
  })

  test(`an answer that comes back in another browser profile is refused, ${language}`, async () => {
    await chrome.as({ locale }, async ({ page }) => {
      await begin(page, 'gaiax')
      const { read, vpToken } = await answerFor(world, await linkIn(page, open))
      const { redirect_uri: to = '' } = (await send(read, vpToken)).body
      await chrome.as({ locale }, async ({ page: other }) => {
        const response = await other.goto(to)
        assert.equal(response?.status(), 400)
        await examine(other, `wallet, wrong browser ${language}`)
      })
    })
  })

  test(`a wallet on another device reads the code from the screen, and the page goes on by itself, ${language}`, async () => {
    await chrome.as({ locale, colorScheme: 'dark' }, async ({ page }) => {
      await begin(page, 'qr')
      await examine(page, `wallet, all ways ${language}`)
      await page.emulateMedia({ colorScheme: 'dark' })
      // Whoever gets to know the address of the page sees nothing in another profile, and learns of no answer.
      await chrome.as({ locale }, async ({ page: other }) => {
        assert.equal((await other.goto(page.url()))?.status(), 400)
      })
      const { read, vpToken } = await answerFor(world, await codeOn(page))
      const answer = told(page)
      assert.deepEqual((await send(read, vpToken)).body, {})
      assert.equal((await answer).has('code'), true)
    })
  })

  test(`somebody whose credential was revoked is told so, ${language}`, async () => {
    world.statuses.set(3, 1)
    const revoked = employee(world.corp, world.ada, { status: world.statuses.reference(3) })
    await chrome.as({ locale }, async ({ page }) => {
      await begin(page, 'gaiax')
      const { read, vpToken } = await answerFor({ ...world, held: revoked }, await linkIn(page, open))
      const response = await page.goto((await send(read, vpToken)).body['redirect_uri'] ?? '')
      assert.equal(response?.status(), 403)
      await page.getByRole('heading', { name: gone }).waitFor()
      await examine(page, `wallet, revoked ${language}`)
    })
  })

  test(`the page that waits notices by itself that its sign-in went on in another tab, ${language}`, async () => {
    await chrome.as({ locale }, async ({ page, context }) => {
      await begin(page, 'gaiax')
      const { read, vpToken } = await answerFor(world, await linkIn(page, open))
      const { redirect_uri: to = '' } = (await send(read, vpToken)).body
      const tab = await context.newPage()
      const answer = told(tab)
      await tab.goto(to).catch(() => {})
      assert.equal((await answer).has('code'), true)
      await page.getByRole('heading', { name: over }).waitFor()
      await examine(page, `wallet, over ${language}`)
    })
  })
}

test('a page that is being left for the end of its sign-in does not come back to say that it is over', async () => {
  await chrome.as({}, async ({ page }) => {
    await begin(page, 'gaiax')
    const { read, vpToken } = await answerFor(world, await linkIn(page, 'Open the wallet on this device'))
    const { redirect_uri: to = '' } = (await send(read, vpToken)).body
    // The way on takes its time, and the page asks meanwhile.
    await page.route('**/callback/**', async (route) => {
      await delay(4000)
      await route.continue()
    })
    await page.route('**/wallet/wait/*', (route) =>
      route.request().headers()['accept']?.startsWith('application/json')
        ? route.fulfill({ json: { state: 'over' } })
        : route.continue(),
    )
    const answer = told(page)
    await page.goto(to).catch(() => {})
    assert.equal((await answer).has('code'), true)
  })
})

test('without script the page goes on by loading itself anew', async () => {
  await chrome.as({ javaScriptEnabled: false }, async ({ page }) => {
    await begin(page, 'qr')
    const { read, vpToken } = await answerFor(world, await codeOn(page))
    const answer = told(page)
    await send(read, vpToken)
    assert.equal((await answer).has('code'), true)
  })
})

test('where the browser has the Digital Credentials API, its button appears, and what it brings signs in', async () => {
  await chrome.as({}, async ({ page, context }) => {
    const asked: string[] = []
    await context.exposeFunction(
      'walletAnswers',
      async (options: { digital: { requests: { protocol: string; data: { request: string } }[] } }) => {
        const [{ protocol, data } = assert.fail('no request')] = options.digital.requests
        asked.push(protocol)
        const read = readClaims(JSON.parse(Buffer.from(data.request.split('.')[1] ?? '', 'base64url').toString()))
        const payload = {
          vp_token: {
            employee: [present(world.held, world.ada, read, { audience: `origin:${world.gateway.issuer}` })],
          },
        }
        return { data: { response: await encrypt(payload, read.encryption?.jwk ?? {}) } }
      },
    )
    // No wallet of an operating system is there, so that the test plays the browser's part.
    await context.addInitScript(() => {
      Object.assign(globalThis, { DigitalCredential: { userAgentAllowsProtocol: () => true } })
      Object.defineProperty(navigator, 'credentials', {
        value: { get: (globalThis as unknown as { walletAnswers: unknown }).walletAnswers },
      })
    })
    await begin(page, 'qr')
    await examine(page, 'wallet, digital credentials')
    const answer = told(page)
    await page.getByRole('button', { name: 'Choose a wallet in this browser' }).click()
    assert.equal((await answer).has('code'), true)
    assert.deepEqual(asked, ['openid4vp-v1-signed'])
  })
})

test('where the browser’s own API brings nothing, the page says so and offers to begin again', async () => {
  await chrome.as({}, async ({ page, context }) => {
    await context.addInitScript(() => {
      Object.assign(globalThis, { DigitalCredential: {} })
      Object.defineProperty(navigator, 'credentials', { value: { get: () => Promise.reject(new Error('declined')) } })
    })
    await begin(page, 'qr')
    await page.getByRole('button', { name: 'Choose a wallet in this browser' }).click()
    await page.getByRole('alert').waitFor()
    await examine(page, 'wallet, nothing came')
    const before = page.url()
    await page.getByRole('link', { name: 'Start again' }).click()
    await page.waitForURL((url) => url.pathname.startsWith('/wallet/wait/') && url.href !== before)
  })
})

test('a browser without that API shows no button for it', async () => {
  await chrome.as({}, async ({ page, context }) => {
    await context.addInitScript(() => void Reflect.deleteProperty(globalThis, 'DigitalCredential'))
    await begin(page, 'qr')
    assert.equal(await page.getByRole('button', { name: 'Choose a wallet in this browser' }).isVisible(), false)
  })
})

/** Reads the code from a picture of the screen, as a phone's camera does. */
async function codeOn(page: Page): Promise<string> {
  const picture = await page.locator('.qr').screenshot()
  const reader = await chrome.browser.newPage()
  try {
    const { width, height, data } = await reader.evaluate(async (png) => {
      const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob())
      const canvas = new OffscreenCanvas(image.width, image.height)
      const context = canvas.getContext('2d')
      if (!context) throw new Error('no canvas')
      context.drawImage(image, 0, 0)
      const pixels = context.getImageData(0, 0, image.width, image.height)
      return { width: image.width, height: image.height, data: [...pixels.data] }
    }, picture.toString('base64'))
    return decodeQR({ width, height, data: Uint8Array.from(data) })
  } finally {
    await reader.close()
  }
}
