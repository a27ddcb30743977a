import assert from 'node:assert/strict'
import { test } from 'node:test'
import { corpus } from '../../support/corpora.ts'
import { type Agreement, agree, type Interpreter, releaseOf } from './agreement.ts'
import { corpusPairs, pairs, printedPairs } from './agreement-world.ts'

/** JSON: `[{ "name": "Debian's", "python": "/usr/bin/python3", "version": "22.0.2" }, …]`. */
const interpreters = JSON.parse(process.env['LOTSE_KEYSTONES'] ?? '[]') as readonly Interpreter[]
const skip = interpreters.length === 0 ? 'LOTSE_KEYSTONES names no Python with a Keystone' : false

function inWords({ version, compared, mapped, errors, notCovered, notAllowed, disagreements }: Agreement): string {
  const kinds = Object.entries(errors).map(([kind, count]) => `${count} ${kind}`)
  return `Keystone ${version}: ${compared} pairs compared, ${disagreements.length} disagreements; Keystone mapped ${mapped}, \
refused ${kinds.join(', ')}; the simulator does not know ${notCovered}; ${notAllowed} mappings are none for Keystone's schema`
}

for (const interpreter of interpreters) {
  test(`the simulator says what the mapping engine of ${interpreter.name} says, for 4,000 mappings and environments`, async (t) => {
    const agreement = await agree(interpreter, pairs(4000, 20_261, releaseOf(interpreter)))
    t.diagnostic(inWords(agreement))
    assert.deepEqual(agreement.disagreements.slice(0, 3), [])
    assert.ok(agreement.compared >= 2000 && agreement.notCovered < agreement.compared / 20)
    assert.ok(agreement.mapped >= 500, 'errors alone prove little')
  })

  test(`and for the mappings that lotse print writes, on ${interpreter.name}`, async (t) => {
    const agreement = await agree(interpreter, printedPairs(1000, 5, releaseOf(interpreter)))
    t.diagnostic(inWords(agreement))
    assert.deepEqual(agreement.disagreements.slice(0, 3), [])
    assert.deepEqual([agreement.notCovered, agreement.notAllowed], [0, 0])
    assert.ok(agreement.mapped >= 500)
  })

  const scs = corpus('gaiax/scs')
  test(`and for the mappings of SCS and OSISM, on ${interpreter.name}`, { skip: scs.skip }, async (t) => {
    const agreement = await agree(interpreter, await corpusPairs(scs.path, 200, 7))
    t.diagnostic(inWords(agreement))
    assert.deepEqual(agreement.disagreements.slice(0, 3), [])
    assert.ok(agreement.mapped >= 100)
  })
}

test('an interpreter with a Keystone is there', { skip }, () => {
  assert.ok(interpreters.length > 0)
})
