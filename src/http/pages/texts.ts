import { de } from './texts-de.ts'
import { en, type Texts } from './texts-en.ts'

/** The languages of the pages. */
export type Language = 'de' | 'en'

/** Every text of every page. A text that one language lacks is a type error in its file. */
export const texts: Readonly<Record<Language, Texts>> = { en, de }

/** The languages in the order of the switch, each by its own name. */
export const languages: readonly (readonly [Language, string])[] = [
  ['de', 'Deutsch'],
  ['en', 'English'],
]

export type { Texts }
