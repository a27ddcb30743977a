/** The assurance levels of eIDAS (Regulation 910/2014, article 8), lowest first. */
const ladder: readonly string[] = ['low', 'substantial', 'high']

/** Whether a strength of sign-in is at least another: the eIDAS levels are a ladder; every other name stands for itself. */
export function acrReaches(reached: string | undefined, want: string): boolean {
  if (reached === undefined) return false
  return reached === want || (ladder.includes(want) && ladder.indexOf(reached) > ladder.indexOf(want))
}
