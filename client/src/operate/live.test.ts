import { describe, expect, it } from 'vitest'

import { keys } from './keys'
import { changes, holed, summaryWithPolicy, summaryWithRun, withLines, withLook, withMetrics, withRun } from './live'
import type { Canary, CanaryContent, Metric, OperateEvent, Policy, Run, Summary } from './shapes'

function aRun(values: Partial<Run> = {}): Run {
  return {
    id: 'one',
    schedule_id: null,
    requested_by: null,
    state: 'running',
    stage: 'policy',
    progress: 0.5,
    from_version: 0,
    to_version: null,
    recipe: {},
    counts: {},
    report: {},
    error: null,
    cancel_requested: false,
    queued_at: '2026-11-24T03:00:00Z',
    started_at: '2026-11-24T03:00:01Z',
    ended_at: null,
    ...values,
  }
}

function aPolicy(values: Partial<Policy> = {}): Policy {
  return {
    number: 1,
    parent: 0,
    run_id: 'one',
    state: 'live',
    directory: '1-abc',
    digest: 'abc',
    report: {},
    reason: null,
    created_at: '2026-11-24T03:10:00Z',
    live_at: '2026-11-24T03:10:01Z',
    ...values,
  }
}

const summary: Summary = {
  live: { number: 0, live_at: '2026-11-24T01:00:00Z', digest: 'first' },
  policies: [{ number: 0, state: 'live', live_at: '2026-11-24T01:00:00Z', replies: 9, rated: 5, liked: 2 }],
  days: [],
      inflow: [],
      news: [],
      opinions_since_last_run: 5,
  next_schedule: null,
  running_run: null,
  last_run: null,
  canary: null,
  waiting: [],
  people: 1,
  guests: 0,
  engine: { connected: true },
}

function metric(step: number, reward = 0): Metric {
  return { step, stage: 'policy', values: { reward } }
}

const event = (step: number, run_id = 'one'): OperateEvent => ({ type: 'metric', run_id, ...metric(step) })

/** What a burst makes of what is held under one key. */
function after(events: OperateEvent[], key: readonly unknown[], held: unknown): unknown {
  return changes(events)
    .filter((change) => JSON.stringify(change.key) === JSON.stringify(key))
    .reduce((old, change) => change.update(old), held)
}

const line = (number: number) => ({ number, level: 'info' as const, text: `line ${number}`, at: '2026-11-24T03:00:00Z' })

describe('steps that were told', () => {
  it('are asked for again where some are missing before them', () => {
    const known = new Map([['one', [metric(1), metric(2)]], ['new', []]])
    const of = (...events: OperateEvent[]) => holed(events, (id) => known.get(id))
    expect(of(event(3), event(4))).toEqual([])
    expect(of(event(2), event(3))).toEqual([])
    expect(of(event(4), event(5))).toEqual(['one'])
    expect(of(event(1, 'new'))).toEqual([])
    expect(of(event(7, 'never asked for'))).toEqual([])
  })
})

describe('the log of a run', () => {
  it('grows by what is new and never says a line twice', () => {
    const known = [line(1), line(2)]
    expect(withLines(known, [line(2), line(3)]).map(({ number }) => number)).toEqual([1, 2, 3])
    const event: OperateEvent = { type: 'log', run_id: 'one', lines: [line(3)] }
    const [found] = changes([event])
    expect(found?.key).toEqual(keys.log('one'))
    expect(found?.update(known)).toEqual([...known, line(3)])
    expect(found?.update(undefined)).toBeUndefined()
  })
})

describe('runs', () => {
  it('shows a run that is new first, and one that is known in its place', () => {
    const older = aRun({ id: 'older', queued_at: '2026-11-23T03:00:00Z' })
    expect(withRun([older], aRun()).map((run) => run.id)).toEqual(['one', 'older'])
    const changed = withRun([aRun(), older], aRun({ id: 'older', queued_at: older.queued_at, progress: 0.9 }))
    expect(changed.map((run) => [run.id, run.progress])).toEqual([['one', 0.5], ['older', 0.9]])
  })

  it('moves a run from running to last when it ends', () => {
    const running = summaryWithRun(summary, aRun())
    expect(running.running_run?.id).toBe('one')
    const ended = summaryWithRun(running, aRun({ state: 'promoted', ended_at: '2026-11-24T03:10:00Z' }))
    expect(ended.running_run).toBeNull()
    expect(ended.last_run?.state).toBe('promoted')
  })

  it('does not take an old run that is told again for the last one', () => {
    const known = { ...summary, last_run: aRun({ state: 'promoted' }) }
    const old = aRun({ id: 'old', state: 'failed', queued_at: '2026-11-20T03:00:00Z' })
    expect(summaryWithRun(known, old).last_run?.id).toBe('one')
  })
})

describe('versions', () => {
  it('makes a promoted version the live one and keeps what people said of the others', () => {
    const changed = summaryWithPolicy(summary, aPolicy())
    expect(changed.live?.number).toBe(1)
    expect(changed.policies.map(({ number, rated }) => [number, rated])).toEqual([[0, 5], [1, 0]])
    const retired = summaryWithPolicy(changed, aPolicy({ number: 0, state: 'retired', live_at: null }))
    expect(retired.live?.number).toBe(1)
    expect(retired.policies[0]).toMatchObject({ state: 'retired', liked: 2 })
  })
})

describe('a canary', () => {
  const content = { evidence: 1, replies: 3 } as CanaryContent
  const canary: Canary = {
    id: 'c',
    number: 1,
    control: 0,
    state: 'watching',
    step: 0,
    shares: [0.25],
    people: [10],
    replies: 5,
    alpha: 0.05,
    reason: null,
    began_at: '2026-11-24T03:10:00Z',
    ended_at: null,
    last: content,
  }

  it('grows its curve by what is new, once', () => {
    const known = withLook(null, canary)
    expect(known.looks).toHaveLength(1)
    expect(withLook(known, canary).looks).toHaveLength(1)
    const grown = withLook(known, { ...canary, last: { ...content, evidence: 2 } })
    expect(grown.looks.map((look) => look.content.evidence)).toEqual([1, 2])
    expect(withLook(grown, { ...canary, id: 'another' }).looks).toHaveLength(1)
  })

  it('stands in the summary while it is under way', () => {
    const seen = (state: Canary['state']) =>
      (after([{ type: 'canary', canary: { ...canary, state } }], keys.summary, summary) as Summary).canary
    expect(seen('paused')?.number).toBe(1)
    expect(seen('taken_back')).toBeNull()
  })
})

describe('measures', () => {
  it('goes on where the known ones end', () => {
    expect(withMetrics([metric(1)], [metric(2), metric(3)]).map((one) => one.step)).toEqual([1, 2, 3])
  })

  it('puts what came late or twice in its place, once', () => {
    const merged = withMetrics([metric(2), metric(5)], [metric(1), metric(5, 7), metric(3)])
    expect(merged.map((one) => one.step)).toEqual([1, 2, 3, 5])
    expect(merged.at(-1)?.values).toEqual({ reward: 7 })
  })

  it('keeps the very same list when nothing is new', () => {
    const known = [metric(1)]
    expect(withMetrics(known, [])).toBe(known)
  })
})

describe('a burst of messages', () => {
  it('changes the measures of each run once', () => {
    const burst = [event(1), event(1, 'two'), event(2)]
    expect(changes(burst)).toHaveLength(2)
    expect(after(burst, keys.metrics('one'), [])).toHaveLength(2)
  })

  it('leaves alone what was never asked for', () => {
    const burst: OperateEvent[] = [{ type: 'run', run: aRun() }, { type: 'policy', policy: aPolicy() }, event(1)]
    for (const change of changes(burst)) expect(change.update(undefined)).toBeUndefined()
  })

  it('keeps the newest of several states of a run', () => {
    const burst: OperateEvent[] = [0.1, 0.2, 0.3].map((progress) => ({ type: 'run', run: aRun({ progress }) }))
    expect(after(burst, keys.runs, { items: [] })).toEqual({ items: [aRun({ progress: 0.3 })] })
  })
})
