import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { readXml, textIn, within } from '../../../src/connectors/saml/xml.ts'
import { browser } from '../../support/browser.ts'
import { claimsIn } from '../../support/gateway.ts'
import { logoutXml, signedQuery } from '../../support/saml-logout.ts'
import { type Got, type SamlIdp, startSamlIdp } from '../../support/saml-server.ts'
import { basic, redeem, toldAt } from '../../support/sign-in.ts'
import { enter, env, knock, signOut, startWorld, throughForms, type World } from './world.ts'

const SCHEMAS = '/usr/share/simplesamlphp/schemas'
const URIS: Readonly<Record<string, string>> = { metadata: 'metadata', protocol: 'protocol' }

let work: string
let idp: SamlIdp
let world: World
let metadata: string
before(async () => {
  work = await mkdtemp(join(tmpdir(), 'lotse-independent-'))
  const attributes = { 'urn:oid:1.3.6.1.4.1.5923.1.1.1.7': ['urn:mace:example:cloud'] }
  idp = await startSamlIdp({ people: [{ name: 'ada', said: { attributes } }] })
  world = await startWorld(
    {
      name: 'messages',
      metadata: idp.entityId,
      trust: async (address) => {
        await idp.trust(address)
        metadata = await (await fetch(address)).text()
      },
      roll: async () => idp.roll(),
      signIn: (who, page, name) => who.submit(page, page.form(name)),
      signOut: async () => browser().get(idp.origin),
      asksWho: () => true,
      stop: () => idp.close(),
    },
    'optional',
  )
  const [certificate = ''] = [...within(readXml(metadata))].filter(({ name }) => name === 'X509Certificate').map(textIn)
  const pem = `-----BEGIN CERTIFICATE-----\n${certificate.match(/.{1,64}/g)?.join('\n')}\n-----END CERTIFICATE-----\n`
  await writeFile(join(work, 'gateway.pem'), pem)
  await writeFile(join(work, 'idp.key'), idp.keys.key)
  await writeFile(join(work, 'idp.pem'), idp.keys.cert)
  for (const via of ['redirect', 'post'] as const) {
    await knock(world, via)
    await signOut(world, await enter(world, via, 'ada'))
    await signedOutThere(via)
  }
})
after(async () => {
  await world.close()
  await idp.close()
  await rm(work, { recursive: true })
})

/** The identity provider ends a session, and gets the gateway's answer. */
async function signedOutThere(via: 'redirect' | 'post'): Promise<void> {
  const destination = `${world.gateway.issuer}/logout/saml/${via}`
  const head = { id: `_out-${via}`, issuer: idp.entityId, destination, issuedAt: Math.floor(Date.now() / 1000) }
  const xml = logoutXml({ ...head, nameId: 'ada' })
  const who = browser()
  await throughForms(who, await who.get(`${destination}?${signedQuery(xml, idp.keys, { as: 'SAMLRequest' })}`))
}

interface Ran {
  readonly code: number
  readonly out: string
}

/** Runs a program to its end; what it said on both outputs. */
async function run(command: string, args: readonly string[], input = ''): Promise<Ran> {
  const child = spawn(command, args, { stdio: 'pipe' })
  child.stdin.on('error', () => undefined) // one that reads no input may be gone before it is closed
  child.stdin.end(input)
  const said = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  const [out, err] = await said
  const code = child.exitCode ?? 1
  return { code, out: code === 0 ? out : out + err }
}

const sent = (name: string, binding: Got['binding']): Got => {
  const found = idp.got.find((one) => one.root.name === name && one.binding === binding)
  assert.ok(found, `${name} by ${binding}`)
  return found
}

async function xmlsec(xml: string, element: string, kind: string): Promise<Ran> {
  const file = join(work, 'message.xml')
  await writeFile(file, xml)
  const id = `urn:oasis:names:tc:SAML:2.0:${URIS[kind]}:${element}`
  return run('xmlsec1', ['--verify', '--pubkey-cert-pem', join(work, 'gateway.pem'), '--id-attr:ID', id, file])
}

async function schema(xml: string, name: string): Promise<Ran> {
  return run('xmllint', ['--nonet', '--noout', '--schema', `${SCHEMAS}/saml-schema-${name}-2.0.xsd`, '-'], xml)
}

test('xmlsec1 verifies the metadata, and refuses it once a letter is another', async () => {
  const good = await xmlsec(metadata, 'EntityDescriptor', 'metadata')
  assert.equal(good.code, 0, good.out)
  const bad = await xmlsec(metadata.replace('Cloud Nord', 'Cloud Sued'), 'EntityDescriptor', 'metadata')
  assert.notEqual(bad.code, 0)
})

for (const name of ['AuthnRequest', 'LogoutRequest', 'LogoutResponse'] as const) {
  test(`xmlsec1 verifies a posted ${name}`, async () => {
    const { code, out } = await xmlsec(sent(name, 'post').xml, name, 'protocol')
    assert.equal(code, 0, out)
  })
}

test('metadata and messages are what the schemas of OASIS say', async () => {
  const all = [
    [metadata, 'metadata'],
    ...(['AuthnRequest', 'LogoutRequest', 'LogoutResponse'] as const).flatMap((name) =>
      (['redirect', 'post'] as const).map((binding) => [sent(name, binding).xml, 'protocol'] as const),
    ),
  ] as const
  for (const [xml, name] of all) {
    const { code, out } = await schema(xml, name)
    assert.equal(code, 0, out)
  }
})

test('openssl reads the certificate, and it is one of 2048 bits at least with SHA-256', async () => {
  const { code, out } = await run('openssl', ['x509', '-noout', '-text', '-in', join(work, 'gateway.pem')])
  assert.equal(code, 0, out)
  assert.match(out, /sha256WithRSAEncryption/)
  assert.match(out, /Public-Key: \((2048|3072) bit\)/)
  const own = await run('openssl', ['verify', '-CAfile', join(work, 'gateway.pem'), join(work, 'gateway.pem')])
  assert.equal(own.code, 0, own.out)
})

test('pysaml2 takes requests and logout requests by both bindings, and refuses a signature over something else', async () => {
  const messages = (['AuthnRequest', 'LogoutRequest'] as const).flatMap((name) =>
    (['redirect', 'post'] as const).map((binding) => of(name, sent(name, binding))),
  )
  const [request] = messages
  const forged = { ...request, relay: 'another' }
  const judged = (await pysaml2({ messages: [...messages, forged] })) as readonly {
    readonly issuer?: string
    readonly refused?: string
  }[]
  const issuer = `${world.gateway.issuer}/saml/metadata`
  assert.deepEqual(
    judged.slice(0, -1).map((one) => one.refused ?? one.issuer),
    messages.map(() => issuer),
  )
  assert.match(judged.at(-1)?.refused ?? '', /./)
})

test('pysaml2 as the identity provider signs somebody in, by its own signature and attributes', async () => {
  for (const via of ['redirect', 'post'] as const) {
    const { who, request } = await knock(world, via)
    const asked = idp.got.at(-1)
    const at = `${world.gateway.issuer}/callback/${via}`
    const attributes = { eduPersonEntitlement: ['urn:mace:example:cloud'] }
    const answer = { to: asked?.root.attributes['ID'], at, who: 'carol', attributes }
    const xml = String(await pysaml2({ answer }))
    const SAMLResponse = Buffer.from(xml).toString('base64')
    const body = new URLSearchParams({ SAMLResponse, RelayState: asked?.relayState ?? '' })
    const parked = await who.send(new URL(at), { method: 'POST', body, from: new URL(idp.origin) })
    const told = toldAt(await who.get(new URL(parked.headers.get('location') ?? '', at)))
    const code = { code: told.get('code'), verifier: request.verifier }
    const tokens = await redeem(world.gateway, code, { headers: basic('portal', env.SECRET) })
    assert.equal(tokens.status, 200, String(told))
    assert.deepEqual(claimsIn(tokens.body['access_token'] ?? '')['groups'], ['students'])
  }
})

/** What pysaml2 says, of messages of the gateway or to one. */
async function pysaml2(more: object): Promise<unknown> {
  const input = {
    metadata,
    sp: `${world.gateway.issuer}/saml/metadata`,
    idp: idp.entityId,
    at: { sso: `${idp.origin}/sso`, slo: `${idp.origin}/slo` },
    key: join(work, 'idp.key'),
    certificate: join(work, 'idp.pem'),
    ...more,
  }
  const script = new URL('pysaml2.py', import.meta.url).pathname
  const { code, out } = await run('/usr/bin/python3', [script], JSON.stringify(input))
  assert.equal(code, 0, out)
  return JSON.parse(out)
}

/** A message as pysaml2 wants it: its text and, of a query, what was signed beside it. */
function of(name: string, { binding, query }: Got) {
  return {
    name,
    binding,
    text: query.get('SAMLRequest') ?? '',
    relay: query.get('RelayState'),
    algorithm: query.get('SigAlg'),
    signature: query.get('Signature'),
  }
}
