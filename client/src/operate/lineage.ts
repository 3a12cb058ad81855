/** Where each version stands in the picture of the lineage: time goes right, each branch has its own line. */

import type { Policy, Run } from './shapes'

interface Spot {
  column: number
  line: number
}

export interface Place extends Spot {
  policy: Policy
}

/** A run whose candidate the gate turned down: it led nowhere. */
export interface Stub extends Spot {
  run: Run
  from: Place
}

export interface Lineage {
  places: Place[]
  /** From parent to child. */
  links: { from: Place; to: Place }[]
  stubs: Stub[]
  columns: number
  lines: number
}

/** The live version and all it descends from lie on the first line; the others take the first line that is free. */
export function lineage(policies: Policy[], runs: Run[] = []): Lineage {
  const ordered = [...policies].sort((a, b) => a.number - b.number)
  const byNumber = new Map(ordered.map((policy) => [policy.number, policy]))
  const trunk = ancestors(byNumber, ordered.find((policy) => policy.state === 'live') ?? ordered.at(-1))
  const places = new Map<number, Place>()
  const stubs: Stub[] = []
  /** The last column that is taken on each line. */
  const taken: number[] = [-1]
  let column = 0
  const waiting = runs
    .filter((run) => run.state === 'rejected' && run.from_version !== null && run.ended_at !== null)
    .sort((a, b) => (a.ended_at ?? '').localeCompare(b.ended_at ?? ''))
  const placeStubs = (before: string | null) => {
    while (waiting[0] && (before === null || (waiting[0].ended_at ?? '') < before)) {
      const run = waiting.shift() as Run
      const from = places.get(run.from_version ?? -1)
      if (!from) continue
      const line = freeLine(taken, from.column)
      taken[line] = column
      stubs.push({ run, from, column, line })
      column += 1
    }
  }
  for (const policy of ordered) {
    placeStubs(policy.created_at)
    const parent = policy.parent === null ? undefined : places.get(policy.parent)
    const line = trunk.has(policy.number) ? 0 : freeLine(taken, parent?.column ?? column)
    taken[line] = column
    places.set(policy.number, { policy, column, line })
    column += 1
  }
  placeStubs(null)
  const all = [...places.values()]
  const links = all.flatMap((to) => {
    const from = to.policy.parent === null ? undefined : places.get(to.policy.parent)
    return from ? [{ from, to }] : []
  })
  return { places: all, links, stubs, columns: column, lines: taken.length }
}

function ancestors(byNumber: Map<number, Policy>, youngest: Policy | undefined): Set<number> {
  const found = new Set<number>()
  for (let policy = youngest; policy && !found.has(policy.number); ) {
    found.add(policy.number)
    policy = policy.parent === null ? undefined : byNumber.get(policy.parent)
  }
  return found
}

/** A line beside the first one on which nothing stands at or after `column`. */
function freeLine(taken: number[], column: number): number {
  const free = taken.findIndex((last, line) => line > 0 && last <= column)
  return free > 0 ? free : Math.max(1, taken.length)
}
