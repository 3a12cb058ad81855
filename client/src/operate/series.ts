/** From the steps of a run to the curves on its page. */

import type { Metric } from './shapes'

/** What belongs on one plot: measures of one unit, told of in this order. */
export const groups = [
  { name: 'reward', measures: ['reward'] },
  { name: 'kl', measures: ['kl'] },
  { name: 'length', measures: ['length'] },
  { name: 'entropy', measures: ['entropy'] },
  { name: 'policy_loss', measures: ['policy_loss'] },
  { name: 'value_loss', measures: ['value_loss'] },
  { name: 'shares', measures: ['clipped', 'ended', 'ess', 'explained_variance'] },
  { name: 'reward_loss', measures: ['reward_loss'] },
  { name: 'reward_accuracy', measures: ['reward_accuracy'] },
  { name: 'distill_loss', measures: ['distill_loss'] },
  { name: 'reward_spread', measures: ['reward_spread'] },
  { name: 'change', measures: ['change'] },
  { name: 'gain', measures: ['gain', 'gain_low', 'gain_high'] },
  { name: 'gradients', measures: ['reward_gradient', 'distill_gradient', 'ppo_gradient'] },
] as const

export type GroupName = (typeof groups)[number]['name']

export interface Curve {
  measure: string
  steps: number[]
  values: number[]
}

export interface Panel {
  /** A group, or the name of a measure that no group knows. */
  name: string
  isKnown: boolean
  curves: Curve[]
}

/** Measures that were taken only once, with their value: there is no curve to draw. */
export function singles(found: Panel[]): [measure: string, value: number][] {
  return found.flatMap(({ curves }) =>
    curves.flatMap(({ measure, values }) => (values.length === 1 ? [[measure, values[0] ?? 0] as [string, number]] : [])),
  )
}

/** The panels with something to draw. */
export function drawable(found: Panel[]): Panel[] {
  return found
    .map((panel) => ({ ...panel, curves: panel.curves.filter((curve) => curve.values.length > 1) }))
    .filter((panel) => panel.curves.length > 0)
}

/** The curves of the steps that were looked at so far. */
export interface Gathered {
  of: Metric[]
  curves: ReadonlyMap<string, Curve>
}

export const nothing: Gathered = { of: [], curves: new Map() }

/** Curves of all steps. Of a run that goes on only the new ones are looked at: those before them are in `before`. */
export function gather(metrics: Metric[], before: Gathered = nothing): Gathered {
  const known = before.of.length
  const goesOn = metrics.length >= known && metrics[0] === before.of[0] && metrics[known - 1] === before.of[known - 1]
  if (known > 0 && !goesOn) return gather(metrics)
  const fresh = new Map<string, Curve>()
  for (const { step, values } of known > 0 ? metrics.slice(known) : metrics) {
    for (const [measure, value] of Object.entries(values)) {
      if (typeof value !== 'number') continue
      let curve = fresh.get(measure)
      if (!curve) fresh.set(measure, (curve = { measure, steps: [], values: [] }))
      curve.steps.push(step)
      curve.values.push(value)
    }
  }
  const curves = new Map(before.curves)
  for (const [measure, { steps, values }] of fresh) {
    const old = curves.get(measure)
    curves.set(measure, { measure, steps: old ? old.steps.concat(steps) : steps, values: old ? old.values.concat(values) : values })
  }
  return { of: metrics, curves }
}

/** One panel for each group that was measured, and one for each measure nobody foresaw. */
export function panels(gathered: Gathered): Panel[] {
  const curves = new Map(gathered.curves)
  const found: Panel[] = []
  for (const { name, measures } of groups) {
    const own = measures.flatMap((measure) => curves.get(measure) ?? [])
    for (const curve of own) curves.delete(curve.measure)
    if (own.length > 0) found.push({ name, isKnown: true, curves: own })
  }
  for (const [name, curve] of curves) found.push({ name, isKnown: false, curves: [curve] })
  return found
}

/** All curves over one axis; null where a curve has no value at a step of another. */
export function aligned(curves: Curve[]): { steps: number[]; columns: (number | null)[][] } {
  const only = curves[0]
  if (only && curves.every((curve) => curve.steps.length === only.steps.length && curve.steps[0] === only.steps[0])) {
    return { steps: only.steps, columns: curves.map((curve) => curve.values) }
  }
  const steps = [...new Set(curves.flatMap((curve) => curve.steps))].sort((a, b) => a - b)
  const places = new Map(steps.map((step, place) => [step, place]))
  const columns = curves.map((curve) => {
    const column = new Array<number | null>(steps.length).fill(null)
    curve.steps.forEach((step, index) => {
      const place = places.get(step)
      if (place !== undefined) column[place] = curve.values[index] ?? null
    })
    return column
  })
  return { steps, columns }
}

/** Exponential moving average, corrected for its start, over about `window` values. Holes stay holes. */
export function smooth(values: (number | null)[], window: number): (number | null)[] {
  const keep = 1 - 2 / (window + 1)
  let sum = 0
  let weight = 0
  return values.map((value) => {
    if (value === null) return null
    sum = sum * keep + value
    weight = weight * keep + 1
    return sum / weight
  })
}

export interface Extent {
  first: number
  last: number
  least: number
  most: number
  count: number
}

/** A curve in five numbers: what the text beside a plot says. */
export function extent(values: number[]): Extent | null {
  const [first] = values
  const last = values.at(-1)
  if (first === undefined || last === undefined) return null
  let least = first
  let most = first
  for (const value of values) {
    if (value < least) least = value
    if (value > most) most = value
  }
  return { first, last, least, most, count: values.length }
}
