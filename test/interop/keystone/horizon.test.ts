import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { browser } from '../../support/browser.ts'
import { freePort } from '../../support/gateway.ts'
import { people } from '../../support/standard.ts'
import type { Server } from '../upstreams/server.ts'
import { atEach, kinds } from './both.ts'
import { startHorizon } from './horizon.ts'

const port = await freePort()
const dashboard = `http://127.0.0.1:${port}`

atEach(
  { people, dashboards: [`${dashboard}/auth/websso/`] },
  (world) => {
    let horizon: Server
    before(async () => {
      horizon = await startHorizon(world(), port)
    })
    after(() => horizon?.stop())

    test('a person chooses single sign-on at the real Horizon, and is in with her project', async () => {
      const who = browser()
      const login = await who.get(`${dashboard}/auth/login/`)
      const form = login.forms.find(({ fields }) => 'csrfmiddlewaretoken' in fields)
      assert.ok(form, login.text.slice(0, 500))
      assert.ok(login.text.includes('lotse_openid'))
      const asked = await who.submit(login, form, { auth_type: 'lotse_openid', region: 'default' })
      const back = await who.submit(asked, asked.form('ada'))
      const inside = await who.submit(back, back.form('sso'))
      assert.equal(inside.location.origin, dashboard, inside.text.slice(0, 500))
      const home = await who.get(`${dashboard}/identity/`)
      assert.equal(home.status, 200, home.text.slice(0, 1000))
      assert.match(home.text, /corp:ada/)
      assert.match(home.text, /\bweb\b/)
    })

    test('a person to whom the rules give nothing does not get in', async () => {
      const who = browser()
      const login = await who.get(`${dashboard}/auth/login/`)
      const form = login.forms.find(({ fields }) => 'csrfmiddlewaretoken' in fields)
      assert.ok(form)
      const asked = await who.submit(login, form, { auth_type: 'lotse_openid', region: 'default' })
      const refused = await who.submit(asked, asked.form('carol'))
      assert.ok(!refused.forms.some(({ name }) => name === 'sso'))
      const home = await who.get(`${dashboard}/identity/`)
      assert.ok(home.visited.some(({ pathname }) => pathname === '/auth/login/'))
    })
  },
  kinds.filter(({ name }) => name === 'newest'),
)
