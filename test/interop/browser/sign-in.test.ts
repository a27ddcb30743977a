import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { claimsIn } from '../../support/gateway.ts'
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

const atApp = (page: Page) => page.waitForURL(`${world.app.here}/**`)
const heading = (page: Page) => page.getByRole('heading', { level: 1 }).textContent()

test('a person chooses her organisation, signs in there by mouse, and the client gets her tokens', async () => {
  await chrome.as({}, async ({ page }) => {
    const { url, verifier, state } = request(world, 'kubectl')
    await page.goto(url)
    assert.equal(await heading(page), 'Sign in to Cloud Nord')
    await examine(page, 'reached chooser')
    await page.getByRole('link', { name: /Corp AG/ }).click()
    await page.getByRole('button', { name: 'Ada L.' }).click()
    await atApp(page)
    assert.equal(world.app.told.at(-1)?.fields.get('state'), state)
    const { status, body } = await redeem(world, 'kubectl', verifier)
    assert.equal(status, 200)
    assert.deepEqual(claimsIn(body['id_token'] ?? '')['groups'], ['x-web'])
  })
})

test('the same walk goes by keyboard alone, and every stop is visible', async () => {
  await chrome.as({}, async ({ page }) => {
    const { url, verifier } = request(world, 'kubectl')
    await page.goto(url)
    const focused = () =>
      page.evaluate(() => {
        const on = document.activeElement as HTMLElement
        const { outlineStyle, outlineWidth } = getComputedStyle(on)
        return { text: on.textContent, outline: `${outlineStyle} ${outlineWidth}` }
      })
    const seen: string[] = []
    for (let stop = 0; stop < 12 && !seen.at(-1)?.includes('Corp AG'); stop += 1) {
      await page.keyboard.press('Tab')
      const { text, outline } = await focused()
      assert.equal(outline, 'solid 3px', text)
      seen.push(text)
    }
    // Nothing stands between a person and the choice.
    assert.match(seen[0] ?? '', /Corp AG|Example University/)
    await page.keyboard.press('Enter')
    await page.waitForURL(`${world.corp.issuer}/**`)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await atApp(page)
    assert.equal((await redeem(world, 'kubectl', verifier)).status, 200)
  })
})

test('an organisation that is not listed is found by an e-mail address, a wrong one is told so', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(request(world, 'kubectl').url)
    assert.equal(await page.getByText('Quiet GmbH').count(), 0)
    const field = page.getByLabel('Your e-mail domain or the name of your organisation')
    await field.fill('somebody@nowhere.example')
    await page.getByRole('button', { name: 'Find' }).click()
    await page.getByRole('alert').waitFor()
    await examine(page, 'reached chooser, not found')
    await field.fill('me@quiet.example')
    await field.press('Enter')
    await page.getByRole('button', { name: 'Ada L.' }).click()
    await atApp(page)
  })
})

test('an answer that another site posts finds its sign-in again although Lax cookies stay behind', async () => {
  await chrome.as({}, async ({ page, context }) => {
    const { url, verifier } = request(world, 'kubectl')
    const posts: string[] = []
    context.on('request', async (sent) => {
      if (!sent.url().includes('/callback/campus')) return
      const { cookie = '' } = await sent.allHeaders()
      posts.push(`${sent.method()} ${cookie.includes('lotse-browser-') ? 'with' : 'without'}`)
    })
    await page.goto(url)
    await page.getByRole('link', { name: /Example University/ }).click()
    assert.equal(new URL(page.url()).hostname, 'localhost')
    await page.getByRole('button', { name: 'Ada L.' }).click()
    await atApp(page)
    assert.deepEqual(posts, ['POST without', 'GET with'])
    assert.equal((await redeem(world, 'kubectl', verifier)).status, 200)
  })
})

test('two tabs sign in at once, one as another person, and each client request gets its own answer', async () => {
  await chrome.as({}, async ({ page: one, context }) => {
    const two = await context.newPage()
    const [first, second] = [request(world, 'kubectl'), request(world, 'kubectl')]
    await one.goto(first.url)
    await two.goto(second.url)
    await one.getByRole('link', { name: /Corp AG/ }).click()
    await two.getByRole('link', { name: /Example University/ }).click()
    await two.getByRole('button', { name: 'bob' }).click()
    await atApp(two)
    assert.equal(world.app.told.at(-1)?.fields.get('state'), second.state)
    const bob = await redeem(world, 'kubectl', second.verifier)
    await one.getByRole('button', { name: 'Ada L.' }).click()
    await atApp(one)
    assert.equal(world.app.told.at(-1)?.fields.get('state'), first.state)
    const ada = await redeem(world, 'kubectl', first.verifier)
    assert.deepEqual(claimsIn(bob.body['id_token'] ?? '')['groups'], ['x-db'])
    assert.deepEqual(claimsIn(ada.body['id_token'] ?? '')['groups'], ['x-web'])
  })
})

test('a site that sends a window to the gateway over and over ends no sign-in of the last sixteen, and locks nobody out', async () => {
  await chrome.as({}, async ({ page, context }) => {
    for (let n = 0; n < 30; n += 1) await page.goto(request(world, 'kubectl', { connector: 'campus' }).url)
    const kept = (await context.cookies()).filter(({ name }) => name.startsWith('lotse-browser-'))
    assert.equal(kept.length, 16)
    const mine = request(world, 'kubectl', { connector: 'corp' })
    await page.goto(mine.url)
    const other = await context.newPage()
    for (let n = 0; n < 15; n += 1) await other.goto(request(world, 'kubectl', { connector: 'campus' }).url)
    await page.getByRole('button', { name: 'Ada L.' }).click()
    await atApp(page)
    assert.equal(world.app.told.at(-1)?.fields.get('state'), mine.state)
    assert.equal((await redeem(world, 'kubectl', mine.verifier)).status, 200)
  })
})

test('single sign-on shows no page at all', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(request(world, 'kubectl', { connector: 'corp' }).url)
    await page.getByRole('button', { name: 'Ada L.' }).click()
    await atApp(page)
    const next = request(world, 'horizon')
    await page.goto(next.url)
    assert.ok(page.url().startsWith(world.app.here))
    assert.equal(world.app.told.at(-1)?.fields.get('state'), next.state)
  })
})

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'by itself' : 'by a button where there is no script'
  const press = async (page: Page) => {
    if (!javaScriptEnabled) await page.getByRole('button', { name: 'Continue' }).click()
  }

  test(`a client that asks for form_post gets its code ${how}`, async () => {
    await chrome.as({ javaScriptEnabled }, async ({ page }) => {
      const { url, verifier } = request(world, 'horizon', { response_mode: 'form_post' })
      await page.goto(url)
      await page.getByRole('link', { name: /Example University/ }).click()
      await page.getByRole('button', { name: 'Ada L.' }).click()
      // The upstream's own form first, then ours.
      if (!javaScriptEnabled) await page.getByRole('button', { name: 'Continue' }).click()
      await page.waitForURL(
        (at) =>
          at.href.startsWith(world.app.here) || (!javaScriptEnabled && at.port === new URL(world.gateway.issuer).port),
      )
      if (!javaScriptEnabled) assert.equal(await heading(page), 'On to Dashboard')
      await press(page)
      await atApp(page)
      assert.equal(world.app.told.at(-1)?.method, 'POST')
      assert.equal((await redeem(world, 'horizon', verifier)).status, 200)
    })
  })

  test(`an implicit ID token reaches a client on another site ${how}`, async () => {
    await chrome.as({ javaScriptEnabled }, async ({ page }) => {
      const implicit = { response_type: 'id_token', response_mode: 'form_post', redirect_uri: `${world.app.there}/cb` }
      await page.goto(
        request(world, 'horizon', { ...implicit, code_challenge: '', code_challenge_method: '', connector: 'corp' })
          .url,
      )
      await page.getByRole('button', { name: 'Ada L.' }).click()
      await press(page)
      await page.waitForURL(`${world.app.there}/**`)
      const token = world.app.told.at(-1)?.fields.get('id_token') ?? ''
      assert.equal(claimsIn(token)['aud'], 'horizon')
    })
  })
}

test('an error goes to a client by form_post, too', async () => {
  await chrome.as({}, async ({ page }) => {
    await page.goto(request(world, 'horizon', { response_mode: 'form_post', connector: 'corp' }).url)
    await page.getByRole('button', { name: 'Decline' }).click()
    await atApp(page)
    assert.equal(world.app.told.at(-1)?.method, 'POST')
    assert.equal(world.app.told.at(-1)?.fields.get('error'), 'access_denied')
  })
})

test('a person reads every page in her language, and her choice is remembered', async () => {
  await chrome.as({ locale: 'de-DE' }, async ({ page }) => {
    const language = () => page.evaluate(() => document.documentElement.lang)
    await page.goto(request(world, 'kubectl').url)
    assert.equal(await language(), 'de')
    await page.getByRole('link', { name: 'English' }).click()
    assert.equal(await language(), 'en')
    assert.equal(await heading(page), 'Sign in to Cloud Nord')
    await page.goto(`${world.gateway.issuer}/device`)
    assert.equal(await language(), 'en')
    await page.getByRole('link', { name: 'Deutsch' }).click()
    assert.equal(await language(), 'de')
  })
})

test('cookies are HttpOnly, Lax and no wider than they must be', async () => {
  await chrome.as({}, async ({ page, context }) => {
    await page.goto(request(world, 'kubectl').url)
    const uid = new URL(page.url()).pathname.split('/')[2]
    await page.getByRole('link', { name: /Corp AG/ }).click()
    const flagsOf = async () =>
      (await context.cookies())
        .filter(({ name }) => name.startsWith('lotse-'))
        .map(({ name, path, httpOnly, sameSite, secure, domain }) => ({
          name: name.replace(/(?<=^lotse-browser-).*/, 'ONCE'),
          path,
          httpOnly,
          sameSite,
          secure,
          domain,
        }))
        .sort((a, b) => a.name.localeCompare(b.name) || a.path.localeCompare(b.path))
    const flags = { httpOnly: true, sameSite: 'Lax' as const, secure: false, domain: '127.0.0.1' }
    assert.deepEqual(await flagsOf(), [
      { name: 'lotse-browser-ONCE', path: '/', ...flags },
      { name: 'lotse-interaction', path: `/login/${uid}`, ...flags },
      { name: 'lotse-interaction.sig', path: `/login/${uid}`, ...flags },
      { name: 'lotse-resume', path: `/auth/${uid}`, ...flags },
      { name: 'lotse-resume.sig', path: `/auth/${uid}`, ...flags },
    ])
    await page.getByRole('button', { name: 'Ada L.' }).click()
    await atApp(page)
    assert.deepEqual(
      (await flagsOf()).filter(({ name }) => name.startsWith('lotse-session')),
      ['lotse-session', 'lotse-session.sig'].map((name) => ({ name, path: '/', ...flags })),
    )
  })
})
