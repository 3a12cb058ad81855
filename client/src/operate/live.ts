/** How the messages of the console's socket change what the page already knows. Pure; `watch.ts` applies it. */

import type { QueryKey } from '@tanstack/react-query'

import type { Items } from '../http'
import { keys } from './keys'
import {
  type Canary,
  type CanaryCurve,
  isEnded,
  isUnderWay,
  type LogLine,
  type Metric,
  type OperateEvent,
  type Policy,
  type Run,
  type Summary,
} from './shapes'

export interface CanaryAnswer {
  canary: CanaryCurve | null
}

/** One change of one cached answer; `update` leaves answers that were never asked for alone. */
export interface Change {
  key: QueryKey
  update: (old: unknown) => unknown
}

export function withRun(runs: Run[], run: Run): Run[] {
  const others = runs.filter((other) => other.id !== run.id)
  return [...others, run].sort((a, b) => b.queued_at.localeCompare(a.queued_at))
}

export function withPolicy(policies: Policy[], policy: Policy): Policy[] {
  const others = policies.filter((other) => other.number !== policy.number)
  return [...others, policy].sort((a, b) => b.number - a.number)
}

/** Both lists as one, by step; of two measures of one step the fresh one counts. */
export function withMetrics(known: Metric[], fresh: Metric[]): Metric[] {
  const last = known.at(-1)?.step ?? -1
  const isContinuation = fresh.every((metric, index) => metric.step > (fresh[index - 1]?.step ?? last))
  if (isContinuation) return fresh.length > 0 ? [...known, ...fresh] : known
  const bySteps = new Map([...known, ...fresh].map((metric) => [metric.step, metric]))
  return [...bySteps.values()].sort((a, b) => a.step - b.step)
}

/** Runs of which steps were told that do not go on from what is known: the socket was joined after the answer came. */
export function holed(events: OperateEvent[], known: (id: string) => Metric[] | undefined): string[] {
  const first = new Map<string, number>()
  for (const event of events) {
    if (event.type === 'metric' && !first.has(event.run_id)) first.set(event.run_id, event.step)
  }
  return [...first].flatMap(([id, step]) => {
    const steps = known(id)
    return steps !== undefined && step > (steps.at(-1)?.step ?? 0) + 1 ? [id] : []
  })
}

/** The log with what was just said; what is known already is not said twice. */
export function withLines(known: LogLine[], fresh: LogLine[]): LogLine[] {
  const last = known.at(-1)?.number ?? 0
  return [...known, ...fresh.filter((line) => line.number > last)]
}

export function summaryWithRun(summary: Summary, run: Run): Summary {
  const isTheRunning = summary.running_run?.id === run.id
  if (!isEnded(run)) {
    const isNewer = !summary.running_run || run.queued_at >= summary.running_run.queued_at
    return isTheRunning || isNewer ? { ...summary, running_run: run } : summary
  }
  const isTheLast = !summary.last_run || run.queued_at >= summary.last_run.queued_at
  return {
    ...summary,
    running_run: isTheRunning ? null : summary.running_run,
    last_run: isTheLast ? run : summary.last_run,
  }
}

export function summaryWithPolicy(summary: Summary, policy: Policy): Summary {
  const { number, state, live_at, digest } = policy
  const known = summary.policies.find((counts) => counts.number === number)
  const counts = { replies: 0, rated: 0, liked: 0, ...known, number, state, live_at }
  const policies = [...summary.policies.filter((other) => other !== known), counts].sort((a, b) => a.number - b.number)
  return { ...summary, policies, live: state === 'live' ? { number, live_at, digest } : summary.live }
}

/** The canary with its curve; the newest look is appended to what is known of it. */
export function withLook(known: CanaryCurve | null, fresh: Canary): CanaryCurve {
  const looks = known?.id === fresh.id ? known.looks : []
  const last = looks.at(-1)
  if (fresh.last === null || JSON.stringify(last?.content) === JSON.stringify(fresh.last)) return { ...fresh, looks }
  const look = { seq: (last?.seq ?? -1) + 1, at: new Date().toISOString(), content: fresh.last }
  return { ...fresh, looks: [...looks, look] }
}

/** What a burst of messages changes, in the order in which they came. */
export function changes(events: OperateEvent[]): Change[] {
  const found: Change[] = []
  const metrics = new Map<string, Metric[]>()
  for (const event of events) {
    switch (event.type) {
      case 'run':
        found.push(
          change<Run>(keys.run(event.run.id), () => event.run),
          change<Items<Run>>(keys.runs, (old) => ({ items: withRun(old.items, event.run) })),
          change<Summary>(keys.summary, (old) => summaryWithRun(old, event.run)),
        )
        break
      case 'log':
        found.push(change<LogLine[]>(keys.log(event.run_id), (old) => withLines(old, event.lines)))
        break
      case 'policy':
        found.push(
          change<Items<Policy>>(keys.policies, (old) => ({ items: withPolicy(old.items, event.policy) })),
          change<Summary>(keys.summary, (old) => summaryWithPolicy(old, event.policy)),
        )
        break
      case 'canary':
        found.push(
          change<CanaryAnswer>(keys.canary, (old) => ({ canary: withLook(old.canary, event.canary) })),
          change<Summary>(keys.summary, (old) => ({ ...old, canary: isUnderWay(event.canary) ? event.canary : null })),
        )
        break
      case 'metric': {
        const { run_id, step, stage, values } = event
        const fresh = metrics.get(run_id)
        if (fresh) fresh.push({ step, stage, values })
        else metrics.set(run_id, [{ step, stage, values }])
      }
    }
  }
  for (const [id, fresh] of metrics) {
    found.push(change<Metric[]>(keys.metrics(id), (old) => withMetrics(old, fresh)))
  }
  return found
}

function change<T>(key: QueryKey, update: (old: T) => T): Change {
  return { key, update: (old) => (old === undefined ? undefined : update(old as T)) }
}
