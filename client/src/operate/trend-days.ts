/** The days of the summary as the plot takes them: thumbs of all versions together, inflow, and who went live. */

import type { Summary } from './shapes'

export interface TrendDay {
  day: string
  rated: number
  /** Of the thumbs that point up; null on a day without any. */
  share: number | null
  /** Opinions and comparisons that came in. */
  given: number
  /** Versions that went live on this day. */
  live: number[]
}

export function byDay({ inflow, days, policies }: Pick<Summary, 'inflow' | 'days' | 'policies'>): TrendDay[] {
  return inflow.map(({ day, opinions, comparisons }) => {
    const own = days.filter((one) => one.day === day)
    const rated = own.reduce((sum, one) => sum + one.rated, 0)
    const liked = own.reduce((sum, one) => sum + one.liked, 0)
    return {
      day,
      rated,
      share: rated > 0 ? liked / rated : null,
      given: opinions + comparisons,
      live: policies.filter((policy) => policy.live_at?.startsWith(day)).map((policy) => policy.number),
    }
  })
}
