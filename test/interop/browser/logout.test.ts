import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { type Chrome, startChrome } from './chrome.ts'
import { examine } from './look.ts'
import { redeem, request, startWorld, type World } from './world.ts'

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

/** Signs in at the dashboard, and says the address at which the dashboard signs out. */
async function enter(page: Page): Promise<string> {
  const { url, verifier } = request(world, 'horizon', { connector: 'corp' })
  await page.goto(url)
  await page.getByRole('button', { name: 'Ada L.' }).click()
  await page.waitForURL(`${world.app.here}/**`)
  const { body } = await redeem(world, 'horizon', verifier)
  const out = new URL('/logout', world.gateway.issuer)
  out.searchParams.set('id_token_hint', body['id_token'] ?? '')
  out.searchParams.set('post_logout_redirect_uri', `${world.app.here}/bye`)
  out.searchParams.set('state', 'bye-bye')
  return out.href
}

/** At the upstream's own end of session, to which the gateway's leads. */
async function leaveUpstream(page: Page): Promise<void> {
  await page.waitForURL(`${world.corp.issuer}/session/end?**`)
  await page.getByRole('button', { name: 'Leave' }).click()
}

/** Whether the session still answers without asking. */
async function signedIn(page: Page): Promise<boolean> {
  await page.goto(request(world, 'horizon', { prompt: 'none' }).url)
  return world.app.told.at(-1)?.fields.get('error') !== 'login_required'
}

test('a client asks to sign out, the person confirms here and upstream, and lands at the client with nothing left', async () => {
  await chrome.as({}, async ({ page }) => {
    const out = await enter(page)
    await page.goto(out)
    assert.equal(await heading(page), 'Sign out?')
    await examine(page, 'reached logout confirm')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await leaveUpstream(page)
    await page.waitForURL(`${world.app.here}/bye?state=bye-bye`)
    assert.equal(await signedIn(page), false)
    await page.goto(request(world, 'horizon', { connector: 'corp' }).url)
    assert.equal(await heading(page), 'Who are you?', 'the upstream has forgotten her, too')
  })
})

test('a link from anywhere signs nobody out: who declines stays signed in, and is told so', async () => {
  await chrome.as({}, async ({ page }) => {
    await enter(page)
    await page.goto(`${world.gateway.issuer}/logout`)
    await page.getByRole('button', { name: 'Stay signed in' }).click()
    assert.equal(await heading(page), 'You are still signed in')
    await examine(page, 'reached still signed in')
    assert.equal(await signedIn(page), true)
    await page.goto(`${world.gateway.issuer}/logout?client_id=horizon`)
    await page.getByRole('button', { name: 'Stay signed in' }).click()
    assert.equal(await heading(page), 'You are still signed in')
    assert.equal(await signedIn(page), true)
  })
})

test('without a client there is a page to land on, without script as well', async () => {
  await chrome.as({ javaScriptEnabled: false }, async ({ page }) => {
    await enter(page)
    await page.goto(`${world.gateway.issuer}/logout`)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await leaveUpstream(page)
    assert.equal(await heading(page), 'You are signed out')
    assert.equal(await signedIn(page), false)
    // Once more, with no session: a form that sends itself, or waits for its button.
    await page.goto(`${world.gateway.issuer}/logout`)
    await page.getByRole('button', { name: 'Continue' }).click()
    assert.equal(await heading(page), 'You are signed out')
  })
  await chrome.as({}, async ({ page }) => {
    await page.goto(`${world.gateway.issuer}/logout`)
    await page.getByText('You may still be signed in at your organisation').waitFor()
    await examine(page, 'reached signed out')
  })
})

test('who reads German reads it on every page from the chooser to the end', async () => {
  await chrome.as({ locale: 'de-DE' }, async ({ page }) => {
    const headings: (string | null)[] = []
    const read = async () => {
      assert.equal(await page.evaluate(() => document.documentElement.lang), 'de')
      headings.push(await heading(page))
    }
    await page.goto(request(world, 'horizon').url)
    await read()
    await page.getByRole('link', { name: /Corp AG/ }).click()
    await page.getByRole('button', { name: 'Ada L.' }).click()
    await page.waitForURL(`${world.app.here}/**`)
    await page.goto(`${world.gateway.issuer}/logout`)
    await read()
    await page.getByRole('button', { name: 'Angemeldet bleiben' }).click()
    await read()
    await page.goto(`${world.gateway.issuer}/logout`)
    await page.getByRole('button', { name: 'Abmelden' }).click()
    await leaveUpstream(page)
    await read()
    await page.goto(`${world.gateway.issuer}/nothing-here`)
    await read()
    assert.deepEqual(headings, [
      'Bei Cloud Nord anmelden',
      'Abmelden?',
      'Sie sind weiter angemeldet',
      'Sie sind abgemeldet',
      'Hier gibt es keine Seite',
    ])
  })
})
