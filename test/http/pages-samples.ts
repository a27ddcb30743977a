import type { ErrorCode } from '../../src/core/errors.ts'
import {
  awayPage,
  chooserPage,
  createLook,
  deviceConfirmPage,
  deviceDeclinedPage,
  deviceDonePage,
  deviceEntryPage,
  discoveryPage,
  errorPage,
  type Language,
  logoutConfirmPage,
  otherPersonPage,
  type Page,
  postFormPage,
  refusedPage,
  signedOutPage,
  stillSignedInPage,
  type Theme,
  walletOverPage,
  walletPage,
} from '../../src/http/pages/index.ts'

/** Friday, 1 January 2027, 12:00 UTC. */
export const now = 1_798_804_800

/** Makes a model's text; the identity for ordinary pages, something hostile for attack tests. */
export type Fill = (text: string) => string

/** A sample page: its model with every free text passed through `fill`. */
type Sample = (theme: Theme, fill: Fill) => Page

// What is a code and not a text: a union of literals in the models.
const codes = new Set(['code', 'error', 'problem'])

/** `model` with every string in it, at any depth and as keys of records too, replaced by `fill`. */
function filled<T>(model: T, fill: Fill): T {
  const walk = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') return codes.has(key) ? value : fill(value)
    if (Array.isArray(value)) return value.map((item) => walk(item, key))
    if (typeof value !== 'object' || value === null) return value
    const named = key === 'hidden' || key === 'fields'
    return Object.fromEntries(
      Object.entries(value).map(([name, part]) => [named ? fill(name) : name, walk(part, name)]),
    )
  }
  return walk(model, '') as T // the same shape: only the characters of its strings differ
}

function sample<M>(page: (model: M, theme: Theme) => Page, model: M): Sample {
  return (theme, fill) => page(filled(model, fill), theme)
}

const error = (code: ErrorCode) => ({
  code,
  facts: { organisation: 'Corp AG', client: 'openstack CLI', target: 'cloud', acr: 'substantial', claim: 'email' },
  errorId: '7F3K-2M9Q',
  now,
  retryHref: '/login/abc',
})

const chooser = {
  clientLabel: 'Dashboard',
  connectors: [
    { label: 'Example University', hint: 'University account', href: '/login/abc?connector=campus', mark: 'EU' },
    { label: 'Corp AG', href: '/login/abc?connector=corp', mark: 'CA' },
  ],
  lastUsed: '/login/abc?connector=corp',
}
const search = { action: '/login/abc', hidden: { step: '1' }, leadsTo: ['https://sso.corp.example'], value: 'corp' }
const university = { label: 'University of Giessen', hint: 'uni-giessen.example', href: '/login/abc?idp=1', mark: 'UG' }
const discovery = {
  clientLabel: 'Dashboard',
  federation: 'DFN-AAI',
  search: { action: '/login/abc', hidden: { connector: 'dfn' }, value: 'uni' },
  choices: [university, { label: 'urn:nameless', href: '/login/abc?idp=2', mark: 'UN' }],
  total: 99,
  last: { ...university, forgetHref: '/login/abc?forget=1' },
  elsewhereHref: '/login/abc?choose=1',
}
const device = { action: '/device', xsrf: 'x1' }
const refused = {
  organisation: 'Example University',
  clientLabel: 'Dashboard',
  claims: [
    { name: 'affiliation', values: ['member', 'student'] },
    { name: 'entitlement', values: [] },
  ],
  grants: [
    { target: 'cloud', project: 'web', domain: 'corp', roles: ['member', 'reader'] },
    { target: 'cloud', domain: 'corp', roles: ['reader'] },
    { target: 'prod', namespace: 'web', roles: ['edit'] },
    { target: 'prod', cluster: true as const, roles: ['view'] },
    { target: 'wiki', group: 'readers' },
  ],
  because: ['people without a contract stay out of production'],
  reference: '7F3K-2M9Q',
  now,
  wantsAcr: 'substantial',
  retryHref: '/login/abc',
}
const wallet = {
  link: 'https://wallet.example/?client_id=x509_hash%3Aabc',
  asked: [
    { label: 'employee', claims: ['given_name', 'roles'] },
    { label: 'label', claims: [] },
  ],
  answerTo: '/callback/gaiax',
  state: 'abc',
  label: 'Gaia-X wallet',
  clientLabel: 'Dashboard',
  here: 'login.cloud.example',
  until: now + 300,
  retryHref: '/login/abc?connector=gaiax',
  leaveHref: '/login/abc/leave',
}

/** Every page in every state that looks different. */
export const samples: Readonly<Record<string, Sample>> = {
  chooser: sample(chooserPage, { ...chooser, search: { ...search, notFound: false } }),
  'chooser without a search': sample(chooserPage, chooser),
  'chooser, not found': sample(chooserPage, { ...chooser, connectors: [], search: { ...search, notFound: true } }),
  discovery: sample(discoveryPage, discovery),
  'discovery, before a search': sample(discoveryPage, {
    ...discovery,
    search: { ...discovery.search, value: '' },
    choices: [],
  }),
  'discovery, all shown': sample(discoveryPage, { ...discovery, total: 2, last: undefined as never }),
  'discovery, nothing found': sample(discoveryPage, { ...discovery, choices: [], total: 0, problem: 'unknown' }),
  'device entry': sample(deviceEntryPage, device),
  'device entry, not found': sample(deviceEntryPage, { ...device, value: 'BCDF-KLMN', problem: 'not_found' }),
  'device entry, expired': sample(deviceEntryPage, { ...device, value: 'BCDF-KLMN', problem: 'expired' }),
  'device entry, too many': sample(deviceEntryPage, { ...device, problem: 'too_many' }),
  'device confirm': sample(deviceConfirmPage, {
    ...device,
    userCode: 'BCDF-KLMN',
    clientLabel: 'openstack CLI',
    targetLabel: 'Keystone',
    askedFrom: '203.0.113.7',
    askedAt: now - 120,
    now,
    leadsTo: ['https://sso.corp.example'],
  }),
  'device done': sample(deviceDonePage, { clientLabel: 'openstack CLI' }),
  'device declined': sample(deviceDeclinedPage, { clientLabel: 'openstack CLI' }),
  'signed out': sample(signedOutPage, { againHref: '/' }),
  away: sample(awayPage, { href: 'https://sso.corp.example/end', label: 'Corp AG' }),
  'still signed in': sample((_model, theme) => stillSignedInPage(theme), {}),
  'logout confirm': sample(logoutConfirmPage, { action: '/session/end/confirm', xsrf: 'x1', clientLabel: 'Headlamp' }),
  'other person': sample(otherPersonPage, {
    action: '/login/abc/person',
    hidden: { step: '1' },
    clientLabel: 'openstack CLI',
    signedInAs: 'anna@uni.example',
  }),
  error: sample(errorPage, error('acr_not_met')),
  'tries again': sample(errorPage, { ...error('unavailable'), again: 'by itself' }),
  'nothing granted': sample(refusedPage, { ...refused, error: 'nothing_granted' }),
  forbidden: sample(refusedPage, { ...refused, error: 'forbidden' }),
  wallet: sample(walletPage, wallet),
  'wallet, all ways': sample(walletPage, {
    ...wallet,
    code: 'openid4vp://?client_id=x509_hash%3Aabc&request_uri=https%3A%2F%2Flogin.cloud.example%2Fwallet%2Frequest%2Fabc',
    browser: 'request-1',
  }),
  'wallet, over': sample(walletOverPage, { retryHref: '/login/abc?connector=gaiax', leaveHref: '/login/abc/leave' }),
  'post form': sample(postFormPage, {
    action: 'https://sso.corp.example/saml',
    fields: { SAMLRequest: 'PHNhbWw+', RelayState: 'abc' },
    label: 'Corp AG',
  }),
}

/** A theme whose brand also goes through `fill`. */
export function themeIn(language: Language, fill: Fill = (text) => text): Theme {
  const look = createLook({
    name: fill('Cloud Nord'),
    color: '#0b5a8a',
    imprint: fill('https://cloud.example/imprint'),
    privacy: fill('https://cloud.example/privacy'),
    help: fill('https://cloud.example/help'),
  })
  return { look, language, here: fill('/login/abc?step=1') }
}

/** Whether a sample has a script: the form that submits itself, the search of a federation, who waits for a wallet or the store. */
export const isScripted = (name: string) => /^(?:post form|discovery|tries again|wallet(?!, over))/.test(name)

/** Every sample in both languages. */
export function everyPage(fill: Fill = (text) => text): readonly (readonly [string, Page, Language])[] {
  return (['de', 'en'] as const).flatMap((language) =>
    Object.entries(samples).map(
      ([name, make]) => [`${name} (${language})`, make(themeIn(language, fill), fill), language] as const,
    ),
  )
}
