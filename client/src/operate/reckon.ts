/** Small sums of the console: shares with intervals, times left, which field an error speaks of. */

import type { Run } from './shapes'

export interface Share {
  value: number
  low: number
  high: number
}

/** Wilson's 95 % interval of `liked` out of `rated` (E. B. Wilson, 1927); null while nobody has rated. */
export function share(liked: number, rated: number): Share | null {
  if (rated === 0) return null
  const z = 1.96
  const p = liked / rated
  const middle = (p + (z * z) / (2 * rated)) / (1 + (z * z) / rated)
  const half = (z / (1 + (z * z) / rated)) * Math.sqrt((p * (1 - p)) / rated + (z * z) / (4 * rated * rated))
  return { value: p, low: Math.max(0, middle - half), high: Math.min(1, middle + half) }
}

/** Below this share of the way nothing can be foretold. */
const EARLIEST = 0.03

/** Seconds that a run will still take if it goes on as it went so far; null when that cannot be said. */
export function secondsLeft(run: Run, now: number): number | null {
  if (run.state !== 'running' || run.started_at === null || run.progress < EARLIEST) return null
  const elapsed = (now - Date.parse(run.started_at)) / 1000
  return elapsed > 0 ? (elapsed * (1 - run.progress)) / run.progress : null
}

/** Seconds from start to end, or until now; null before the start. */
export function secondsTaken(run: Run, now: number): number | null {
  if (run.started_at === null) return null
  return Math.max(0, ((run.ended_at === null ? now : Date.parse(run.ended_at)) - Date.parse(run.started_at)) / 1000)
}

/** Hours, minutes and seconds, the two largest that count: "1 h 5 min", "42 s". */
export function parts(seconds: number): { hours: number; minutes: number; seconds: number } {
  const whole = Math.round(seconds)
  return { hours: Math.floor(whole / 3600), minutes: Math.floor((whole % 3600) / 60), seconds: whole % 60 }
}

const fieldWords = {
  recipe: /\brecipe field\b/,
  reward_profile: /\breward profile\b/,
  blackouts: /\bblackout/,
  after_feedback: /after_feedback/,
  on_drift: /on_drift/,
  cron: /\bcron\b/,
  time_zone: /time[_ ]zone/,
  name: /\bname\b/,
  minimum_feedback: /minimum[_ ]feedback/,
} as const

export type ScheduleField = keyof typeof fieldWords

/** The field of the schedule form that the server's refusal speaks of; null when it is about the whole. */
export function fieldOf(message: string): ScheduleField | null {
  const found = (Object.keys(fieldWords) as ScheduleField[]).flatMap((field) => {
    const at = message.search(fieldWords[field])
    return at >= 0 ? [{ field, at }] : []
  })
  return found.sort((a, b) => a.at - b.at)[0]?.field ?? null
}
