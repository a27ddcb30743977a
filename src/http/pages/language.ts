import type { Language } from './texts.ts'

/**
 * The language of a page: what the person chose by the switch (`?lang=`), then what she chose before (the cookie
 * `lotse_lang`), then what her browser prefers; English where nothing fits. Takes any input, however malformed.
 * @see RFC 9110 section 12.5.4
 */
export function pickLanguage(
  acceptLanguage: string | undefined,
  query: string | undefined,
  cookie: string | undefined,
): Language {
  return languageOf(query) ?? languageOf(cookie) ?? preferred(acceptLanguage ?? '') ?? 'en'
}

/** The path and query `here`, asking for a language. Stays on this origin whatever `here` is. */
export function inLanguage(here: string, language: Language): string {
  const base = 'https://here.invalid/'
  const url = URL.canParse(here, base) ? new URL(here, base) : new URL(base)
  url.searchParams.set('lang', language)
  return `/${url.pathname.replace(/^\/+/, '')}${url.search}`
}

function languageOf(text: string | undefined): Language | undefined {
  return text === 'de' || text === 'en' ? text : undefined
}

function preferred(header: string): Language | undefined {
  const wanted = header
    .slice(0, 500)
    .split(',')
    .flatMap((part) => {
      const [tag = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase())
      const language = languageOf(tag.split('-')[0])
      const quality = Number(parameters.find((piece) => piece.startsWith('q='))?.slice(2) ?? 1)
      return language && quality > 0 ? [{ language, quality }] : []
    })
  return wanted.sort((a, b) => b.quality - a.quality)[0]?.language
}
