import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { browser } from '../support/browser.ts'
import { claimsIn } from '../support/gateway.ts'
import { person, redeem, toldAt } from '../support/sign-in.ts'
import {
  checked,
  decline,
  encrypt,
  fetchRequest,
  holder,
  issue,
  open,
  present,
  readClaims,
  readLink,
  type Sent,
  send,
} from '../support/wallet.ts'
import {
  answerFor,
  BADGE,
  COMPANY,
  employee,
  linkOf,
  startWalletWorld,
  via,
  type Waiting,
  type WalletWorld,
  waiting,
} from './wallet-world.ts'

let world: WalletWorld
before(async () => {
  world = await startWalletWorld()
})
after(() => world.close())

const lastRefusal = () =>
  world.gateway.logs.findLast(({ message }) => message === 'sign-in failed at its upstream')?.fields
const lastToWallet = () => world.gateway.logs.findLast(({ message }) => message === 'a wallet was refused')?.fields
/** Opens in a browser what the wallet was told to open. */
const follow = (who: Waiting['who'], sent: Sent) =>
  who.get(sent.body['redirect_uri'] ?? assert.fail(JSON.stringify(sent)))

/** The whole way with an answer of the test's own making; what the client is told. */
async function told(make: (at: Waiting) => Promise<Sent>, connector = 'gaiax'): Promise<URLSearchParams> {
  const at = await waiting(world.gateway, connector)
  const sent = await make(at)
  assert.equal(sent.status, 200, JSON.stringify(sent))
  return toldAt(await follow(at.who, sent))
}

/** An answer that has to be refused, and why. */
async function refused(why: RegExp, make: (at: Waiting) => Promise<Sent>, connector = 'gaiax') {
  const outcome = await told(make, connector)
  assert.equal(outcome.get('error'), 'access_denied')
  assert.equal(outcome.has('code'), false)
  assert.match(String(lastRefusal()?.['detail']), why)
}

test('somebody signs in with a wallet on the same device, and gets what the rules give her', async () => {
  const { gateway } = world
  const at = await waiting(gateway)
  const { read, vpToken } = await answerFor(world, at.link)
  assert.equal(read.mode, 'direct_post.jwt')
  assert.deepEqual(read.encryption?.enc, ['A128GCM', 'A256GCM'])
  const sent = await send(read, vpToken)
  const outcome = toldAt(await follow(at.who, sent))
  const { status, body } = await redeem(gateway, {
    code: outcome.get('code'),
    verifier: at.verifier,
    client: 'kubectl',
  })
  assert.equal(status, 200)
  const claims = claimsIn(body['id_token'] ?? '')
  assert.deepEqual([claims['groups'], claims['acr']], [['team-developer'], 'substantial'])
})

for (const enc of ['A128GCM', 'A256GCM'])
  test(`an answer is read that is encrypted by ${enc}`, async () => {
    const outcome = await told(async ({ link }) => {
      const { read, vpToken } = await answerFor(world, link)
      return send(read, vpToken, { enc })
    })
    assert.equal(outcome.has('code'), true)
  })

test('an answer is refused that is encrypted in a way that was not offered', () =>
  refused(/cannot be decrypted/, async ({ link }) => {
    const { read, vpToken } = await answerFor(world, link)
    return send(read, vpToken, { enc: 'A128CBC-HS256' })
  }))

test('a request is signed by the certificate that its client id names, says what is asked and for how long, and its key is its own', async () => {
  const [one, two] = await Promise.all([waiting(world.gateway), waiting(world.gateway)])
  const [first, second] = await Promise.all([open(one.link), open(two.link, { method: 'GET' })])
  assert.notEqual(first.nonce, second.nonce)
  assert.ok(Buffer.from(first.nonce, 'base64url').length >= 16)
  assert.notEqual(first.encryption?.jwk.x, second.encryption?.jwk.x)
  assert.equal('d' in (first.encryption?.jwk ?? {}), false)
  assert.deepEqual(
    first.query.credentials.map(({ id }) => id),
    ['employee'],
  )
  assert.equal(first.claims['aud'], 'https://self-issued.me/v2')
  assert.equal(second.claims['wallet_nonce'], undefined)
})

test('a request says the nonce of the wallet that fetched it, and so is no use to another wallet', async () => {
  const { link } = await waiting(world.gateway)
  const uri = readLink(link).get('request_uri') ?? ''
  const answer = await fetch(uri, { method: 'POST', body: new URLSearchParams({ wallet_nonce: 'of-another-wallet' }) })
  const text = await answer.text()
  assert.equal(claimsIn(text)['wallet_nonce'], 'of-another-wallet')
  const clientId = readLink(link).get('client_id') ?? ''
  checked(text, { clientId, nonce: 'of-another-wallet' })
  assert.throws(() => checked(text, { clientId, nonce: 'of-this-wallet' }), /of-another-wallet/)
  assert.throws(() => checked(text, { clientId: 'x509_hash:another', nonce: 'of-another-wallet' }))
})

test('a nonce of a wallet that is longer than anybody needs is refused, and the request can still be fetched', async () => {
  const { link } = await waiting(world.gateway)
  const uri = readLink(link).get('request_uri') ?? ''
  const answer = await fetch(uri, { method: 'POST', body: new URLSearchParams({ wallet_nonce: 'x'.repeat(513) }) })
  // Whoever reads the log could fetch it as well, and answer.
  assert.equal(lastToWallet()?.['path'], '/wallet/request')
  assert.equal(answer.status, 400)
  await open(link)
})

test('a request is fetched once', async () => {
  const { link } = await waiting(world.gateway)
  await open(link)
  const again = await fetchRequest(link)
  assert.equal(again.status, 400)
  assert.equal(((await again.json()) as { error: string }).error, 'invalid_request')
})

test('of twenty that fetch one request at once one gets it', async () => {
  const { link } = await waiting(world.gateway)
  const all = await Promise.all(Array.from({ length: 20 }, () => fetchRequest(link)))
  assert.equal(all.filter(({ status }) => status === 200).length, 1)
})

test('a request is answered once: the same answer within its lifetime is refused', async () => {
  const at = await waiting(world.gateway)
  const { read, vpToken } = await answerFor(world, at.link)
  const sent = await send(read, vpToken)
  const again = await send(read, vpToken)
  assert.deepEqual([again.status, again.body['error']], [400, 'invalid_request'])
  assert.equal(toldAt(await follow(at.who, sent)).has('code'), true)
})

test('of twenty answers to one request at once one is taken', async () => {
  const { link } = await waiting(world.gateway)
  const { read, vpToken } = await answerFor(world, link)
  const all = await Promise.all(Array.from({ length: 20 }, () => send(read, vpToken)))
  assert.equal(all.filter(({ status }) => status === 200).length, 1)
})

test('a presentation that signed somebody in is refused in another sign-in, within its lifetime', async () => {
  const at = await waiting(world.gateway)
  const { read, vpToken } = await answerFor(world, at.link)
  assert.equal(toldAt(await follow(at.who, await send(read, vpToken))).has('code'), true)
  await refused(/nonce/, async ({ link }) => send(await open(link), vpToken))
})

test('a request that nobody fetched cannot be answered', async () => {
  const { link } = await waiting(world.gateway)
  const id = new URL(readLink(link).get('request_uri') ?? '').pathname.split('/').at(-1)
  const answer = await fetch(`${world.gateway.issuer}/wallet/response/${id}`, {
    method: 'POST',
    body: new URLSearchParams({ response: 'x' }),
  })
  assert.equal(answer.status, 400)
  assert.match(String(lastToWallet()?.['detail']), /no request waits/)
  await open(link)
})

test('an answer of characters that no answer has is refused as such, and uses nothing up', async () => {
  const { link } = await waiting(world.gateway)
  const { read, vpToken } = await answerFor(world, link)
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const body = `response=${'\u0001'.repeat(200_000)}`
  const answer = await fetch(read.responseUri, { method: 'POST', headers, body })
  assert.deepEqual([answer.status, ((await answer.json()) as { error: string }).error], [400, 'invalid_request'])
  assert.equal((await send(read, vpToken)).status, 200)
})

test('an answer to no request that there is is refused', async () => {
  const answer = await fetch(`${world.gateway.issuer}/wallet/response/${randomBytes(24).toString('base64url')}`, {
    method: 'POST',
    body: new URLSearchParams({ response: 'x' }),
  })
  assert.deepEqual([answer.status, answer.headers.get('content-type')], [400, 'application/json; charset=utf-8'])
})

test('an answer that arrives in another browser is refused, in its language, and is still there for the one that asked', async () => {
  const at = await waiting(world.gateway)
  const { read, vpToken } = await answerFor(world, at.link)
  const sent = await send(read, vpToken)
  for (const [language, title] of [
    ['en', 'This sign-in was begun in another browser'],
    ['de', 'Diese Anmeldung wurde in einem anderen Browser begonnen'],
  ] as const) {
    const elsewhere = await browser({ headers: { 'accept-language': language } }).get(sent.body['redirect_uri'] ?? '')
    assert.equal(elsewhere.status, 400)
    assert.ok(elsewhere.text.includes(title), elsewhere.text)
  }
  assert.equal(toldAt(await follow(at.who, sent)).has('code'), true)
})

test('an answer to the sign-in of somebody else in another tab of hers does not sign her in there', async () => {
  const [victim, attacker] = [await waiting(world.gateway), await waiting(world.gateway)]
  const { read, vpToken } = await answerFor(world, attacker.link)
  const sent = await send(read, vpToken)
  // The link that the attacker's wallet was told, sent to the victim, whose own sign-in waits.
  assert.equal((await follow(victim.who, sent)).status, 400)
})

test('a response code is good once', async () => {
  const at = await waiting(world.gateway)
  const { read, vpToken } = await answerFor(world, at.link)
  const sent = await send(read, vpToken)
  assert.equal(toldAt(await follow(at.who, sent)).has('code'), true)
  assert.equal((await follow(at.who, sent)).status, 400)
})

test('a response code cannot be guessed: it is 256 bits, and neither state nor any id of the request', async () => {
  const at = await waiting(world.gateway)
  const { read, vpToken } = await answerFor(world, at.link)
  const sent = await send(read, vpToken)
  const code = new URL(sent.body['redirect_uri'] ?? '').searchParams.get('ticket') ?? ''
  assert.equal(Buffer.from(code, 'base64url').length, 32)
  const known = [read.state, read.nonce, new URL(read.responseUri).pathname.split('/').at(-1)]
  const digests = known.map((text) =>
    createHash('sha256')
      .update(text ?? '')
      .digest('base64url'),
  )
  for (const guess of [...known, ...digests, randomBytes(32).toString('base64url'), ''])
    assert.equal((await at.who.get(`${world.gateway.issuer}/callback/gaiax?ticket=${guess}`)).status, 400)
})

test('the answer of a wallet on this device is nowhere to be had but in the link that it was told', async () => {
  const at = await waiting(world.gateway)
  const { read, vpToken } = await answerFor(world, at.link)
  await send(read, vpToken)
  const asked = await at.who.send(at.page.location, { headers: { accept: 'application/json' } })
  assert.deepEqual(JSON.parse(asked.text), { state: 'waiting' })
})

test('a credential that was not asked for is refused', () =>
  refused(/not asked for/, async ({ link }) => {
    const { read, vpToken } = await answerFor(world, link)
    return send(read, { ...vpToken, passport: vpToken['employee'] })
  }))

test('an answer without what was asked for is refused', () =>
  refused(/none of employee came/, async ({ link }) => send(await open(link), {})))

test('a credential without the claim that was asked for is refused', () =>
  refused(/lacks employee_id/, async ({ link }) => {
    const read = await open(link)
    const { jwt, disclosures } = world.held
    const fewer = disclosures.filter((each) => !Buffer.from(each, 'base64url').toString().includes('employee_id'))
    return send(read, { employee: [present({ jwt, disclosures: fewer }, world.ada, read)] })
  }))

test('a claim with another value than was asked for is refused', () =>
  refused(/lacks roles/, async ({ link }) => {
    const read = await open(link)
    const visitor = employee(world.corp, world.ada, { roles: ['visitor'] })
    return send(read, { employee: [present(visitor, world.ada, read)] })
  }))

test('two presentations where one was asked for are refused: they could be of two persons', () =>
  refused(/not one presentation/, async ({ link }) => {
    const read = await open(link)
    const bob = holder()
    const both = [present(world.held, world.ada, read), present(employee(world.corp, bob), bob, read)]
    return send(read, { employee: both })
  }))

test('credentials of two persons in one answer are refused', () =>
  refused(
    /about two persons/,
    async ({ link }) => {
      const read = await open(link)
      const bob = holder()
      const badge = issue(world.corp, { vct: BADGE, claims: { level: '3' } }, bob)
      return send(read, { employee: [present(world.held, world.ada, read)], badge: [present(badge, bob, read)] })
    },
    'several',
  ))

test('two credentials of one person in one answer sign her in', async () => {
  const outcome = await told(async ({ link }) => {
    const read = await open(link)
    const badge = issue(world.corp, { vct: BADGE, claims: { level: '3' } }, world.ada)
    return send(read, {
      employee: [present(world.held, world.ada, read)],
      badge: [present(badge, world.ada, read)],
    })
  }, 'several')
  assert.equal(outcome.has('code'), true)
})

test('a credential about an organisation signs nobody in, whoever holds it', () =>
  refused(
    /signs nobody in/,
    async ({ link }) => {
      const read = await open(link)
      const company = issue(world.corp, { vct: COMPANY, claims: { legalName: 'Corp AG' } }, world.ada)
      return send(read, { company: [present(company, world.ada, read)] })
    },
    'several',
  ))

test('one credential under the name of another is refused', () =>
  refused(
    /none of the types/,
    async ({ link }) => {
      const read = await open(link)
      return send(read, { badge: [present(world.held, world.ada, read)] })
    },
    'several',
  ))

test('a presentation to another verifier is refused', () =>
  refused(/is meant for .* and not for this gateway/, async ({ link }) => {
    const read = await open(link)
    return send(read, { employee: [present(world.held, world.ada, read, { audience: 'x509_hash:another' })] })
  }))

test('a presentation for our origin is refused where no browser asked', () =>
  refused(/not for this gateway/, async ({ link }) => {
    const read = await open(link)
    const audience = `origin:${world.gateway.issuer}`
    return send(read, { employee: [present(world.held, world.ada, read, { audience })] })
  }))

test('a presentation with the client id without its prefix is refused', () =>
  refused(/is meant for .* and not for this gateway/, async ({ link }) => {
    const read = await open(link)
    const bare = read.clientId.slice('x509_hash:'.length)
    return send(read, { employee: [present(world.held, world.ada, read, { audience: bare })] })
  }))

test('a presentation of somebody else’s credential, which the wallet’s key is not bound to, is refused', () =>
  refused(/key/, async ({ link }) => {
    const read = await open(link)
    return send(read, { employee: [present(world.held, holder(), read)] })
  }))

test('a credential of an issuer that the configuration does not name is refused, under the same root, too', () =>
  refused(/may not issue/, async ({ link }) => {
    const read = await open(link)
    return send(read, { employee: [present(employee(world.stranger, world.ada), world.ada, read)] })
  }))

test('an answer in the open is refused where an encrypted one was asked for', () =>
  refused(/not encrypted/, async ({ link }) => {
    const { read, vpToken } = await answerFor(world, link)
    return send(read, vpToken, { encryption: 'none' })
  }))

test('an answer that is encrypted to the key of another request is refused', async () => {
  const other = await open((await waiting(world.gateway)).link)
  const jwk = other.encryption?.jwk ?? assert.fail()
  for (const kid of ['its own', 'that of the right one'] as const)
    await refused(/decrypted/, async ({ link }) => {
      const { read, vpToken } = await answerFor(world, link)
      const named = kid === 'its own' ? jwk.kid : read.encryption?.jwk.kid
      return send(read, vpToken, { encryption: { jwk, kid: named ?? '' } })
    })
})

test('an answer by the right key under the name of another is refused', () =>
  refused(/another request/, async ({ link }) => {
    const { read, vpToken } = await answerFor(world, link)
    return send(read, vpToken, { encryption: { jwk: read.encryption?.jwk ?? {}, kid: 'another' } })
  }))

test('an answer with the state of another sign-in is refused, and one without any is bound by its address', async () => {
  await refused(/state/, async ({ link }) => {
    const { read, vpToken } = await answerFor(world, link)
    return send(read, vpToken, { state: 'of-another' })
  })
  const outcome = await told(async ({ link }) => {
    const { read, vpToken } = await answerFor(world, link)
    return send(read, vpToken, { state: undefined })
  })
  assert.equal(outcome.has('code'), true)
})

test('an answer that was made for one sign-in is refused at the address of another', async () => {
  const other = await waiting(world.gateway)
  const elsewhere = await open(other.link)
  await refused(/nonce/, async ({ link }) => {
    const { read } = await answerFor(world, link)
    // Encrypted and addressed rightly, presented for the other one.
    return send(read, { employee: [present(world.held, world.ada, elsewhere)] })
  })
})

test('an answer to one connector is no answer to another of the same gateway', async () => {
  const at = await waiting(world.gateway)
  const { read, vpToken } = await answerFor(world, at.link)
  const sent = await send(read, vpToken)
  const to = (sent.body['redirect_uri'] ?? '').replace('/callback/gaiax', '/callback/other')
  assert.equal((await at.who.get(to)).status, 400)
})

test('a person who declines at her wallet is sent back to the program, which is told', async () => {
  const outcome = await told(async ({ link }) => decline(await open(link)))
  assert.equal(outcome.get('error'), 'access_denied')
  assert.equal(lastRefusal()?.['code'], 'upstream_declined')
})

test('another error of a wallet is told as a refusal, also from within its encryption', async () => {
  await refused(/invalid_request/, async ({ link }) => decline(await open(link), 'invalid_request'))
  await refused(/vp_formats_not_supported: no\?SD-JWT/, async ({ link }) => {
    const read = await open(link)
    const said = { error: 'vp_formats_not_supported', error_description: 'no\nSD-JWT' }
    const response = await encrypt(said, read.encryption?.jwk ?? {})
    const answer = await fetch(read.responseUri, { method: 'POST', body: new URLSearchParams({ response }) })
    return { status: answer.status, body: (await answer.json()) as Sent['body'] }
  })
})

test('what is encrypted and is no answer is refused', async () => {
  for (const payload of [{}, { vp_token: 'text' }, { vp_token: [] }, [], 'text'])
    await refused(/no vp_token|no object/, async ({ link }) => {
      const read = await open(link)
      const response = await encrypt(payload as object, read.encryption?.jwk ?? {})
      const answer = await fetch(read.responseUri, { method: 'POST', body: new URLSearchParams({ response }) })
      return { status: answer.status, body: (await answer.json()) as Sent['body'] }
    })
})

test('where nothing is signed the link holds the whole request, and its client id is where the answer goes', async () => {
  const at = await waiting(world.gateway, 'plain')
  const parameters = [...readLink(at.link)].map(([name, value]): [string, unknown] => [
    name,
    value.startsWith('{') ? JSON.parse(value) : value,
  ])
  const read = readClaims(Object.fromEntries(parameters))
  assert.equal(read.clientId, `redirect_uri:${read.responseUri}`)
  assert.equal(read.mode, 'direct_post')
  const sent = await send(read, { employee: [present(world.held, world.ada, read)] })
  assert.equal(toldAt(await follow(at.who, sent)).has('code'), true)
})

test('an answer that is larger than any is refused before it is read', async () => {
  const { link } = await waiting(world.gateway)
  const read = await open(link)
  const answer = await fetch(read.responseUri, {
    method: 'POST',
    body: new URLSearchParams({ response: 'x'.repeat(257 * 1024) }),
  })
  assert.equal(answer.status, 413)
})

test('a wallet is told no reason and shown no page', async () => {
  const answer = await fetch(`${world.gateway.issuer}/wallet/request/none`, { headers: { accept: 'text/html' } })
  const body = (await answer.json()) as Record<string, string>
  assert.deepEqual(Object.keys(body).sort(), ['error', 'error_id'])
  assert.equal(answer.headers.get('cache-control'), 'no-store')
})

test('the page says what is asked, by whom and for which program, in both languages, and works without script', async () => {
  for (const [language, words] of [
    ['en', ['kubectl wants to know who you are', 'Asked by', 'Open the wallet on this device']],
    ['de', ['kubectl möchte wissen, wer Sie sind', 'Gefragt von', 'Wallet auf diesem Gerät öffnen']],
  ] as const) {
    const { page } = await waiting(world.gateway, 'gaiax', person({ 'accept-language': language }))
    for (const word of [
      ...words,
      'Employee of Corp <small class="quiet">employee_id, roles</small>',
      'Cloud Nord',
      new URL(world.gateway.issuer).host,
      'http-equiv="refresh"',
    ])
      assert.ok(page.text.includes(word), word)
    assert.ok(!page.text.includes('class="qr"'), 'no code unless the connector allows it')
  }
})

test('the page is shown in no other browser', async () => {
  const { page } = await waiting(world.gateway)
  assert.equal((await person().get(page.location)).status, 400)
})

test('a command line is signed in by a wallet, too', async () => {
  const { gateway } = world
  const { body } = await gateway.post('/device/auth', { client_id: 'kubectl', scope: 'openid' })
  const who = person()
  const entry = await who.get(body['verification_uri_complete'] ?? '')
  const chooser = await who.submit(entry, entry.form(), { confirm: 'yes' })
  const choice = chooser.links.find(({ text }) => text.includes('Wallet gaiax')) ?? assert.fail(chooser.text)
  const page = await who.follow(chooser, choice)
  assert.ok(page.text.includes('kubectl wants to know who you are'))
  assert.ok(!page.text.includes('Back to the program'), 'a command line has no page')
  const { read, vpToken } = await answerFor(world, linkOf(page))
  const done = await who.get((await send(read, vpToken)).body['redirect_uri'] ?? '')
  assert.equal(done.status, 200)
  const poll = await gateway.post('/token', {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    client_id: 'kubectl',
    device_code: body['device_code'] ?? '',
  })
  assert.equal(poll.status, 200, JSON.stringify(poll.body))
})

test('a strength that is asked for is met by the credential, or the person is told so', async () => {
  const wanting = async (acr: string) => {
    const who = person()
    const page = await who.get(via(world.gateway, 'gaiax', { acr_values: acr }).url)
    const { read, vpToken } = await answerFor(world, linkOf(page))
    return who.get((await send(read, vpToken)).body['redirect_uri'] ?? '')
  }
  assert.equal(toldAt(await wanting('substantial')).has('code'), true)
  assert.equal(toldAt(await wanting('low')).has('code'), true)
  const refused = await wanting('high')
  assert.equal(refused.status, 403)
  assert.equal(lastRefusal()?.['code'], 'acr_not_met')
})

test('who only looks whether a request is there does not use it up', async () => {
  const { link } = await waiting(world.gateway)
  const head = await fetch(readLink(link).get('request_uri') ?? '', { method: 'HEAD' })
  assert.equal(head.status, 405)
  await open(link)
})

test('where no encryption is asked for, a plain answer to a signed request signs in, and an encrypted one is refused', async () => {
  const outcome = await told(async ({ link }) => {
    const { read, vpToken } = await answerFor(world, link)
    assert.deepEqual([read.mode, read.encryption], ['direct_post', undefined])
    return send(read, vpToken)
  }, 'open')
  assert.equal(outcome.has('code'), true)
  const { jwk } = (await open((await waiting(world.gateway)).link)).encryption ?? assert.fail()
  await refused(
    /encrypted, which nobody asked for/,
    async ({ link }) => {
      const { read, vpToken } = await answerFor(world, link)
      return send(read, vpToken, { encryption: { jwk, kid: jwk.kid ?? '' } })
    },
    'open',
  )
})

test('of twenty that open what the wallet was told at once, in the browser that asked, one signs in', async () => {
  const at = await waiting(world.gateway)
  const { read, vpToken } = await answerFor(world, at.link)
  const sent = await send(read, vpToken)
  const all = await Promise.all(Array.from({ length: 20 }, () => follow(at.who, sent)))
  const codes = all.filter(({ headers }) => headers.get('location')?.includes('code='))
  assert.equal(codes.length, 1)
})
