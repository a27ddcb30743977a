import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { claimsIn } from '../../support/gateway.ts'
import { tokensOf } from '../../support/sign-in.ts'
import { people } from '../../support/standard.ts'
import { atEach } from './both.ts'
import { claimByHeaders, type Forge, forgeries, openForge } from './forge.ts'
import { exchange } from './websso.ts'
import type { Flavour } from './world.ts'

const flavours: readonly Flavour[] = ['apache', 'introspection', 'mod_oauth2']

atEach({ people }, (world) => {
  let forge: Forge
  before(async () => {
    forge = await openForge(world())
  })

  for (const flavour of flavours)
    describe(`as lotse print --flavour ${flavour} has it`, () => {
      before(async () => {
        if (flavour !== 'apache') await world().dress(flavour)
      })

      test('the access token of the command line is taken', async () => {
        const { access_token } = await tokensOf(world().gateway, 'openstack', 'ada')
        assert.equal((await exchange(world(), access_token)).status, 201)
      })

      test('what this ring signed for this Keystone passes by its keys, and where the gateway is asked only if it was issued', async () => {
        const { access_token } = await tokensOf(world().gateway, 'openstack', 'ada')
        const { grant_id: _, jti: __, ...claims } = claimsIn(access_token)
        const told = await exchange(world(), forge.own('at+jwt', claims))
        assert.equal(told.status, flavour === 'introspection' ? 401 : 201)
      })

      test('no other token opens anything, whichever key signed it', async () => {
        const taken: string[] = []
        const tokens = Object.entries(await forgeries(world(), forge, 'ada'))
        for (const [name, token] of tokens) {
          const { status, token: got } = await exchange(world(), token)
          if (status < 400 || got !== '') taken.push(`${status} ${name}`)
        }
        assert.deepEqual(taken, [])
        assert.ok(tokens.length >= 18)
      })

      test('headers that say who somebody is gain nothing, in no spelling, on no path', async () => {
        const answers = await claimByHeaders(world(), 'ada')
        const gained = answers.filter(
          ({ status, text, token }) => status === 201 || token !== '' || /name="token"/.test(text),
        )
        assert.deepEqual(
          gained.map(({ what }) => what),
          [],
        )
        assert.ok(answers.length >= 40)
      })

      test('nor do they make somebody who has a token of her own into somebody else', async () => {
        const { access_token } = await tokensOf(world().gateway, 'openstack', 'bob')
        const answers = await claimByHeaders(world(), 'ada', access_token)
        const others = answers.filter(
          ({ status, text }) => status === 201 && JSON.parse(text).token.user.name !== 'corp:bob',
        )
        assert.deepEqual(
          others.map(({ what }) => what),
          [],
        )
      })

      if (flavour === 'introspection')
        test('a token that was taken back is refused at once', async () => {
          const { access_token: token } = await tokensOf(world().gateway, 'openstack', 'ada')
          assert.equal((await exchange(world(), token)).status, 201)
          const form = { token, client_id: 'openstack' }
          assert.equal((await world().gateway.post('/token/revocation', form)).status, 200)
          assert.equal((await exchange(world(), token)).status, 401)
        })
    })

  describe("as Keystone's own documentation has it, by HTTP_OIDC_ISS", () => {
    before(async () => {
      const { keystone, printed, cloud } = world()
      const part = join(printed, 'keystone/keystone.conf.part')
      const copied = join(printed, 'documented.conf')
      await writeFile(
        copied,
        (await readFile(part, 'utf8')).replaceAll('OIDC-iss', 'HTTP_OIDC_ISS').replace('assertion_prefix', '#'),
      )
      const { rules, schema_version } = (await cloud.api('GET', '/OS-FEDERATION/mappings/lotse')).body.mapping
      const documented = JSON.stringify(rules).replace(
        /OIDC-\w+/g,
        (name) => `HTTP_${name.replace('-', '_').toUpperCase()}`,
      )
      const told = await cloud.api('PATCH', '/OS-FEDERATION/mappings/lotse', {
        mapping: { rules: JSON.parse(documented), ...(schema_version && { schema_version }) },
      })
      assert.equal(told.status, 200, JSON.stringify(told.body))
      await keystone.restart({ apache: [], keystone: copied })
    })

    // Why the printed files have other names, and that the requests above would find the hole.
    test('the same headers make anybody into anybody', async () => {
      const answers = await claimByHeaders(world(), 'ada')
      const made = answers.filter(({ status }) => status === 201)
      assert.ok(made.length > 0)
      assert.equal(JSON.parse(made[0]?.text ?? '').token.user.name, 'corp:ada')
    })
  })
})
