import assert from 'node:assert/strict'
import { test } from 'node:test'
import { presented } from '../../../src/connectors/wallet/credentials/presented.ts'
import { openAnchors } from '../../../src/connectors/wallet/keys/x509.ts'
import { binding, bound, issued, newKey, worldOf } from '../../support/credentials.ts'
import { type Certified, certify, NOW, type Said } from '../../support/x509.ts'

const AUTHORITY = { ca: 'ca', usage: 0x06 } as const
const HOUR = 3600

/** A path of an honest operator, but for what is said otherwise. */
interface Path {
  readonly root?: Partial<Said>
  readonly middle?: Partial<Said>
  /** A second authority below the first. */
  readonly second?: Partial<Said>
  readonly leaf?: Partial<Said>
}

function pathOf({ root, middle, second, leaf }: Path): { readonly anchor: Certified; readonly chain: Certified[] } {
  const anchor = certify({ subject: 'O=Trust,CN=root', ...AUTHORITY, ...root })
  const first = certify({ subject: 'O=Corp,CN=authority', ...AUTHORITY, ...middle }, anchor)
  const other = second ? certify({ subject: 'O=Corp,CN=second', ...AUTHORITY, ...second }, first) : undefined
  const said = { subject: 'O=Corp,CN=issuer', usage: 0x80, names: ['dns:issuer.corp.example'], ...leaf }
  return { anchor, chain: [certify(said, other ?? first), ...(other ? [other] : []), first] }
}

const x5c = (chain: readonly Certified[]) => chain.map(({ base64 }) => base64)
const verify = ({ anchor, chain }: ReturnType<typeof pathOf>, now = NOW) =>
  openAnchors({ roots: anchor.pem }).verify(x5c(chain), now)

test('a chain to a configured anchor is taken, and says whom it names and until when it is good', async () => {
  const path = pathOf({
    leaf: { names: ['dns:issuer.corp.example', 'uri:https://corp.example/vc'], until: NOW + HOUR },
  })
  const { jwk: _, root, ...found } = await verify(path)
  assert.match(root, /^[\w-]{43}$/)
  assert.deepEqual(found, {
    anchor: 'roots',
    subject: 'CN=issuer,O=Corp',
    hosts: ['issuer.corp.example'],
    uris: ['https://corp.example/vc'],
    from: NOW - 86_400,
    until: NOW + HOUR,
    anchorSent: false,
  })
})

/** `openssl verify` 3.0.22 says of each the same. */
const good: Readonly<Record<string, Path>> = {
  'with a length that fits': { root: { pathLength: 1 }, middle: { pathLength: 0 } },
  'with hosts as its authority permits': { middle: { permitted: ['dns:corp.example'] } },
  'with an address as its authority permits': {
    middle: { permitted: ['uri:.corp.example'] },
    leaf: { names: ['uri:https://vc.corp.example/a'] },
  },
  'with a directory name as its authority permits': { middle: { permitted: ['dir:O=Corp'] } },
  'with hosts that are not excluded': { root: { excluded: ['dns:other.example'] } },
}
for (const [name, path] of Object.entries(good))
  test(`a chain ${name} is taken`, async () => void (await verify(pathOf(path))))

const bad: Readonly<Record<string, readonly [Path, RegExp]>> = {
  'whose own certificate is expired': [{ leaf: { until: NOW - 1 } }, /expired/],
  'whose own certificate is not yet valid': [{ leaf: { from: NOW + 60 } }, /not yet valid/],
  'whose authority is expired': [{ middle: { until: NOW - 1 } }, /expired/],
  'whose anchor is expired': [{ root: { until: NOW - 1 } }, /expired/],
  'with an authority that is none': [{ middle: { ca: 'no', usage: 0x84 } }, /not a chain|no authority/],
  'with an authority that may not sign certificates': [{ middle: { usage: 0x80 } }, /not a chain|may not sign/],
  'that is longer than its anchor allows': [{ root: { pathLength: 0 } }, /longer/],
  'that is longer than an authority in it allows': [{ middle: { pathLength: 0 }, second: {} }, /longer/],
  'with a host that its authority may not name': [{ middle: { permitted: ['dns:other.example'] } }, /may not/],
  'with a host that its anchor may not name': [{ root: { permitted: ['dns:other.example'] } }, /may not/],
  'with a host that its authority excludes': [{ middle: { excluded: ['dns:corp.example'] } }, /may not/],
  'with one permitted host and one that is not': [
    { middle: { permitted: ['dns:corp.example'] }, leaf: { names: ['dns:a.corp.example', 'dns:bank.example'] } },
    /may not/,
  ],
  'with a host that only ends like a permitted one': [
    { middle: { permitted: ['dns:corp.example'] }, leaf: { names: ['dns:evilcorp.example'] } },
    /may not/,
  ],
  'with an address that its authority may not name': [
    { middle: { permitted: ['uri:.corp.example'] }, leaf: { names: ['uri:https://bank.example/'] } },
    /may not/,
  ],
  'with a name without a host where addresses are constrained': [
    { middle: { permitted: ['uri:.corp.example'] }, leaf: { names: ['uri:did:key:z6Mk'] } },
    /may not/,
  ],
  'with a directory name that its authority may not name': [{ middle: { permitted: ['dir:O=Bank'] } }, /may not/],
  'with an e-mail address that its authority may not name': [
    { middle: { permitted: ['email:corp.example'] }, leaf: { names: ['email:a@bank.example'] } },
    /may not/,
  ],
  'with an address range that its authority may not name': [
    { middle: { permitted: ['ip:0a000000ff000000'] }, leaf: { names: ['ip:c0a80001'] } },
    /may not/,
  ],
  'with a critical extension that nobody knows': [{ leaf: { unknown: true } }, /critical/],
  'with an authority that has a critical extension that nobody knows': [{ middle: { unknown: true } }, /critical/],
  'with an extension twice': [{ leaf: { again: ['dns:bank.example'] } }, /not a chain|twice/],
  'whose key is not meant for signatures': [{ leaf: { usage: 0x08 } }, /not meant for signatures/],
}
for (const [name, [path, why]] of Object.entries(bad))
  test(`a chain ${name} is refused`, () =>
    assert.rejects(verify(pathOf(path)), { code: 'upstream_rejected', message: why }))

test('a chain that was good is refused once it is expired', async () => {
  const { anchor, chain } = pathOf({ leaf: { until: NOW + HOUR } })
  const anchors = openAnchors({ roots: anchor.pem })
  await anchors.verify(x5c(chain), NOW)
  await assert.rejects(anchors.verify(x5c(chain), NOW + HOUR), /expired/)
})

test('a chain to a root that is not configured is refused, also where its names are those of the anchor', async () => {
  const [mine, theirs] = [pathOf({}), pathOf({})]
  await assert.rejects(verify({ anchor: mine.anchor, chain: theirs.chain }), /do not chain to an anchor/)
})

test('a self-signed certificate is refused, also where it is the anchor itself', async () => {
  const own = certify({ subject: 'O=Corp,CN=issuer', usage: 0x84, names: ['dns:issuer.corp.example'] })
  await assert.rejects(verify({ anchor: own, chain: [own] }), /self-signed/)
  await assert.rejects(verify({ anchor: pathOf({}).anchor, chain: [own] }), /self-signed/)
})

test('a chain in another order, with a gap, or with a stranger in it is refused', async () => {
  const { anchor, chain } = pathOf({ second: {} })
  const [leaf, second, first] = chain as [Certified, Certified, Certified]
  for (const wrong of [
    [leaf, first, second],
    [leaf, first],
    [leaf, second, first, pathOf({}).chain[0]!],
  ])
    await assert.rejects(verify({ anchor, chain: wrong }), { code: 'upstream_rejected' })
})

test('what is no list of certificates is refused', async () => {
  const anchors = openAnchors({ roots: pathOf({}).anchor.pem })
  for (const wrong of [[], 'x', ['x'], [1], Array(7).fill('x'), null, {}])
    await assert.rejects(anchors.verify(wrong, NOW), { code: 'upstream_rejected' })
})

test('an anchor that is no certificate is told at once', () => assert.throws(() => openAnchors({ roots: 'hello' })))

const holder = newKey()

/** A presentation of a credential that comes with this chain. */
function certifiedBy(chain: readonly Certified[], open: object, header: object = {}): string {
  const key = chain[0]!.key
  return bound(issued({ key, holder, header: { x5c: x5c(chain), ...header }, open, hidden: { name: 'Ada' } }), holder)
}

const check = ({ anchor }: ReturnType<typeof pathOf>, presentation: string, lenient: readonly 'anchor-sent'[] = []) =>
  presented('dc+sd-jwt', presentation, binding, worldOf({}, { anchors: { roots: anchor.pem }, lenient }))

test('a credential with x5c is known by the anchor, under the name that its certificate has', async () => {
  const path = pathOf({ leaf: { names: ['dns:issuer.corp.example', 'uri:did:web:corp.example'] } })
  for (const iss of ['https://issuer.corp.example', 'https://issuer.corp.example/tenant', 'did:web:corp.example']) {
    const [found] = await check(path, certifiedBy(path.chain, { iss }))
    assert.deepEqual(found?.issuer, {
      id: iss,
      by: 'x5c',
      anchor: 'roots',
      certifiedUntil: NOW + 86_400,
      root: found?.issuer.root,
    })
    assert.match(found?.issuer.root ?? '', /^[\w-]{43}$/)
  }
  const [nameless] = await check(path, certifiedBy(path.chain, {}))
  assert.equal(nameless?.issuer.id, 'CN=issuer,O=Corp')
})

test('a certificate without a subject (RFC 5280, 4.1.2.6) names whom its alternative names name, and nobody where the credential names none', async () => {
  const path = pathOf({ leaf: { subject: '', names: ['dns:issuer.corp.example'] } })
  const iss = 'https://issuer.corp.example'
  assert.equal((await check(path, certifiedBy(path.chain, { iss })))[0]?.issuer.id, iss)
  await assert.rejects(check(path, certifiedBy(path.chain, {})), {
    code: 'upstream_rejected',
    message: /names no issuer/,
  })
})

test('an issuer whom its certificate does not name (x5c with a wrong name) is refused', async () => {
  const path = pathOf({ leaf: { names: ['dns:issuer.corp.example', 'dns:*.wild.example'] } })
  for (const iss of [
    'https://bank.example',
    'https://corp.example',
    'https://a.wild.example',
    'did:web:bank.example',
    'did:key:z6Mk',
  ])
    await assert.rejects(check(path, certifiedBy(path.chain, { iss })), { message: /does not name its issuer/ })
})

test('a credential that another key than the one of its certificate signed is refused', async () => {
  const path = pathOf({})
  const text = issued({ key: newKey(), holder, header: { x5c: x5c(path.chain) }, open: {} })
  await assert.rejects(check(path, bound(text, holder)), { message: /not signed by the key of its certificate/ })
})

test('an anchor that is sent along is taken where the operator says so', async () => {
  const path = pathOf({})
  const text = certifiedBy([...path.chain, path.anchor], {})
  await assert.rejects(check(path, text), { message: /anchor-sent/ })
  const [found] = await check(path, text, ['anchor-sent'])
  assert.deepEqual(found?.leniencies, ['anchor-sent'])
})
