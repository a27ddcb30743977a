import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { selfSigned } from '../support/certificate.ts'
import { freePort, startGateway, type TestGateway } from '../support/gateway.ts'
import { type Operator, operator } from '../support/lotse.ts'
import { type Idp, startIdp } from '../support/oidc-idp.ts'
import { tokensOf } from '../support/sign-in.ts'
import { people, standardConfig, standardEnv } from '../support/standard.ts'

// A kube-apiserver takes no issuer on plain http, and so nothing is printed for one.
const tls = selfSigned()
setDefaultCACertificates([...getCACertificates('default'), tls.cert])

const rules = `  - name: namespaces
    from: [corp]
    each: { claim: groups, pattern: '/teams/<team>/<rank>' }
    give: [{ target: prod, namespace: 'team-<team>', roles: [edit] }]
`

let idp: Idp
let gateway: TestGateway
let commands: Operator
before(async () => {
  const port = await freePort()
  const redirectUris = [`https://127.0.0.1:${port}/callback/corp`]
  idp = await startIdp({ people, clients: [{ id: 'lotse', secret: standardEnv.CORP_SECRET, redirectUris }] })
  const config = standardConfig(idp.issuer, rules)
  gateway = await startGateway({ config, env: standardEnv, port, tls })
  commands = await operator(gateway, config)
})
after(async () => {
  await gateway.close()
  await idp.close()
})

const namespaces = (out: readonly string[]) => [
  ...new Set(out.flatMap((line) => /^# rbac\/namespace-(.*)\.yaml$/.exec(line)?.[1] ?? [])),
]

test('bindings are printed for the namespaces of everybody who is signed in, and of nobody else', async () => {
  assert.deepEqual(namespaces((await commands.lotse('print prod --seen')).out), [])
  await tokensOf(gateway, 'kubectl', 'ada')
  assert.deepEqual(namespaces((await commands.lotse('print prod --seen')).out), ['team-web'])
  await tokensOf(gateway, 'kubectl', 'bob')
  const both = await commands.lotse('print prod --seen --namespaces team-x')
  assert.equal(both.code, 0)
  assert.deepEqual(namespaces(both.out), ['team-db', 'team-web', 'team-x'])
  assert.deepEqual(both.err, [])
})
