import type Provider from 'oidc-provider'
import type { Hints } from '../connectors/connector.ts'
import { type ChooserModel, markOf } from './pages/index.ts'
import type { ConnectorEntry, Parts } from './parts.ts'
import { stepUpOf, strengths } from './step-up.ts'

/** What the Provider remembers of a sign-in that it asked for. */
export type Details = Awaited<ReturnType<Provider['interactionDetails']>>

/** What a client is called on pages. */
export function clientLabel(parts: Pick<Parts, 'clients'>, id: unknown): string {
  return parts.clients.get(String(id))?.label ?? String(id)
}

/** Which connector a request means: by name, by the domain of an e-mail address, or because there is no other. */
export function chosen(parts: Parts, details: Details, query: URLSearchParams): ConnectorEntry | 'unknown' | undefined {
  const named = query.get('connector') ?? details.params['connector']
  if (typeof named === 'string') return parts.connectors.get(named) ?? 'unknown'
  const words = query.get('organisation')
  if (words !== null) return byWords(parts, words) ?? 'unknown'
  if (query.has('choose')) return undefined
  const stepUp = stepUpOf(details)
  if (stepUp) return parts.connectors.get(stepUp.connector) ?? 'unknown'
  const hint = details.params['login_hint']
  const hinted = typeof hint === 'string' && hint.includes('@') ? byWords(parts, hint) : undefined
  if (hinted) return hinted
  const all = [...parts.connectors.values()]
  return all.length === 1 ? all[0] : undefined
}

/** An organisation by its e-mail domain (exact) or by its whole name: never by a part, which would list customers. */
function byWords(parts: Parts, words: string): ConnectorEntry | undefined {
  const text = words.trim().toLowerCase()
  const domain = text.slice(text.lastIndexOf('@') + 1)
  const all = [...parts.connectors.values()]
  const byDomain = all.find((c) => c.emailDomains.includes(domain))
  if (byDomain || text.includes('@')) return byDomain
  // Customers choose their names: of two that are called the same nobody knows which one is meant.
  const called = all.filter((c) => c.label.toLowerCase() === text)
  return called.length === 1 ? called[0] : undefined
}

/** A person who was refused chooses another account: an upstream that remembers the first one would bring that back, silently. */
export const isAgain = (query: URLSearchParams) => query.has('choose') || query.has('again')

/**
 * What the client asked of the upstream; asked anew where the person wants another account.
 * @param wanted the strength that the rules want, where they do
 */
export function hintsOf(parts: Parts, details: Details, query: URLSearchParams, wanted: string | undefined): Hints {
  const { acr_values, max_age, login_hint, ui_locales } = details.params as Record<string, unknown>
  const { reasons } = details.prompt
  const again = isAgain(query) || reasons.includes('login_prompt') || reasons.includes('other_person')
  return {
    ...strengthOf(parts, acr_values, details, wanted),
    ...(max_age !== undefined ? { maxAge: Number(max_age) } : {}),
    ...(again ? { prompt: 'login' as const } : {}),
    ...(typeof login_hint === 'string' ? { loginHint: login_hint } : {}),
    ...(typeof ui_locales === 'string' ? { uiLocales: ui_locales } : {}),
  }
}

/**
 * The strengths to ask for: what the rules want, which only the store knows (an address could be made up), and what the client wants;
 * where both speak, what satisfies both.
 */
function strengthOf(
  parts: Parts,
  acrValues: unknown,
  details: Details,
  wanted: string | undefined,
): Pick<Hints, 'acrValues'> {
  const client = typeof acrValues === 'string' ? strengths(parts, acrValues.split(' ')) : []
  const rules = wanted === undefined ? (stepUpOf(details)?.acr ?? []) : strengths(parts, [wanted])
  const both = rules.filter((acr) => client.includes(acr))
  const acr = rules.length === 0 ? client : both.length > 0 ? both : rules
  return acr.length > 0 ? { acrValues: acr } : {}
}

/** What the chooser page shows; unlisted connectors only make the search appear. */
export function chooserModel(parts: Parts, details: Details, query: URLSearchParams): ChooserModel {
  const action = new URL(`/login/${details.uid}`, parts.issuer).href
  const all = [...parts.connectors.values()]
  const listed = all.filter((c) => !c.unlisted)
  const again = isAgain(query)
  const value = query.get('organisation') ?? ''
  return {
    clientLabel: clientLabel(parts, details.params['client_id']),
    connectors: listed.map(({ id, label, hint }) => ({
      label,
      ...(hint === undefined ? {} : { hint }),
      href: `${action}?connector=${encodeURIComponent(id)}${again ? '&again=1' : ''}`,
      mark: markOf(label),
    })),
    ...(all.length > listed.length
      ? { search: { action, value, notFound: value !== '', ...(again ? { hidden: { again: '1' } } : {}) } }
      : {}),
  }
}
