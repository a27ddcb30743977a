import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits, mergeUserinfo, readClaims, readSubjectId } from '../../src/connectors/claims.ts'

/** Comparable with literals: the maps themselves have no prototype. */
const plain = (value: unknown) => JSON.parse(JSON.stringify(value))
const read = (json: Record<string, unknown>, ignore: readonly string[] = []) => plain(readClaims(json, ignore))

test('scalars become text, null is absence, an empty list is a claim that is there', () => {
  const { claims } = read({ a: 'x', b: true, c: 7, d: null, e: [], f: [1, 'y', null, false] })
  assert.deepEqual(claims, { a: ['x'], b: ['true'], c: ['7'], e: [], f: ['1', 'y', 'false'] })
})

test('nested names become JSON pointers, escaped by RFC 6901', () => {
  const { claims } = read({ realm_access: { roles: ['a'] }, 'x/y~z': { 'p/q': 'v' }, 'https://corp/claim': 'w' })
  assert.deepEqual(claims, { '/realm_access/roles': ['a'], '/x~1y~0z/p~1q': ['v'], 'https://corp/claim': ['w'] })
})

test('arrays of objects stay records, so that what belongs together stays together', () => {
  const { claims, records } = read({
    memberships: [
      { project: 'p', role: 'admin' },
      { project: 'q', role: 'reader' },
    ],
  })
  assert.deepEqual(claims, {})
  assert.deepEqual(records, {
    memberships: [
      { project: 'p', role: 'admin' },
      { project: 'q', role: 'reader' },
    ],
  })
})

test('a list inside a record gives one record for each value', () => {
  const { records } = read({ nested: { list: [{ project: 'p', roles: ['a', 'b'], unit: { name: 'u' } }] } })
  assert.deepEqual(records, {
    '/nested/list': [
      { project: 'p', roles: 'a', '/unit/name': 'u' },
      { project: 'p', roles: 'b', '/unit/name': 'u' },
    ],
  })
})

test('a list of texts and objects gives both', () => {
  assert.deepEqual(read({ mixed: ['a', { b: 1 }] }), { claims: { mixed: ['a'] }, records: { mixed: [{ b: '1' }] } })
})

test("the protocol's own claims are not handed to rules", () => {
  assert.deepEqual(read({ iss: 'i', aud: 'a', exp: 1, nonce: 'n', at_hash: 'h', sub: 's' }).claims, { sub: ['s'] })
})

test('ignored claims are neither read nor measured', () => {
  assert.deepEqual(read({ picture: 'x'.repeat(9999), a: 'b' }, ['picture']).claims, { a: ['b'] })
})

test('a top-level claim cannot pass as a nested one', () => {
  const { claims } = read({ realm_access: { roles: ['user'] }, '/realm_access/roles': ['admin'] })
  assert.deepEqual(claims, { '/realm_access/roles': ['user'] })
})

test('names of object members are names like others, and __proto__ is none', () => {
  const { claims, records } = readClaims(
    JSON.parse('{"__proto__":["x"],"constructor":"c","r":[{"__proto__":{"a":"b"},"k":"v"}]}'),
    [],
  )
  assert.equal(Object.getPrototypeOf(claims), null)
  assert.equal(claims['toString'], undefined)
  assert.deepEqual(plain(claims), { constructor: ['c'] })
  assert.deepEqual(plain(records), { r: [{ k: 'v' }] })
  assert.equal(records['r']![0]!['a'], undefined)
})

test('separators and control characters are kept as they are: each target encodes for its reader', () => {
  assert.deepEqual(read({ groups: ['a;b', 'c,d', 'e\u0000f'] }).claims['groups'], ['a;b', 'c,d', 'e\u0000f'])
})

const tooMuch: Readonly<Record<string, readonly [Record<string, unknown>, string]>> = {
  'too many values': [{ groups: Array(limits.values + 1).fill('g') }, 'groups'],
  'a value too long': [{ note: 'x'.repeat(limits.value + 1) }, 'note'],
  'too much in all': [Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`c${i}`, 'x'.repeat(1000)])), 'c'],
  'too many names': [Object.fromEntries(Array.from({ length: limits.names + 1 }, (_, i) => [`c${i}`, 1])), 'c'],
  'a name too long': [{ ['n'.repeat(limits.name + 1)]: 1 }, 'nnn'],
  'nesting too deep': [{ deep: JSON.parse(`${'{"a":'.repeat(20)}1${'}'.repeat(20)}`) }, '/deep'],
  'records that multiply': [{ r: [{ a: Array(100).fill(1), b: Array(100).fill(1) }] }, 'r'],
  'deep records': [{ r: [JSON.parse(`${'{"a":'.repeat(20)}1${'}'.repeat(20)}`)] }, 'r'],
  'text that is no Unicode': [{ name: '\ud800' }, 'name'],
}

for (const [what, [json, claim]] of Object.entries(tooMuch)) {
  test(`${what}: refused, and the claim is named`, () => {
    assert.throws(
      () => readClaims(json, []),
      (error: Error & { code: string; facts: Record<string, string> }) => {
        assert.equal(error.code, 'claims_unusable')
        return error.facts['claim']!.startsWith(claim)
      },
    )
  })
}

test('nesting far beyond any limit costs no stack', () => {
  const deep = JSON.parse(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`)
  assert.throws(() => readClaims({ deep }, []), { code: 'claims_unusable' })
})

test('exactly as much as allowed is taken', () => {
  const { claims } = read({ groups: Array(limits.values).fill('g'), note: 'x'.repeat(limits.value) })
  assert.equal(claims['groups'].length, limits.values)
})

test("groups that Entra ID left out are an error that says what to change, not nobody's groups", () => {
  const overage = { _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: 'https://graph' } } }
  assert.throws(() => readClaims(overage, []), /groups was left out .* app roles/)
  assert.throws(() => readClaims({ hasgroups: true }, []), { code: 'claims_unusable' })
  assert.deepEqual(read(overage, ['groups']).claims, {})
  assert.deepEqual(read({ ...overage, groups: ['from userinfo'] }).claims, { groups: ['from userinfo'] })
})

test('userinfo adds what the ID token does not say, and nothing of the protocol', () => {
  const merged = mergeUserinfo(
    { sub: 'a', email: 'x' },
    JSON.parse('{"sub":"a","email":"y","groups":["g"],"acr":"high","amr":["x"],"iss":"i"}'),
  )
  assert.deepEqual(merged, { sub: 'a', email: 'x', groups: ['g'] })
})

test('an address and whether it is verified come from one of the two, never half from each', () => {
  const address = (email?: unknown, email_verified?: unknown) => ({
    ...(email !== undefined && { email }),
    ...(email_verified !== undefined && { email_verified }),
  })
  const merged = (idToken: object, userinfo: object) => mergeUserinfo({ ...idToken }, { ...userinfo })
  const own = address('me@evil.example')
  assert.deepEqual(merged(own, address('ada@corp.example', true)), own, 'another address')
  assert.deepEqual(merged(own, address(undefined, true)), own, 'no address at all')
  assert.deepEqual(
    merged(own, address(own.email, true)),
    address(own.email, true),
    'what userinfo says of this address',
  )
  const denied = address('a@corp.example', false)
  assert.deepEqual(merged(denied, address('a@corp.example', true)), denied, 'what is signed wins')
  assert.deepEqual(merged(address(undefined, true), own), own, 'signed, but of no address')
  assert.deepEqual(merged({}, address('a@corp.example', true)), address('a@corp.example', true))
  assert.deepEqual(merged(address('a@corp.example', true), own), address('a@corp.example', true))
})

test('a subject id is one text that no other could be taken for', () => {
  assert.equal(readSubjectId({ sub: 'ada' }, 'sub'), 'ada')
  assert.equal(readSubjectId({ uid: 1001 }, 'uid'), '1001')
  for (const value of [
    undefined,
    null,
    '',
    ['a'],
    {},
    true,
    1.5,
    2 ** 60,
    'x'.repeat(256),
    'a\nb',
    'a\u0000',
    '\ud800',
  ])
    assert.throws(() => readSubjectId({ sub: value }, 'sub'), { code: 'claims_unusable' }, String(value))
  assert.throws(() => readSubjectId({}, 'constructor'), { code: 'claims_unusable' })
})
