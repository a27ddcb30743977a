import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type BusyIdp, startBusyIdp } from '../../support/busy-idp.ts'
import { anybody, crowdedPlace, enter, post } from '../../support/crowd.ts'
import { type Pair, startPair } from '../../support/pair.ts'
import { rounds } from '../../support/rounds.ts'
import type { Place } from '../../support/serving.ts'
import { authorization, CALLBACK, toldAt } from '../../support/sign-in.ts'
import { onceOnly } from './servers.ts'
import { startTopology, type Topology, topologies } from './topologies.ts'

/* The same thing used twenty times at once, at two gateways in turn: one of them gives, whichever it is. */

const ROUNDS = rounds(3, 50)
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code'

for (const name of topologies) {
  describe(`two gateways on ${name}`, onceOnly, () => {
    let topology: Topology
    let idp: BusyIdp
    let at: Place
    let pair: Pair
    before(async () => {
      topology = await startTopology(name)
      idp = await startBusyIdp('lotse')
      at = await crowdedPlace({ upstreams: { up: { idp, more: 'recheckAfter: 1h' } }, clients: { portal: '' } })
      await at.change(
        'clients:\n',
        'clients:\n  - { id: tv, native: true, target: argo, grants: [device], neverSlowDown: true }\n',
      )
      const { place } = topology
      const servers = place.servers.map(({ host, port }) => `${host}:${port}`)
      const { primary, replicas } = place
      pair = await startPair(at, JSON.stringify({ kind: 'redis', topology: name, servers, primary, replicas }))
    })
    after(async () => {
      await pair.close()
      await topology.close()
      await at.remove()
      await idp.close()
    })

    const twenty = (fields: Record<string, string>) => Promise.all(Array.from({ length: 20 }, () => post(at, fields)))
    const said = ({ status, body }: Awaited<ReturnType<typeof post>>) => `${status} ${body['error'] ?? 'tokens'}`
    /** Who hears 503, since a busy machine was too slow, is no winner, and says nothing about the others. */
    const answered = (all: Awaited<ReturnType<typeof twenty>>) => all.filter(({ status }) => status !== 503)
    const oneOf = (all: Awaited<ReturnType<typeof twenty>>) => {
      const told = answered(all).map(said).sort()
      const winners = told.filter((each) => each === '200 tokens').length
      assert.ok(winners === 1 || (winners === 0 && told.length < all.length), `${all.map(said)}`)
      for (const each of told.slice(winners)) assert.equal(each, '400 invalid_grant')
    }

    /** Signs in at one gateway and the other; the code is not redeemed. */
    async function codeOf() {
      const who = anybody(at)
      const request = authorization(at, 'portal', { scope: 'openid', connector: 'up' })
      const away = (await who.get(request.url)).headers.get('location') ?? ''
      const code = toldAt(await who.get(idp.answer(new URL(away), 'ada'))).get('code') ?? ''
      return { code, redirect_uri: CALLBACK, client_id: 'portal', code_verifier: request.verifier }
    }

    test(`one code gives tokens once, ${ROUNDS} times`, async () => {
      for (let round = 0; round < ROUNDS; round++)
        oneOf(await twenty({ grant_type: 'authorization_code', ...(await codeOf()) }))
    })

    test(`one refresh token has one successor, ${ROUNDS} times`, async () => {
      let { token } = await enter(at, { client: 'portal', connector: 'up', sub: 'ada', idp })
      for (let round = 0; round < ROUNDS; round++) {
        const all = await twenty({ grant_type: 'refresh_token', client_id: 'portal', refresh_token: token })
        const told = answered(all)
        assert.deepEqual([...new Set(told.map(said))], told.length > 0 ? ['200 tokens'] : [])
        const successors = new Set(told.map(({ body }) => String(body['refresh_token'])))
        assert.ok(successors.size === 1 || told.length === 0)
        assert.equal(successors.has(token), false)
        token = [...successors][0] ?? token
      }
    })

    test(`one device code gives tokens once, ${ROUNDS} times`, async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const asked = { client_id: 'tv', scope: 'openid' }
        const begun = await fetch(`${at.issuer}/device/auth`, { method: 'POST', body: new URLSearchParams(asked) })
        const device = (await begun.json()) as Record<string, string>
        if (begun.status === 503) continue
        const who = anybody(at)
        const entry = await who.get(device['verification_uri_complete'] ?? '')
        const confirm = await who.submit(entry, entry.form())
        let page = await who.submit(confirm, confirm.form(), { confirm: 'yes' })
        if (!page.headers.get('location')) page = await who.get(new URL('?connector=up', page.location))
        page = await who.get(idp.answer(new URL(page.headers.get('location') ?? ''), 'ada'))
        oneOf(await twenty({ grant_type: DEVICE, client_id: 'tv', device_code: device['device_code'] ?? '' }))
      }
    })
  })
}
