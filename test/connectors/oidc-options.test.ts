import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { connectorTypes } from '../../src/connectors/index.ts'

const schema = z.strictObject(connectorTypes.oidc.options)
const least = {
  id: 'corp',
  label: 'Corp',
  issuer: 'https://sso.corp.test',
  clientId: 'lotse',
  clientSecret: { env: 'S' },
}

test('the least that an operator writes is enough, and its defaults are strict', () => {
  const read = schema.parse(least)
  assert.equal(read.auth, 'client_secret_basic')
  assert.equal(read.promptLogin, 'checked')
  assert.equal(read.acrNotMet, 'refuse')
  assert.equal(read.maxProofAge, 43_200)
  assert.deepEqual(connectorTypes.oidc.problems(read), [])
})

const wrong: Readonly<Record<string, Record<string, unknown>>> = {
  'none as an algorithm': { algs: ['none'] },
  'a shared secret as an algorithm': { algs: ['HS256'] },
  'no algorithm at all': { algs: [] },
  'an e-mail address as what identifies a person': { subjectClaim: 'email' },
  'a scope without openid': { scope: 'profile' },
  'an issuer without TLS': { issuer: 'http://sso.corp.test' },
  'a secret written into the file': { clientSecret: 'hunter2' },
  'a proxy that is no URL': { proxy: 'proxy:3128' },
  'a password of a proxy written into the file': { proxy: 'http://lotse:hunter2@proxy.example:3128' },
  'a user of a proxy written into the file': { proxy: 'http://lotse@proxy.example:3128' },
  'an option that does not exist': { responsemode: 'query' },
}

for (const [what, over] of Object.entries(wrong)) {
  test(`${what} is refused`, () => {
    assert.equal(schema.safeParse({ ...least, ...over }).success, false)
  })
}

test('a way to authenticate without its secret or key is told with the option that is missing', () => {
  const paths = (over: object) =>
    connectorTypes.oidc.problems(schema.parse({ ...least, ...over })).map(({ path }) => path[0])
  assert.deepEqual(paths({ clientSecret: undefined }), ['clientSecret'])
  assert.deepEqual(paths({ auth: 'private_key_jwt' }), ['privateKey'])
  assert.deepEqual(paths({ auth: 'none', clientSecret: undefined }), [])
})

test('a proxy with a password is named by a reference, and what stands behind it is looked at', () => {
  const { proxy } = schema.parse({ ...least, proxy: { env: 'PROXY' } })
  assert.notEqual(proxy, undefined)
  const problems = (loaded: string) => connectorTypes.oidc.problems({ auth: 'none', proxy: loaded })
  assert.deepEqual(problems('http://lotse:hunter2@proxy.example:3128'), [])
  assert.deepEqual(
    problems('proxy.example:3128').map(({ path }) => path),
    [['proxy']],
  )
  const { error } = schema.safeParse({ ...least, proxy: 'http://lotse:hunter2@proxy.example:3128' })
  assert.match(error?.issues[0]?.message ?? '', /never written into this file; write \{ env: NAME \}/)
  assert.doesNotMatch(JSON.stringify(error), /hunter2/)
})

test('every example of the guide is a configuration that is taken', () => {
  const guide = readFileSync(new URL('../../docs/guides/oidc-upstreams.md', import.meta.url), 'utf8')
  const examples = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].flatMap(([, text = '']) => parse(text))
  assert.ok(examples.length >= 4)
  const whole = schema.extend({ type: z.literal('oidc') })
  for (const example of examples) assert.deepEqual(connectorTypes.oidc.problems(whole.parse(example)), [], example.id)
})
