const DAY = 86_400_000

/** Offset of a zone from UTC at a moment, in milliseconds, by the platform's own time-zone data. */
function offsetAt(format: Intl.DateTimeFormat, moment: number): number {
  const part: Record<string, number> = {}
  for (const { type, value } of format.formatToParts(moment)) part[type] = Number(value)
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part
  return Date.UTC(year, month - 1, day, hour, minute, second) - moment
}

/** Reads a calendar date `2026-12-31`; undefined for anything else, also for a day that does not exist. Milliseconds UTC. */
function calendarDate(text: string): number | undefined {
  const found = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text)
  if (!found) return undefined
  const moment = Date.UTC(Number(found[1]), Number(found[2]) - 1, Number(found[3]))
  return new Date(moment).toISOString().slice(0, 10) === text ? moment : undefined
}

/** Unix seconds at which a day is over in a zone, by date; undefined where the text is no date. */
export function endOfDayIn(zone: string): (date: string) => number | undefined {
  const format = new Intl.DateTimeFormat('en', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  return (date) => {
    const day = calendarDate(date)
    if (day === undefined) return undefined
    const midnight = day + DAY
    // A clock change nearby makes two guesses. Where neither is a midnight, the clock jumped over it: the day ended then.
    const [before, after] = [midnight - DAY, midnight + DAY].map((near) => midnight - offsetAt(format, near))
    const guesses = [after ?? 0, before ?? 0].filter((guess) => guess + offsetAt(format, guess) === midnight)
    return Math.floor((guesses.length === 0 ? (before ?? 0) : Math.max(...guesses)) / 1000)
  }
}

/** Unix seconds of an RFC 3339 time, a bare date (its first second in UTC) or digits that are Unix seconds already. */
export function moment(text: string): number | undefined {
  if (/^\d{1,11}$/.test(text)) return Number(text)
  const day = calendarDate(text)
  if (day !== undefined) return day / 1000
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/i.test(text)) return undefined
  const parsed = Date.parse(text)
  return Number.isNaN(parsed) ? undefined : Math.floor(parsed / 1000)
}
