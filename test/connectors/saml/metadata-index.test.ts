import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { indexOf } from '../../../src/connectors/saml/metadata/index-of.ts'
import type { Block } from '../../../src/connectors/saml/metadata/parse.ts'
import { listed } from '../../../src/connectors/saml/metadata/search.ts'
import { idpRecord } from '../../support/saml-idp.ts'
import { keys } from './world.ts'

function block(...entityIds: readonly string[]): Block {
  const idps = entityIds.map((entityId) => idpRecord(entityId, [keys]))
  const text = idps.map((idp) => `${JSON.stringify(listed(idp))}\t${JSON.stringify(idp)}\n`).join('')
  return { digest: hash('sha256', text, 'base64url'), bytes: new TextEncoder().encode(text) }
}

const [one, two, three] = ['https://one.example/saml', 'https://two.example/saml', 'https://three.example/saml']

test('a block that stayed is not read again, and what was changed beside it is found', async () => {
  const stays = block(one)
  const before = await indexOf([stays, block(two)])
  const after = await indexOf([block(three), stays])
  assert.deepEqual([before.size, after.size], [2, 2])
  assert.deepEqual([before.first()?.entityId, after.first()?.entityId], [one, three])
  assert.equal(after.get(two), undefined)
  assert.equal(after.get(one)?.entityId, one)
  const entry = (of: typeof before) => of.listed.find(({ id }) => id === one)
  assert.ok(entry(before))
  assert.equal(entry(after), entry(before))
})
