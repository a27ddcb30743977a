import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openSignatureThread } from '../../../src/connectors/saml/signature-thread.ts'
import { type Verified, verifyResponse } from '../../../src/connectors/saml/verify.ts'
import { LoginError } from '../../../src/core/errors.ts'
import { rounds } from '../../support/rounds.ts'
import { encryptedAssertion, responseXml, type Said } from '../../support/saml-idp.ts'
import { blocked, longestTurn } from '../../support/turns.ts'
import { base64, exchange, expected, ours } from './world.ts'

/* Good responses, changed at random on their way: whatever comes of it, nobody else signs in, and nobody waits. */

/** Numbers from 0 to below 1, the same ones each time (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

type Mutation = (xml: string, random: () => number) => string

const at = (xml: string, random: () => number) => Math.floor(random() * xml.length)
const one = <T>(of: readonly T[], random: () => number): T => of[Math.floor(random() * of.length)]!
const insert = (xml: string, where: number, what: string) => xml.slice(0, where) + what + xml.slice(where)
/** Where an element begins, and the element to its end, for elements that hold none of their own name. */
const elements = (xml: string) => [...xml.matchAll(/<([\w:]+)(?: [^>]*)?>(?:(?!<\1[ >])[\s\S])*?<\/\1>/g)]
const attributes = (xml: string) => [...xml.matchAll(/ ([\w:]+)="([^"]*)"/g)]
const words = [
  'root',
  'admin@example.edu',
  'urn:evil',
  '_request2',
  'https://evil.example',
  '',
  '2.0',
  '#_evil',
  'true',
  '9999-01-01T00:00:00Z',
]
const markup = [
  '<!-- -->',
  '<![CDATA[root]]>',
  '<?x y?>',
  '&#x72;',
  '&amp;',
  '&lt;',
  '&x;',
  '<x/>',
  '<saml:NameID>root</saml:NameID>',
  ' xmlns="urn:x"',
  ' xmlns:saml="urn:x"',
  ' ID="_evil"',
  '\u0000',
  '\u2028',
  '\r',
  '\n',
  ']]>',
  '<!DOCTYPE x>',
  '<saml:Assertion ID="_evil"><saml:Issuer>https://idp.example/saml</saml:Issuer></saml:Assertion>',
]

/** An element moved, copied or put around another: what signature wrapping is made of. */
const transplant: Mutation = (xml, random) => {
  const from = one(elements(xml), random)
  const to = one(elements(xml), random)
  if (from === undefined || to === undefined) return xml
  const how = Math.floor(random() * 5)
  const without = xml.slice(0, from.index) + xml.slice(from.index + from[0].length)
  if (how === 0) return without
  if (how === 1) return insert(xml, to.index, from[0])
  if (how === 2) return xml.replace(to[0], () => `${from[0]}${to[0].replace(/>[^<]+</, '>root<')}`)
  if (how === 3)
    return xml.replace(to[0], () =>
      `<${one(['samlp:Extensions', 'saml:Advice', 'x'], random)}>${to[0]}</x>`.replace(
        /^<([\w:]+)>([\s\S]*)<\/x>$/,
        '<$1>$2</$1>',
      ),
    )
  return insert(without, Math.min(to.index, without.length), from[0].replace(/ID="[^"]*"/, 'ID="_evil"'))
}

/** One thing over and over, as much of it as a message may hold: what takes time by the square of it shows. */
const flood: Mutation = (xml, random) => {
  const what = one(
    [...markup, ' ', '\t', 'A', '=', '"', '<', '/', '>', '&#x20;', '&amp;', '<a>', '</a>', ' a="b"'],
    random,
  )
  const room = 48_000 - xml.length
  const places = [...xml.matchAll(/[ >]/g)].map(({ index }) => index + 1)
  return room <= 0 ? xml : insert(xml, one(places, random), what.repeat(room / what.length))
}

const mutations: readonly Mutation[] = [
  flood,
  (xml, random) => insert(xml, at(xml, random), one(markup, random)),
  (xml, random) => insert(xml, at(xml, random), String.fromCharCode(Math.floor(random() * 128))),
  (xml, random) => {
    const where = at(xml, random)
    return xml.slice(0, where) + xml.slice(where + 1 + Math.floor(random() * 40))
  },
  (xml, random) => {
    const where = at(xml, random)
    return (
      xml.slice(0, where) +
      String.fromCharCode(xml.charCodeAt(where) ^ (1 << Math.floor(random() * 7))) +
      xml.slice(where + 1)
    )
  },
  (xml, random) => {
    const found = one(attributes(xml), random)
    return found === undefined ? xml : xml.replace(found[0], () => ` ${found[1]}="${one(words, random)}"`)
  },
  (xml, random) => {
    const found = one(attributes(xml), random)
    return found === undefined
      ? xml
      : xml.replace(found[0], one(['', `${found[0]}${found[0]}`, ` x${found[0].trim()}`], random))
  },
  (xml, random) => {
    const found = one([...xml.matchAll(/>([^<]+)</g)], random)
    return found === undefined
      ? xml
      : xml.replace(found[0], () => `>${one([...words, ...markup, `${found[1]}<!---->x`], random)}<`)
  },
  transplant,
  transplant,
  transplant,
]

/** One change, or a few. */
function mutate(xml: string, random: () => number): string {
  let changed = xml
  for (let count = 1 + Math.floor(random() ** 2 * 4); count > 0; count -= 1)
    changed = one(mutations, random)(changed, random)
  return changed
}

const check = openSignatureThread().queue()
/** The last is changed before it is encrypted to us: what an attacker can do who has the assertion in the clear. */
const shapes: readonly (readonly [what: string, sign: Said['sign'], sealed?: 'sealed'])[] = [
  ['signed assertion', 'assertion'],
  ['signed response', 'response'],
  ['signed response and assertion', 'both'],
  ['signed assertion, encrypted', 'assertion', 'sealed'],
]

/** What came of one mutant: nothing, or the person that the IdP spoke of and nobody else. */
async function tried(encoded: string, original: Verified): Promise<'accepted' | 'refused'> {
  try {
    assert.deepEqual(await verifyResponse(encoded, expected(), check), original)
    return 'accepted'
  } catch (error) {
    if (error instanceof LoginError) return 'refused'
    throw error
  }
}

for (const [what, sign, sealed] of shapes)
  test(`no mutant of a ${what} is another person, or holds up others`, async (t) => {
    const random = numbers(what.length)
    const xml = await responseXml(exchange, { sign })
    const original = await verifyResponse(base64(xml), expected(), check)
    const inner = /<saml:Assertion [\s\S]*<\/saml:Assertion>/.exec(xml)?.[0] ?? ''
    const count = { accepted: 0, refused: 0 }
    let longest = 0
    for (let round = 0; round < rounds(80, 5000); round += 1) {
      const mutant = sealed
        ? xml.replace(inner, await encryptedAssertion(mutate(inner, random) || ' ', { to: ours.cert }))
        : mutate(xml, random)
      const encoded = base64(mutant)
      let turn = await longestTurn(async () => {
        count[await tried(encoded, original)] += 1
      })
      // Once may be the garbage collector.
      if (turn >= 10) turn = await blocked(() => tried(encoded, original), 10)
      assert.ok(turn < 10, `${turn} ms: ${mutant}`)
      longest = Math.max(longest, turn)
    }
    t.diagnostic(
      `${count.accepted} accepted as what they were, ${count.refused} refused, at most ${longest.toFixed(1)} ms at once`,
    )
    assert.ok(count.refused > count.accepted)
  })
