import type { Clock } from '../core/ports.ts'

/** Goes through the minutes of Unix time as they come, also those of the day before this process began. */
export interface Timetable {
  /**
   * Calls for each minute that has come since the last call, and again for the one that is not over. After a night without a process a
   * call goes a part of the way. What `work` throws ends the call; the next one goes on from there.
   */
  each(work: (minute: number) => Promise<void>): Promise<void>
}

/** Minutes in one call. */
const MINUTES = 120

export function openTimetable(now: Clock): Timetable {
  let minute = Math.floor(now() / 60) - 1440
  return {
    async each(work) {
      const current = Math.floor(now() / 60)
      const last = Math.min(current, minute + MINUTES)
      for (; minute <= last; minute++) await work(minute)
      minute = last < current ? last + 1 : current // the minute that is not over is looked at again
    },
  }
}
