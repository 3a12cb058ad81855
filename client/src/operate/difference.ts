/** Where two reports differ: every figure that is not the same in both, by its path, and which side it speaks for. */

import type { Json } from './shapes'

export interface Measured {
  value: number
  low: number | null
  high: number | null
}

/** Of the right one beside the left one; `unsure` where their intervals overlap, null where more is neither. */
export type Verdict = 'better' | 'worse' | 'unsure' | null

export interface Difference {
  path: string
  left: Measured | null
  right: Measured | null
  /** Right less left; null where one is missing. */
  by: number | null
  verdict: Verdict
}

/** Which way is better, by the last word of a path that is known; what is told of others than the candidate is neither. */
const MORE_IS_BETTER = new Set(['gain', 'trained_gain', 'auc', 'judge_auc', 'pair_accuracy', 'right', 'won', 'refused', 'liked_share', 'auc_newest', 'rate', 'controlled', 'same_script'])
const LESS_IS_BETTER = new Set(['kl', 'endless', 'lost', 'calibration_error', 'forbidden', 'perplexity', 'given_up'])
const OF_OTHERS = new Set(['live', 'liked', 'asked', 'linear'])

export function differences(left: Json, right: Json): Difference[] {
  const one = figures(left)
  const other = figures(right)
  const paths = [...new Set([...one.keys(), ...other.keys()])]
  return paths.flatMap((path) => {
    const found = between(path, one.get(path) ?? null, other.get(path) ?? null)
    return found.by === 0 && isSame(found.left, found.right) ? [] : [found]
  })
}

export function between(path: string, left: Measured | null, right: Measured | null): Difference {
  const by = left && right ? right.value - left.value : null
  return { path, left, right, by, verdict: verdict(path, left, right) }
}

function verdict(path: string, left: Measured | null, right: Measured | null): Verdict {
  const way = wayOf(path.split('.'))
  if (!left || !right || way === 0 || left.value === right.value) return null
  if (left.low !== null && left.high !== null && right.low !== null && right.high !== null) {
    if (left.low <= right.high && right.low <= left.high) return 'unsure'
  }
  return way * (right.value - left.value) > 0 ? 'better' : 'worse'
}

function wayOf(words: string[]): number {
  if (words.some((word) => OF_OTHERS.has(word))) return 0
  return words.reduce((found, word) => (MORE_IS_BETTER.has(word) ? 1 : LESS_IS_BETTER.has(word) ? -1 : found), 0)
}

function isSame(left: Measured | null, right: Measured | null): boolean {
  return left?.low === right?.low && left?.high === right?.high
}

function figures(report: Json, above = '', found = new Map<string, Measured>()): Map<string, Measured> {
  for (const [name, value] of Object.entries(report)) {
    const path = above ? `${above}.${name}` : name
    if (typeof value === 'number') found.set(path, { value, low: null, high: null })
    else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const inner = value as Json
      const together = withInterval(inner)
      if (together) found.set(path, together)
      else figures(inner, path, found)
    }
  }
  return found
}

function withInterval({ value, low, high }: Json): Measured | null {
  return typeof value === 'number' && typeof low === 'number' && typeof high === 'number' ? { value, low, high } : null
}
