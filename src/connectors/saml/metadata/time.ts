/** An `xs:dateTime` with its zone as Unix seconds, rounded down; undefined where it is none. SAML's times are UTC (core, section 1.3.3). */
export function dateTime(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(text)) return undefined
  const milliseconds = Date.parse(text)
  return Number.isNaN(milliseconds) ? undefined : Math.floor(milliseconds / 1000)
}

const DURATION = /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?$/
const SECONDS = [31_536_000, 2_592_000, 86_400, 3600, 60, 1]

/** An `xs:duration` in seconds, years and months as 365 and 30 days; undefined where it is none, or below zero. */
export function duration(text: string): number | undefined {
  const found = DURATION.exec(text)
  if (!found || text.endsWith('P') || text.endsWith('T')) return undefined
  return found.slice(1).reduce((sum, part, index) => sum + Number(part ?? 0) * SECONDS[index]!, 0)
}

/** Fewest seconds that metadata may wish for. */
export const SOONEST = 300

/** Seconds until metadata is read again: what it wishes, up to a day; an hour where it wishes nothing. */
export const pauseFor = (wish = 3600): number => Math.min(Math.max(wish, SOONEST), 86_400)
