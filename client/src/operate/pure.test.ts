import { describe, expect, it } from 'vitest'

import { difference, plain, sections } from './figures'
import { differences } from './difference'
import { lineage } from './lineage'
import { algorithms, recipeOf, told, written } from './recipe'
import { fieldOf, parts, secondsLeft, share } from './reckon'
import { aligned, drawable, extent, gather, panels, singles, smooth } from './series'
import type { Policy, PolicyState, Run } from './shapes'
import { en } from './words-en'
import { zh } from './words-zh'

describe('curves', () => {
  const metrics = [
    { step: 1, stage: 'reward_model', values: { reward_loss: 0.7 } },
    { step: 2, stage: 'reward_model', values: { reward_loss: 0.5, auc: 0.8 } },
    { step: 3, stage: 'policy', values: { kl: 0.1, reward: 0.2, novelty: 4 } },
    { step: 4, stage: 'policy', values: { kl: 0.3, reward: 0.4, novelty: 5, change: 0.01 } },
  ]

  it('puts the reward first, groups what belongs together and keeps measures nobody foresaw', () => {
    const shown = panels(gather(metrics)).map(({ name, curves }) => [name, curves.map((curve) => curve.measure)])
    expect(shown).toEqual([
      ['reward', ['reward']],
      ['kl', ['kl']],
      ['reward_loss', ['reward_loss']],
      ['change', ['change']],
      ['auc', ['auc']],
      ['novelty', ['novelty']],
    ])
  })

  it('draws only what was measured more than once', () => {
    const all = panels(gather(metrics))
    expect(singles(all)).toEqual([['change', 0.01], ['auc', 0.8]])
    expect(drawable(all).map((panel) => panel.name)).toEqual(['reward', 'kl', 'reward_loss', 'novelty'])
  })

  it('looks only at new steps of a run that goes on', () => {
    const own = metrics.map((metric) => ({ ...metric }))
    const half = gather(own.slice(0, 2))
    for (const metric of own.slice(0, 2)) {
      Object.defineProperty(metric, 'values', {
        get: () => {
          throw new Error('looked at again')
        },
      })
    }
    expect(panels(gather(own, half))).toEqual(panels(gather(metrics)))
  })

  it('begins anew where steps came in between', () => {
    const [first, second, third, fourth] = metrics
    if (!first || !second || !third || !fourth) throw new Error('four steps')
    const holed = gather([first, second, fourth])
    expect(panels(gather([first, second, third, fourth], holed))).toEqual(panels(gather(metrics)))
  })

  it('leaves holes where one curve has no value', () => {
    const curves = panels(gather(metrics)).flatMap((panel) => (/^(kl|change)$/.test(panel.name) ? panel.curves : []))
    expect(aligned(curves)).toEqual({ steps: [3, 4], columns: [[0.1, 0.3], [null, 0.01]] })
  })

  it('averages without a bias towards zero at the start, and keeps holes', () => {
    expect(smooth([5, 5, null, 5], 3)).toEqual([5, 5, null, 5])
    // keep = 1 - 2/4 = 0.5: (0*0.5 + 1) / (1*0.5 + 1) = 2/3
    expect(smooth([0, 1], 3)[1]).toBeCloseTo(2 / 3)
  })

  it('says a curve in five numbers', () => {
    expect(extent([3, 1, 2])).toEqual({ first: 3, last: 2, least: 1, most: 3, count: 3 })
    expect(extent([])).toBeNull()
  })
})

describe('reports', () => {
  it('reads intervals, shares, checks and small tables', () => {
    const found = sections({
      number: 3,
      seconds: { gate: 1 },
      gate: { gain: { value: 0.12, low: 0.05, high: 0.2 }, right: { live: 1, candidate: 0.98 }, safe: true },
      people: [{ name: 'Ada', weight: 2 }],
      nothing: null,
    })
    expect(found.map((section) => section.name)).toEqual(['', 'gate'])
    expect(found[0]?.figures.map((figure) => figure.kind)).toEqual(['number', 'group', 'table'])
    expect(found[0]?.figures[1]).toMatchObject({ name: 'seconds', parts: [{ name: 'gate', value: 1, isShare: false }] })
    expect(found[1]?.figures).toMatchObject([
      { name: 'gain', value: 0.12, low: 0.05, high: 0.2, isShare: true },
      { name: 'right', parts: [{ name: 'live', isShare: true }, { name: 'candidate', isShare: true }] },
      { kind: 'check', name: 'safe', isPassed: true },
    ])
  })

  it('gives many numbers a section of their own', () => {
    const weights = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`feature ${index}`, index]))
    expect(sections({ linear: { weights } }).map((section) => section.name)).toEqual(['linear.weights'])
  })

  it('writes an estimate with its interval into one cell', () => {
    const rows = [{ suite: 'names', mean: { value: -0.0003, low: -0.1, high: 0.1254 }, other: { odd: 1 } }]
    const [figure] = sections({ swaps: rows })[0]?.figures ?? []
    expect(figure).toMatchObject({ rows: [['names', '0 (-0.1 – 0.125)', '{"odd":1}']] })
  })

  it('tells what a recipe says otherwise than the default', () => {
    const usual = { seed: 0, ppo: { clip: 0.2, kl: 0.05 }, rewards: { aspects: {} } }
    expect(difference({ ...usual, ppo: { clip: 0.2, kl: 0.1 } }, usual)).toEqual({ ppo: { kl: 0.1 } })
    expect(difference(usual, usual)).toEqual({})
  })

  it('gives a number the digits it is worth', () => {
    expect([12_345, 0.123456, 123.456, 0.00001].map((value) => plain(value, 'en'))).toEqual(['12,345', '0.123', '123.5', '1.0e-5'])
  })
})

describe('a recipe', () => {
  const recipe = { algorithm: 'distill', ppo: { clip: 0.1 }, steps: [1] }

  it('is the same after it was written in a form', () => {
    expect(recipeOf(written(recipe))).toEqual(recipe)
    expect(written({})).toEqual({ algorithm: null, rest: '' })
    expect(recipeOf({ algorithm: null, rest: ' ' })).toEqual({})
  })

  it('is none while its text is no JSON object', () => {
    for (const rest of ['{', '[1]', '3', 'null']) expect(recipeOf({ algorithm: 'ppo', rest })).toBeNull()
  })

  it('takes the way of learning from its field, not from the text', () => {
    expect(recipeOf({ algorithm: 'kto', rest: '{"algorithm": "ppo", "seed": 3}' })).toEqual({ algorithm: 'kto', seed: 3 })
    expect(recipeOf({ algorithm: null, rest: '{"algorithm": "ppo"}' })).toEqual({ algorithm: 'ppo' })
  })

  it('is told field by field', () => {
    expect(told(recipe)).toEqual(['algorithm = distill', 'ppo.clip = 0.1', 'steps = [1]'])
  })

  it('knows the ways of learning from the schema', () => {
    const algorithm = { anyOf: [{ enum: ['sft', 'ppo'], type: 'string' }, { const: 'ladder' }], default: 'ppo' }
    expect(algorithms({ properties: { algorithm } })).toEqual(['sft', 'ppo', 'ladder'])
    expect(algorithms({})).toEqual([])
  })
})

describe('the lineage', () => {
  const policy = (number: number, parent: number | null, state: PolicyState): Policy => ({
    number,
    parent,
    state,
    run_id: null,
    directory: '',
    digest: '',
    report: {},
    reason: null,
    created_at: '',
    live_at: null,
  })
  const lines = (policies: Policy[]) => lineage(policies).places.map((place) => [place.policy.number, place.line])

  it('keeps the live version and its ancestors on one line', () => {
    const policies = [policy(0, null, 'retired'), policy(1, 0, 'withdrawn'), policy(2, 0, 'retired'), policy(3, 2, 'live')]
    expect(lines(policies)).toEqual([[0, 0], [1, 1], [2, 0], [3, 0]])
    expect(lineage(policies).links.map(({ from, to }) => [from.policy.number, to.policy.number])).toEqual([[0, 1], [0, 2], [2, 3]])
  })

  it('gives two branches that overlap two lines, and uses a line again once it is free', () => {
    const policies = [
      policy(0, null, 'live'),
      policy(1, 0, 'rejected'),
      policy(2, 0, 'rejected'),
    ]
    expect(lines(policies)).toEqual([[0, 0], [1, 1], [2, 2]])
    const later = [policy(0, null, 'retired'), policy(1, 0, 'rejected'), policy(2, 0, 'live'), policy(3, 2, 'rejected')]
    expect(lines(later)).toEqual([[0, 0], [1, 1], [2, 0], [3, 1]])
  })

  it('shows runs that the gate turned down where they led nowhere', () => {
    const at = (policy: Policy, created_at: string) => ({ ...policy, created_at })
    const policies = [at(policy(0, null, 'retired'), '2026-01-01'), at(policy(1, 0, 'live'), '2026-01-03')]
    const run = { id: 'r', state: 'rejected', from_version: 0, ended_at: '2026-01-02', error: 'not liked more' } as Run
    const drawn = lineage(policies, [run, { ...run, id: 'other', state: 'failed' }])
    expect(drawn.stubs.map((stub) => [stub.run.id, stub.from.policy.number, stub.column, stub.line])).toEqual([['r', 0, 1, 1]])
    expect(drawn.places.map((place) => place.column)).toEqual([0, 2])
    expect(drawn.columns).toBe(3)
  })

  it('survives parents that are gone', () => {
    expect(lines([policy(4, 3, 'live')])).toEqual([[4, 0]])
    expect(lineage([]).places).toEqual([])
  })
})

describe('sums', () => {
  it("gives Wilson's interval", () => {
    // 8 of 10: middle (0.8 + 0.19208) / 1.38416 = 0.71674, half 0.22660
    const liked = share(8, 10)
    expect(liked?.value).toBe(0.8)
    expect(liked?.low).toBeCloseTo(0.4902, 3)
    expect(liked?.high).toBeCloseTo(0.9433, 3)
    expect(share(0, 0)).toBeNull()
  })

  it('foretells the time left only once something can be told', () => {
    const start = '2026-11-24T03:00:00Z'
    const run = { state: 'running', started_at: start, progress: 0.25 } as Run
    const now = Date.parse(start) + 60_000
    expect(secondsLeft(run, now)).toBe(180)
    expect(secondsLeft({ ...run, progress: 0.01 }, now)).toBeNull()
    expect(secondsLeft({ ...run, state: 'queued' }, now)).toBeNull()
    expect(parts(3725)).toEqual({ hours: 1, minutes: 2, seconds: 5 })
  })

  it('finds the field that a refusal speaks of', () => {
    expect(fieldOf("the cron text '0 3 * *' has 4 fields; expected five")).toBe('cron')
    expect(fieldOf("the time zone 'Mars' is unknown; expected a name such as UTC")).toBe('time_zone')
    expect(fieldOf("the name 'nightly' is taken; choose another or edit that schedule")).toBe('name')
    expect(fieldOf('minimum_feedback: Input should be greater than or equal to 0')).toBe('minimum_feedback')
    expect(fieldOf('something went wrong here, not with you')).toBeNull()
  })
})

describe('words', () => {
  it('holds the same places for values in both languages', () => {
    const holes = (text: string) => [...text.matchAll(/{{(\w+)}}/g)].map((match) => match[1]).sort()
    const english = Object.fromEntries(texts(en))
    for (const [path, text] of texts(zh)) {
      expect(holes(text), path).toEqual(holes(english[path] ?? ''))
    }
  })
})

function texts(words: object, above = ''): [string, string][] {
  return Object.entries(words).flatMap(([name, value]) => {
    const path = above + name
    return typeof value === 'string' ? [[path, value] as [string, string]] : texts(value as object, `${path}.`)
  })
}

describe('two reports', () => {
  const sure = { value: 0.1, low: 0.05, high: 0.14 }

  it('differ where a figure does, or is missing on one side', () => {
    const left = { gate: { gain: sure, kl: 2, length: { live: 20 } }, reward_model: { auc: 0.8 }, split: { by: 'person' } }
    const right = { gate: { gain: { value: 0.2, low: 0.15, high: 0.25 }, kl: 2, length: { live: 25 } }, split: { by: 'question' } }
    const found = differences(left, right).map(({ path, by, verdict }) => [path, by, verdict])
    expect(found).toEqual([
      ['gate.gain', 0.1, 'better'],
      ['gate.length.live', 5, null],
      ['reward_model.auc', null, null],
    ])
  })

  it('know for which figures less is better', () => {
    const verdicts = (name: string, left: number, right: number) => differences({ [name]: left }, { [name]: right })[0]?.verdict
    expect([verdicts('kl', 2, 1), verdicts('kl', 1, 2), verdicts('auc', 0.8, 0.7)]).toEqual(['better', 'worse', 'worse'])
  })

  it('are not told apart by a figure whose intervals overlap', () => {
    const [found] = differences({ gain: sure }, { gain: { value: 0.2, low: 0.13, high: 0.3 } })
    expect(found?.verdict).toBe('unsure')
    expect(found?.by).toBeCloseTo(0.1)
  })
})
