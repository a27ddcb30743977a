import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, CALLBACK, person, pickPerson } from '../support/sign-in.ts'
import { standard } from '../support/standard.ts'

let idp: Idp
let gateway: TestGateway
before(async () => {
  ;({ idp, gateway } = await standard())
})
after(async () => {
  await gateway.close()
  await idp.close()
})

test('an answer by form_post leaves on a page of our own, with every field as it was', async () => {
  const who = person({ 'accept-language': 'de' })
  const state = `"<'&amp;>&#39; ö`
  const { url } = authorization(gateway, 'horizon', { response_mode: 'form_post', state })
  const page = await pickPerson(who, await who.get(url), 'ada')
  assert.match(page.text, /<html lang="de">[\s\S]*<h1>Weiter zu Dashboard<\/h1>/)
  const form = page.form()
  assert.equal(form.action.href, CALLBACK)
  assert.deepEqual(Object.keys(form.fields).sort(), ['code', 'iss', 'state'])
  assert.equal(form.fields['state'], state)
  const policy = page.headers.get('content-security-policy') ?? ''
  assert.match(policy, /form-action http:\/\/127\.0\.0\.1:1 /)
  assert.match(policy, /script-src 'sha256-[^']+';/)
})

test('an error by form_post does, too, and keeps its status', async () => {
  const who = person()
  const { url } = authorization(gateway, 'horizon', { response_mode: 'form_post', prompt: 'none' })
  const page = await who.get(url)
  assert.equal(page.status, 400)
  assert.match(page.text, /<h1>On to Dashboard<\/h1>/)
  assert.equal(page.form().fields['error'], 'login_required')
})

test('a logout without a session asks nothing and looks like everything else', async () => {
  const who = person()
  const page = await who.get(`${gateway.issuer}/logout`)
  assert.match(page.text, /<h1>On to Cloud Nord<\/h1>/)
  const end = await who.submit(page, page.form())
  assert.match(end.text, /<h1>You are signed out<\/h1>/)
})
