/** Where two reports differ: every number that is not the same in both, by its path. */

import type { Json } from './shapes'

export interface Difference {
  path: string
  left: number | null
  right: number | null
}

export function differences(left: Json, right: Json): Difference[] {
  const one = numbers(left)
  const other = numbers(right)
  const paths = [...new Set([...one.keys(), ...other.keys()])]
  return paths.flatMap((path) => {
    const pair = { path, left: one.get(path) ?? null, right: other.get(path) ?? null }
    return pair.left === pair.right ? [] : [pair]
  })
}

function numbers(report: Json, above = '', found = new Map<string, number>()): Map<string, number> {
  for (const [name, value] of Object.entries(report)) {
    const path = above ? `${above}.${name}` : name
    if (typeof value === 'number') found.set(path, value)
    else if (typeof value === 'object' && value !== null && !Array.isArray(value)) numbers(value as Json, path, found)
  }
  return found
}
