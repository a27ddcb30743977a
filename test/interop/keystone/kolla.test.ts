import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { browser } from '../../support/browser.ts'
import { tokensOf } from '../../support/sign-in.ts'
import { people } from '../../support/standard.ts'
import { secondsUntil } from '../upstreams/world.ts'
import { atEach, kinds } from './both.ts'
import { claimByHeaders, type Forge, forgeries, openForge } from './forge.ts'
import { enter, entrances, exchange, posted, projectsOf, rolesOf, scope, signInAt } from './websso.ts'

/*
 * kolla-ansible's own template, filled with the printed globals, before the newest Keystone: an ID token in a form that the browser posts
 * (implicit), no request from Apache to the gateway but for keys.
 */
atEach(
  { people, flavour: 'kolla' },
  (world) => {
    let forge: Forge
    before(async () => {
      forge = await openForge(world())
    })

    for (const [name, path] of Object.entries(entrances))
      test(`a person signs in by the ${name} address, and has exactly what the rules give`, async () => {
        const who = browser()
        const asked = await enter(world(), who, { path })
        const form = await who.submit(asked, asked.form('ada'))
        assert.ok('id_token' in form.form().fields, 'the ID token comes in a form')
        assert.ok(!form.visited.some(({ href }) => href.includes('id_token=ey')), 'and in no address')
        const { token } = posted(await who.submit(form, form.form()))
        assert.deepEqual(await projectsOf(world(), token), ['web'])
        const scoped = await scope(world(), token, { name: 'web', domain: 'corp' })
        assert.deepEqual(rolesOf(scoped), ['member', 'reader'])
      })

    test('an access token of the command line is taken, and is the same person', async () => {
      const byBrowser = await signInAt(world(), browser(), 'bob')
      const { access_token } = await tokensOf(world().gateway, 'openstack', 'bob')
      const told = await exchange(world(), access_token)
      assert.equal(told.status, 201, JSON.stringify(told.body))
      const scoped = await scope(world(), byBrowser, { name: 'db', domain: 'corp' })
      assert.equal(told.body.token.user.id, scoped.body.token.user.id)
    })

    test('no other token opens anything, whichever key signed it', async () => {
      const taken: string[] = []
      for (const [name, token] of Object.entries(await forgeries(world(), forge, 'ada'))) {
        const { status, token: got } = await exchange(world(), token)
        if (status === 201 || got !== '') taken.push(`${status} ${name}`)
      }
      assert.deepEqual(taken, [])
    })

    test('headers that say who somebody is gain nothing', async () => {
      const { access_token } = await tokensOf(world().gateway, 'openstack', 'bob')
      const answers = [
        ...(await claimByHeaders(world(), 'ada')),
        ...(await claimByHeaders(world(), 'ada', access_token)),
      ]
      const gained = answers.filter(
        ({ status, text }) =>
          /name="token"/.test(text) || (status === 201 && JSON.parse(text).token.user.name !== 'corp:bob'),
      )
      assert.deepEqual(
        gained.map(({ what }) => what),
        [],
      )
    })

    test('a sign-out at the gateway ends the session of Apache', async () => {
      const who = browser()
      await signInAt(world(), who, 'ada')
      assert.ok(posted(await enter(world(), who)).token, 'Apache answers from its own session')
      const { issuer } = world().gateway
      const asked = await who.get(`${issuer}/logout`)
      await who.submit(asked, asked.form(), { logout: 'yes' })
      const look = async () => (await enter(world(), who)).visited.map(({ origin }) => origin)
      await secondsUntil(Date.now(), 10, look, (origins) => origins.includes(issuer))
    })
  },
  kinds.filter(({ name }) => name === 'newest'),
)
