import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startKeystoneStandIn } from '../../support/keystone-stand-in.ts'
import { type ApiServer, apiAnswers } from './api-contract.ts'
import { atEach } from './both.ts'
import { ADMIN_PASSWORD } from './install.ts'

atEach({ people: [] }, (world) => {
  test('the Keystone in memory answers as this one does, request by request', async (t) => {
    const registered = { identityProvider: 'lotse', protocol: 'openid' }
    const real: ApiServer = { url: `${world().keystone.url}/v3`, password: ADMIN_PASSWORD, ...registered }
    const standIn = await startKeystoneStandIn()
    t.after(() => standIn.close())
    const mine = await apiAnswers({ url: standIn.url, password: standIn.admin.password, ...registered })
    const theirs = await apiAnswers(real)
    for (const [index, exchange] of theirs.entries()) assert.deepEqual(mine[index], exchange)
    assert.equal(mine.length, theirs.length)
    t.diagnostic(`${theirs.length} requests`)
  })
})
