/** A report (any JSON the learner writes) as something to read: figures, checks, lists and small tables. */

import type { Json } from './shapes'

export interface Numeral {
  kind: 'number'
  name: string
  value: number
  low: number | null
  high: number | null
  isShare: boolean
}

export type Figure =
  | Numeral
  | { kind: 'group'; name: string; parts: Numeral[] }
  | { kind: 'check'; name: string; isPassed: boolean }
  | { kind: 'text'; name: string; text: string }
  | { kind: 'list'; name: string; items: string[] }
  | { kind: 'table'; name: string; columns: string[]; rows: string[][] }

export interface Section {
  /** Empty for what stands at the top of the report. */
  name: string
  figures: Figure[]
}

/** Words in the path of a figure that tell a share, unless another one tells that it is something else. */
const SHARES = new Set(['share', 'accuracy', 'liked', 'right', 'ended', 'endless', 'clipped', 'gain', 'agreement', 'confidence', 'wins', 'script', 'given'])
const NO_SHARES = new Set(['weights', 'weight', 'seconds', 'length', 'minimum', 'maximum'])
const MOST_ROWS = 50
/** A few numbers of one thing are read together; more are a section of their own. */
const MOST_TOGETHER = 6

/** Sections in the order of the report; nested objects become sections of their own, named by their path. */
export function sections(report: Json): Section[] {
  const found: Section[] = []
  collect('', report, found)
  return found.filter((section) => section.figures.length > 0)
}

function collect(name: string, values: Json, found: Section[]): void {
  const section: Section = { name, figures: [] }
  found.push(section)
  for (const [key, value] of Object.entries(values)) {
    const path = `${name}.${key}`
    const together = isObject(value) ? (withInterval(key, path, value) ?? group(key, path, value)) : null
    if (together) section.figures.push(together)
    else if (isObject(value)) collect(name ? `${name}.${key}` : key, value, found)
    else {
      const own = figure(key, path, value)
      if (own) section.figures.push(own)
    }
  }
}

function figure(name: string, path: string, value: unknown): Figure | null {
  if (typeof value === 'boolean') return { kind: 'check', name, isPassed: value }
  if (typeof value === 'number') return numeral(name, path, value)
  if (typeof value === 'string') return value ? { kind: 'text', name, text: value } : null
  if (!Array.isArray(value) || value.length === 0) return null
  const items: unknown[] = value
  if (items.every(isObject)) return table(name, items)
  return { kind: 'list', name, items: items.map(text) }
}

function numeral(name: string, path: string, value: number): Numeral {
  return { kind: 'number', name, value, low: null, high: null, isShare: isShare(path, value) }
}

function group(name: string, path: string, values: Json): Figure | null {
  const entries = Object.entries(values)
  const numbers = entries.filter((entry): entry is [string, number] => typeof entry[1] === 'number')
  if (numbers.length === 0 || numbers.length < entries.length || numbers.length > MOST_TOGETHER) return null
  return { kind: 'group', name, parts: numbers.map(([key, value]) => numeral(key, `${path}.${key}`, value)) }
}

/** `{value, low, high}` and `{mean, interval: [low, high]}` are one figure with its interval. */
function withInterval(name: string, path: string, values: Json): Figure | null {
  const value = firstNumber(values, ['value', 'mean', 'estimate', 'rate', 'share'])
  const pair: unknown = values.interval ?? values.ci
  const [low, high] = Array.isArray(pair)
    ? (pair as unknown[])
    : [values.low ?? values.lower, values.high ?? values.upper]
  if (value === null || typeof low !== 'number' || typeof high !== 'number') return null
  return { kind: 'number', name, value, low, high, isShare: isShare(path, value) && low >= -1 && high <= 1 }
}

function firstNumber(values: Json, names: string[]): number | null {
  for (const name of names) {
    const value = values[name]
    if (typeof value === 'number') return value
  }
  return null
}

function table(name: string, items: Json[]): Figure {
  const columns = [...new Set(items.flatMap((item) => Object.keys(item)))]
  const rows = items.slice(0, MOST_ROWS).map((item) => columns.map((column) => text(item[column])))
  return { kind: 'table', name, columns, rows }
}

function text(value: unknown): string {
  if (value === null || value === undefined) return '–'
  if (typeof value === 'number') return plain(value)
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return value ? '✓' : '✗'
  if (isObject(value)) return interval(value) ?? JSON.stringify(value)
  return JSON.stringify(value)
}

/** An estimate with its interval, where both stand in one cell; all three with the digits that the largest is worth. */
function interval({ value, low, high }: Json): string | null {
  if (typeof value !== 'number' || typeof low !== 'number' || typeof high !== 'number') return null
  const size = Math.max(Math.abs(value), Math.abs(low), Math.abs(high))
  const digits = size >= 10 ? 1 : size >= 1 ? 2 : 3
  // Without its sign where nothing is left but zeros.
  const [middle, from, to] = [value, low, high].map((one) => (Number(one.toFixed(digits)) || 0).toLocaleString('en'))
  return `${middle} (${from} – ${to})`
}

/** A number with as many digits as it is worth. */
export function plain(value: number, locale?: string): string {
  if (Number.isInteger(value)) return value.toLocaleString(locale)
  const size = Math.abs(value)
  if (size >= 0.001 && size < 1e6) return value.toLocaleString(locale, { maximumSignificantDigits: size >= 100 ? 4 : 3 })
  return value.toExponential(1)
}

export function percent(value: number, locale?: string): string {
  return value.toLocaleString(locale, { style: 'percent', maximumFractionDigits: Math.abs(value) < 0.1 ? 1 : 0 })
}

/** A measure's name when no word is known for it. */
export function spaced(name: string): string {
  const words = name.replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

function isShare(path: string, value: number): boolean {
  const words = path.split(/[._]/)
  return Math.abs(value) <= 1 && words.some((word) => SHARES.has(word)) && !words.some((word) => NO_SHARES.has(word))
}

/** What `given` says otherwise than `usual`, with the same nesting. */
export function difference(given: Json, usual: Json): Json {
  const found: Json = {}
  for (const [name, value] of Object.entries(given)) {
    const other = usual[name]
    if (isObject(value) && isObject(other)) {
      const inner = difference(value, other)
      if (Object.keys(inner).length > 0) found[name] = inner
    } else if (JSON.stringify(value) !== JSON.stringify(other)) found[name] = value
  }
  return found
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
