import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { freePort, startGateway, type TestGateway } from '../../support/gateway.ts'
import { type SamlIdp, startSamlIdp } from '../../support/saml-server.ts'
import { authorization } from '../../support/sign-in.ts'
import { type Chrome, startChrome } from '../browser/chrome.ts'
import { violations } from '../browser/look.ts'

/*
 * A real browser between two sites: 127.0.0.1 is the gateway, localhost the identity provider. What the small browser of other tests
 * only claims of cookies and policies is what Chromium does here.
 */

let app: Server
let idp: SamlIdp
let gateway: TestGateway
let chrome: Chrome
before(async () => {
  app = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
    response.end(
      '<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,"><h1>The application</h1>',
    )
  })
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
  const callback = `http://127.0.0.1:${(app.address() as AddressInfo).port}/cb`
  const transient = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient'
  idp = await startSamlIdp({ people: [{ name: 'ada' }, { name: 'nobody', said: { nameIdFormat: transient } }] })
  const connector = (id: string, binding: string) =>
    `  - { id: ${id}, type: saml, label: Example University, domain: ${id}, metadata: '${idp.entityId}', requestBinding: ${binding} }`
  gateway = await startGateway({
    port: await freePort(),
    config: `
brand: { name: Cloud Nord }
connectors:
${connector('redirect', 'redirect')}
${connector('post', 'post')}
targets:
  - { id: argo, type: oidc, label: Argo CD, audience: https://argo.example }
clients:
  - { id: app, label: App, native: true, target: argo, redirectUris: ['${callback}'], postLogoutRedirectUris: ['${callback}/bye'], grants: [code] }
rules:
  - { name: all, from: [redirect, post], give: [{ target: argo, group: students }] }
`,
  })
  await idp.trust(`${gateway.issuer}/saml/metadata`)
  chrome = await startChrome()
})
after(async () => {
  await chrome.close()
  await gateway.close()
  await idp.close()
  app.closeAllConnections()
  await new Promise((resolve) => app.close(resolve))
})

const begin = (via: string) => {
  const redirect_uri = `http://127.0.0.1:${(app.address() as AddressInfo).port}/cb`
  return authorization(gateway, 'app', { connector: via, scope: 'openid', redirect_uri }).url.href
}

for (const via of ['redirect', 'post'] as const) {
  test(`Chromium signs in by a request by ${via} and an answer posted from another site, and out again`, async () => {
    await chrome.as({}, async ({ page }) => {
      await page.goto(begin(via))
      await page.waitForURL(`${idp.origin}/**`)
      assert.equal(idp.got.at(-1)?.binding, via)
      await page.getByRole('button', { name: 'ada' }).click()
      await page.getByRole('heading', { name: 'The application' }).waitFor()
      assert.ok(new URL(page.url()).searchParams.has('code'))
      await page.goto(`${gateway.issuer}/logout?client_id=app`)
      assert.deepEqual(await violations(page), [])
      await page.getByRole('button', { name: 'Sign out', exact: true }).click()
      await page.waitForURL(`${gateway.issuer}/**`)
      await page
        .getByText(/signed out/i)
        .first()
        .waitFor()
      assert.deepEqual(await violations(page), [])
      assert.equal(idp.got.at(-1)?.root.name, 'LogoutRequest')
      assert.equal(idp.got.at(-1)?.binding, via)
    })
  })
}

for (const locale of ['en-GB', 'de-DE']) {
  test(`a refusal is told in the language of the browser, with a reference that the log has (${locale})`, async () => {
    await chrome.as({ locale }, async ({ page }) => {
      await page.goto(begin('post'))
      await page.waitForURL(`${idp.origin}/**`)
      await page.getByRole('button', { name: 'nobody' }).click()
      await page.waitForURL(`${gateway.issuer}/**`)
      await page.getByRole('heading', { level: 1 }).waitFor()
      assert.equal(await page.locator('html').getAttribute('lang'), locale.slice(0, 2))
      assert.deepEqual(await violations(page), [])
      const [reference] = /[0-9A-Z]{4}-[0-9A-Z]{4}/.exec((await page.locator('body').textContent()) ?? '') ?? []
      assert.ok(reference)
      assert.ok(gateway.ids.includes(reference), 'the audit log has it')
    })
  })
}
