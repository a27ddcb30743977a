import assert from 'node:assert/strict'
import { test } from 'node:test'
import { samlProblems } from '../../../src/connectors/saml/options.ts'

const url = 'https://idp.example/metadata'
const certificate = 'PEM'
const paths = (config: Pick<Parameters<typeof samlProblems>[0], 'metadata'> & { readonly entity?: string }) =>
  samlProblems({ entity: undefined, discovery: 'page', ...config }).map(({ path }) => path.join('.'))

test('metadata that only its address vouches for has a connector of its own', () => {
  assert.deepEqual(paths({ metadata: [{ url }] }), [])
  assert.deepEqual(paths({ metadata: [{ url, certificate }, { file: 'partner.xml' }] }), [])
  assert.deepEqual(paths({ metadata: [{ url, certificate }, { url }, { url }] }), ['metadata.1', 'metadata.2'])
  assert.deepEqual(paths({ metadata: [{ mdq: url, certificate }, { url }] }), ['metadata.1'])
  assert.deepEqual(paths({ metadata: [{ url }, { url }], entity: 'https://idp.example' }), [])
})

test('who asks a query server alone names a discovery service, or one entity', () => {
  const metadata = [{ mdq: url, certificate }]
  assert.deepEqual(paths({ metadata }), ['discovery'])
  assert.deepEqual(paths({ metadata, entity: 'https://idp.example' }), [])
  assert.deepEqual(samlProblems({ metadata, entity: undefined, discovery: { url } }), [])
})
