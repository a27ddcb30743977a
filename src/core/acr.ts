/** Strengths of authentication, lowest first; the names in one entry mean the same. */
export type Assurance = readonly (readonly string[])[]

/** The assurance levels of eIDAS (Regulation 910/2014, article 8): what holds where the configuration names none of its own. */
const eidas: Assurance = [['low'], ['substantial'], ['high']]

/** Every `acr` that is at least another, that one first: what to ask for, and what to be content with. */
export function atLeast(assurance: Assurance, want: string): readonly string[] {
  for (const ladder of [assurance, eidas]) {
    const rank = ladder.findIndex((names) => names.includes(want))
    if (rank >= 0) return [...new Set([want, ...ladder.slice(rank).flat()])]
  }
  return [want]
}
