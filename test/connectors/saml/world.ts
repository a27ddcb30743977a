import assert from 'node:assert/strict'
import type { Expected } from '../../../src/connectors/saml/profile.ts'
import { type Verified, verifyResponse } from '../../../src/connectors/saml/verify.ts'
import { LoginError } from '../../../src/core/errors.ts'
import { type Exchange, idpRecord, type Said, type SamlKeys, samlKeys, signedResponse } from '../../support/saml-idp.ts'

/** Made once for all tests of a file: keys of the IdP, of another, and of the gateway. */
export const keys = samlKeys()
export const others = samlKeys('other.example')
export const ours = samlKeys('gateway.example')

export const NOW = 1_800_000_000

export const exchange: Exchange = {
  keys,
  idp: 'https://idp.example/saml',
  sp: 'https://gateway.example/saml/metadata',
  acs: 'https://gateway.example/callback/campus',
  requestId: '_request1',
  now: NOW,
}

/** What the gateway expects of a response in that exchange. */
export function expected(changes: Partial<Expected> = {}, signers: readonly SamlKeys[] = [keys]): Expected {
  return {
    idp: idpRecord(exchange.idp, signers, { scopes: [{ text: 'example.edu', pattern: false }] }),
    entityId: exchange.sp,
    acs: exchange.acs,
    requestId: exchange.requestId,
    now: NOW,
    skew: 60,
    decryption: [ours.key],
    asked: { requestedAt: NOW - 10 },
    policy: { signed: 'either' },
    ...changes,
  }
}

/** Posts a response that differs from a good one in what is said. */
export async function post(said: Partial<Said> = {}, changes: Partial<Expected> = {}): Promise<Verified> {
  return verifyResponse(await signedResponse(exchange, said), expected(changes))
}

/** It is refused, by the check whose name the log then has. */
export async function refused(what: Promise<unknown>, by: RegExp, code = 'upstream_rejected'): Promise<void> {
  await assert.rejects(what, (error: unknown) => {
    assert.ok(error instanceof LoginError, String(error))
    assert.match(error.message, by)
    assert.equal(error.code, code)
    return true
  })
}

export const base64 = (xml: string) => Buffer.from(xml).toString('base64')

/** An edit that must find what it changes: a test whose edit does nothing would say nothing. */
const changing = (edit: (xml: string) => string) => (xml: string) => {
  const changed = edit(xml)
  assert.notEqual(changed, xml)
  return changed
}

/** Changes what the IdP signs. */
export const signing = (edit: (xml: string) => string): Partial<Said> => ({ editAssertion: changing(edit) })

/** Changes a response on its way, after it was signed. */
export const onItsWay = (edit: (xml: string) => string, more: Partial<Said> = {}): Partial<Said> => ({
  editSent: changing(edit),
  ...more,
})

/** Takes an element out. */
export const without = (element: string) => (xml: string) =>
  xml.replace(new RegExp(`<saml:${element}[ >][\\s\\S]*</saml:${element}>|<saml:${element}[^>]*/>`), '')

/** One thing that is not as it must be, and the refusal that it must meet. */
export type Row = readonly [what: string, by: RegExp, said: Partial<Said>, changes?: Partial<Expected>]
