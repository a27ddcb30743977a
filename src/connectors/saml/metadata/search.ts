import type { Choice } from '../../connector.ts'
import type { Idp, Localized } from '../idp.ts'

/** What is kept of an IdP for the search: what is shown, and the texts that are looked at, folded. */
export interface Listed {
  readonly id: string
  readonly names: Localized
  readonly domain?: string
  /** It asked not to be shown. */
  readonly hidden?: true
  /** All names, folded, the shortest first. */
  readonly titles: readonly string[]
  /** Its domains, folded. */
  readonly domains: readonly string[]
  /** What it is found by beside these. */
  readonly words: string
}

/** Choices that a page shows at most; who does not see hers types another word. */
export const SHOWN = 50
/** Words of a query that count, and UTF-16 units of it. */
const WORDS = 8
const QUERY = 100

/** A text as the search sees it: without case, accents and other differences that people do not type ("giessen" finds "Gießen"). */
export function fold(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().replaceAll('ß', 'ss').replace(/\s+/g, ' ').trim()
}

/** German is typed with and without dots: "universitaet" is folded like "Universität" only where both are there. */
const spelled = (text: string) => text.replace(/[äöüÄÖÜ]/g, (letter) => `${letter.normalize('NFD')[0]}e`)

export function listed(idp: Idp): Listed {
  const names = Object.values(idp.names)
  const plain = idp.scopes.filter(({ pattern }) => !pattern).map(({ text }) => text)
  const host = URL.canParse(idp.entityId) ? [fold(new URL(idp.entityId).hostname)] : []
  const titles = [...new Set(names.flatMap((name) => [fold(name), fold(spelled(name))]))]
  titles.sort((one, other) => one.length - other.length)
  const domains = [...new Set(plain.map(fold))].slice(0, 20)
  const words = idp.keywords.map(fold)
  return {
    id: idp.entityId,
    names: idp.names,
    ...(plain[0] === undefined ? {} : { domain: plain[0] }),
    ...(idp.hidden ? { hidden: true } : {}),
    titles,
    domains,
    words: [...host, ...words].join('\n'),
  }
}

/** The name in a language, or in English, or in whichever there is; the entityID where there is none. */
export function nameIn({ id, names }: Pick<Listed, 'id' | 'names'>, language: string): string {
  const same = (tag: string) => names[tag] ?? Object.entries(names).find(([key]) => key.startsWith(`${tag}-`))?.[1]
  return same(language) ?? same('en') ?? Object.values(names)[0] ?? id
}

export function choiceOf(one: Listed, language: string): Choice {
  return { id: one.id, name: nameIn(one, language), ...(one.domain === undefined ? {} : { domain: one.domain }) }
}

const has = ({ titles, domains, words }: Listed, part: string): boolean =>
  words.includes(part) ||
  titles.some((title) => title.includes(part)) ||
  domains.some((domain) => domain.includes(part))

/** How well an entry answers a query whose words are all in it; less is better. */
function rank({ titles, domains }: Listed, query: string): number {
  if (domains.includes(query) || titles.includes(query)) return 0
  if (titles.some((title) => title.startsWith(query))) return 1
  if (domains.some((domain) => domain.startsWith(query))) return 2
  return titles.some((title) => title.includes(` ${query}`)) ? 3 : 4
}

/**
 * Looks through all entries: 10,000 of them in a few milliseconds.
 * @param words names, parts of names, a domain or an e-mail address; every word must be somewhere in an entry
 */
export function search(
  entries: readonly Listed[],
  words: string,
  language: string,
): { readonly shown: readonly Choice[]; readonly total: number } {
  const query = fold(words.slice(0, QUERY)).replace(/^.*@/, '')
  const parts = query.split(' ').filter(Boolean).slice(0, WORDS)
  const found = entries.filter((one) => parts.every((part) => has(one, part)))
  const order = new Intl.Collator(language)
  const ranked = found.map((one) => ({ one, at: rank(one, query), name: nameIn(one, language) }))
  // All of a large federation are sorted by the cheap half alone: the first fifty are then put in the order of the language.
  ranked.sort((a, b) => a.at - b.at || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  const shown = ranked.slice(0, SHOWN).sort((a, b) => a.at - b.at || order.compare(a.name, b.name))
  return { shown: shown.map(({ one }) => choiceOf(one, language)), total: found.length }
}
