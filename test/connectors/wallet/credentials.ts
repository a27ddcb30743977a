import assert from 'node:assert/strict'
import { z } from 'zod'
import type { Credential, Evidence } from '../../../src/connectors/wallet/credential.ts'
import type { Found } from '../../../src/connectors/wallet/dcql.ts'
import { type WalletConfig, walletOptions } from '../../../src/connectors/wallet/options.ts'
import type { Policy } from '../../../src/connectors/wallet/trust.ts'
import { LoginError } from '../../../src/core/errors.ts'

export const NOW = 1_800_000_000
export const CORP = 'did:web:corp.example'
export const OTHER = 'did:web:other.example'
export const GXDCH = 'did:web:gxdch.example'

/** One kind of credential as a configuration file has it. */
export type Written = Readonly<Record<string, unknown>>

/** The options of a wallet connector, read as the loader reads them. */
export function walletConfig(credentials: readonly Written[], more: Written = {}): WalletConfig {
  return z.strictObject(walletOptions).parse({ id: 'gaiax', label: 'Gaia-X wallet', credentials, ...more })
}

/** A member of the company, who is named by the key of her wallet. */
export function credential(more: Partial<Credential> = {}): Credential {
  return {
    format: 'vp+jwt',
    types: ['gx:NaturalPersonPartyCredential'],
    issuer: { id: CORP, by: 'did' },
    holder: 'thumbprint-of-alice',
    claims: { 'gx:identityRoles': ['developer'] },
    validUntil: NOW + 86_400,
    status: [],
    leniencies: [],
    ...more,
  }
}

/** What a clearing house says of the company. */
export function label(more: Partial<Evidence> = {}): Evidence {
  return {
    format: 'vp+jwt',
    types: ['gx:LabelCredential'],
    issuer: { id: GXDCH, by: 'did' },
    subject: CORP,
    claims: { 'gx:labelLevel': 'L1' },
    validUntil: NOW + 86_400,
    status: [],
    leniencies: [],
    ...more,
  }
}

/** As what a credential of this connector was asked for, by the name of that. */
export function found(config: WalletConfig, id: string, one: Credential | Evidence): Found {
  const asked = config.credentials.find((each) => each.id === id)
  assert.ok(asked, id)
  return { asked, credential: one as Credential }
}

export function policy(config: WalletConfig, more: Partial<Policy> = {}): Policy {
  return { config, lists: () => undefined, evidence: [], ...more }
}

/** What a wallet's answer is refused for. */
export function refusal(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof LoginError) return `${error.code}: ${error.message}`
    throw error
  }
  return assert.fail('nothing was refused')
}

export const person = {
  id: 'member',
  format: 'vp+jwt',
  types: ['NaturalPersonPartyCredential'],
  about: 'person',
  issuedBy: [{ id: CORP }],
}
export const labelled = {
  id: 'label',
  format: 'vp+jwt',
  types: ['LabelCredential'],
  about: 'organisation',
  issuedBy: [{ id: GXDCH }],
  from: 'either',
}
