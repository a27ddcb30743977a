import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { type Federation, institutes, startFederation } from '../../support/federation.ts'
import { freePort, startGateway, type TestGateway } from '../../support/gateway.ts'
import { type Chrome, startChrome } from './chrome.ts'
import { examine, violations } from './look.ts'

const APP = 'http://127.0.0.1:1/cb'

let federation: Federation
let gateway: TestGateway
let chrome: Chrome
before(async () => {
  federation = await startFederation(institutes(300))
  gateway = await startGateway({
    port: await freePort(),
    env: federation.env,
    config: `
brand: { name: Cloud Nord, color: "#0b5a8a" }
connectors:
  - { id: dfn, type: saml, label: DFN-AAI, domain: dfn, metadata: ${federation.metadata} }
targets:
  - { id: argo, type: oidc, label: Argo CD, audience: https://argo.example }
clients:
  - { id: kubectl, label: kubectl, native: true, target: argo, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh] }
rules:
  - { name: all, from: [dfn], give: [{ target: argo, group: students }] }
`,
  })
  chrome = await startChrome()
})
after(async () => {
  await chrome?.close()
  await gateway?.close()
  await federation?.close()
})

function authorization(): string {
  const fields = {
    client_id: 'kubectl',
    response_type: 'code',
    redirect_uri: APP,
    scope: 'openid',
    code_challenge: createHash('sha256').update(randomBytes(32)).digest('base64url'),
    code_challenge_method: 'S256',
  }
  return `${gateway.issuer}/auth?${new URLSearchParams(fields)}`
}

const words = (page: Page) => page.getByRole('searchbox').or(page.getByRole('textbox'))
const choices = (page: Page) => page.getByRole('list', { name: /Organisations|Einrichtungen/ }).getByRole('link')
/** Nothing listens where the client is: the address itself is what it is told. */
const told = (page: Page) =>
  page.waitForRequest((request) => request.url().startsWith(APP)).then((request) => new URL(request.url()).searchParams)

test('a person types a part of her organisation’s name, the list follows at once, and she signs in', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(authorization())
    await examine(page, 'reached discovery')
    await words(page).pressSequentially('gies')
    // Where keys come slowly the list follows more than one of them.
    await page.getByRole('status').filter({ hasText: 'One organisation' }).waitFor()
    await choices(page).filter({ hasText: 'University of Giessen' }).waitFor()
    await examine(page, 'reached discovery, found')
    await choices(page).click()
    const answer = told(page)
    await page.getByRole('button', { name: 'ada-1' }).click()
    assert.equal((await answer).has('code'), true)
  })
})

test('without script the same is found by the button, and the same number is told', async () => {
  await chrome.as({ javaScriptEnabled: false }, async ({ page }) => {
    await page.goto(authorization())
    await words(page).fill('institute number 1')
    await page.getByRole('button', { name: 'Find' }).click()
    assert.equal(await choices(page).count(), 50)
    assert.match((await page.getByRole('status').textContent()) ?? '', /^The first 50 of 138\. Type more/)
    await words(page).fill('institute-123.example')
    await words(page).press('Enter')
    assert.equal(await choices(page).count(), 1)
    assert.match((await choices(page).textContent()) ?? '', /Institute number 123\s*institute-123\.example/)
  })
})

test('everything goes by keyboard alone, every stop is visible, and the focus stays in the field while the list changes', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(authorization())
    const focused = () =>
      page.evaluate(() => {
        const on = document.activeElement as HTMLElement
        const { outlineStyle, outlineWidth } = getComputedStyle(on)
        return { name: on.id || on.textContent, outline: `${outlineStyle} ${outlineWidth}` }
      })
    await page.keyboard.press('Tab')
    assert.deepEqual(await focused(), { name: 'words', outline: 'solid 3px' })
    await page.keyboard.insertText('ox.exam') // at once, so that the list changes once, before the focus goes there
    await choices(page).filter({ hasText: 'Oxford' }).waitFor()
    assert.equal((await focused()).name, 'words')
    await page.keyboard.press('Tab')
    assert.equal((await focused()).name, 'Find')
    await page.keyboard.press('Tab')
    const { name, outline } = await focused()
    assert.match(name ?? '', /University of Oxford/)
    assert.equal(outline, 'solid 3px')
  })
})

for (const [locale, list, status] of [
  ['en-GB', 'Organisations', 'One organisation'],
  ['de-DE', 'Einrichtungen', 'Eine Einrichtung'],
] as const) {
  test(`a screen reader finds the search, the count and the list by their names, ${locale}`, async () => {
    await chrome.as({ locale }, async ({ page }) => {
      await page.goto(authorization())
      await words(page).fill('giessen')
      await choices(page).first().waitFor()
      const tree = await page.locator('main').ariaSnapshot()
      assert.match(tree, /- heading "[^"]+" \[level=1\]/)
      assert.match(tree, /- search:/)
      assert.match(
        tree,
        locale === 'de-DE'
          ? /textbox "Name oder Domain Ihrer Einrichtung"/
          : /textbox "Name or domain of your organisation"/,
      )
      assert.ok(tree.includes(`- status: ${status}`), tree)
      assert.ok(tree.includes(`- list "${list}":`), tree)
      assert.match(tree, /link "(?:University of Giessen|Universität Gießen) uni-giessen\.example"/)
      assert.deepEqual(await violations(page), [])
    })
  })
}

test('the last choice stands first the next time, and is forgotten when asked to', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(authorization())
    await words(page).fill('giessen')
    await choices(page).click()
    await page.waitForURL(`${federation.idp.origin}/**`)
    await page.goto(authorization())
    await page.getByRole('link', { name: /University of Giessen last used/ }).waitFor()
    await examine(page, 'reached discovery, with the last choice')
    await page.getByRole('link', { name: 'Forget this choice' }).click()
    await page.getByRole('link', { name: /last used/ }).waitFor({ state: 'detached' })
  })
})
