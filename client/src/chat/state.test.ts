import { describe, expect, test } from 'vitest'

import type { ChatEvent, Say } from '../events'
import type { Message } from './message'
import { type ChatAction, type ChatState, nothingYet, reduce } from './state'

const say: Say = { type: 'say', key: 'k1', conversation_id: null, parent_id: null, text: 'Hello' }
const started: ChatEvent = {
  type: 'started', key: 'k1', conversation_id: 'c1', question_id: 'q1', reply_id: 'r1', policy_version: 3,
}
const delta = (seq: number, text: string): ChatEvent => ({ type: 'delta', reply_id: 'r1', seq, text })
const ended = (seq: number): ChatEvent => ({
  type: 'ended', reply_id: 'r1', seq, state: 'done', finish_reason: 'stop', usage: { prompt_tokens: 3, completion_tokens: 2 },
})

function after(actions: ChatAction[], from: ChatState = nothingYet): ChatState {
  return actions.reduce(reduce, from)
}

function events(...list: ChatEvent[]): ChatAction {
  return { type: 'events', events: list }
}

const asked: ChatAction[] = [
  { type: 'queued', pending: { request: say, attempts: 0, refused: null } },
  { type: 'sent', key: 'k1' },
]

const stored = (content: string, state: Message['state']): Message => ({
  id: 'r1', conversation_id: 'c1', parent_id: 'q1', role: 'assistant', content, state,
  policy_version: 3, created_at: '', ended_at: null, finish_reason: null, feedback: null, learned: [],
})

describe('a reply', () => {
  test('grows by its deltas and settles at its end', () => {
    const state = after([...asked, events(started, delta(1, 'Good '), delta(2, 'day'), ended(3))])
    expect(state.messages.r1).toMatchObject({ content: 'Good day', state: 'done', policy_version: 3, parent_id: 'q1' })
    expect(state.messages.q1).toMatchObject({ content: 'Hello', role: 'user', parent_id: null })
    expect(state.outbox).toEqual([])
    expect(state.opened).toBe('c1')
  })

  test('is the same whether its events come live, doubled, or resumed after a hole', () => {
    const live = after([...asked, events(started, delta(1, 'a'), delta(2, 'b'), delta(3, 'c'), ended(4))])
    const doubled = after([...asked, events(started, delta(1, 'a'), delta(1, 'a'), delta(2, 'b'), delta(1, 'a'), delta(3, 'c'), ended(4))])
    const resumed = after([
      ...asked,
      events(started, delta(1, 'a'), delta(3, 'c'), ended(4)),
      { type: 'followed', reply: 'r1' },
      events(delta(2, 'b'), delta(3, 'c'), ended(4)),
    ])
    for (const other of [doubled, resumed]) {
      expect(other.messages.r1?.content).toBe(live.messages.r1?.content)
      expect(other.messages.r1?.state).toBe('done')
      expect(other.gaps).toEqual([])
      expect(other.following).toEqual([])
    }
  })

  test('with a hole is asked for once, and shows nothing out of order', () => {
    const state = after([...asked, events(started, delta(1, 'a'), delta(3, 'c'))])
    expect(state.messages.r1?.content).toBe('a')
    expect(state.gaps).toEqual(['r1'])
    const asking = after([{ type: 'followed', reply: 'r1' }, events(delta(4, 'd'))], state)
    expect(asking.gaps).toEqual([])
  })

  test('whose end comes before its last words does not end yet', () => {
    const state = after([...asked, events(started, delta(1, 'a'), ended(3))])
    expect(state.messages.r1?.state).toBe('streaming')
    expect(state.gaps).toEqual(['r1'])
  })

  test('that was running when the connection was lost is asked for again', () => {
    const state = after([...asked, events(started, delta(1, 'a')), { type: 'reconnected' }])
    expect(state.gaps).toEqual(['r1'])
  })

  test('found running in the stored conversation is taken from its events, from the first on', () => {
    const state = after([{ type: 'loaded', conversation: 'c1', messages: [stored('half of', 'streaming')] }])
    expect(state.messages.r1?.content).toBe('')
    expect(state.gaps).toEqual(['r1'])
  })

  test('that ended here is not unmade by an older answer of the server', () => {
    const state = after([
      ...asked,
      events(started, delta(1, 'whole'), ended(2)),
      { type: 'loaded', conversation: 'c1', messages: [stored('who', 'streaming')] },
    ])
    expect(state.messages.r1).toMatchObject({ content: 'whole', state: 'done' })
    expect(state.gaps).toEqual([])
  })

  test('of which more was shown than was stored is fetched again', () => {
    const state = after([...asked, events(started, delta(1, 'a'), delta(2, 'b'), ended(2))])
    expect(state.stale).toEqual(['c1'])
  })
})

describe('a question', () => {
  test('asked a second time under its key follows its reply from the start', () => {
    const state = after([...asked, { type: 'sent', key: 'k1' }, events(started)])
    expect(state.gaps).toEqual(['r1'])
  })

  test('that is refused stays, with the reason, until it is sent again or withdrawn', () => {
    const refused: ChatEvent = { type: 'refused', key: 'k1', code: 'busy', message: 'two are running', retry_after: 2 }
    const state = after([...asked, events(refused)])
    expect(state.outbox[0]?.refused?.code).toBe('busy')
    expect(after([{ type: 'sent', key: 'k1' }], state).outbox[0]?.refused).toBeNull()
    expect(after([{ type: 'withdrawn', key: 'k1' }], state).outbox).toEqual([])
  })

  test('at the root of a conversation stands beside the first one', () => {
    const first = after([...asked, events(started, ended(1))])
    const request: Say = { ...say, key: 'k2', conversation_id: 'c1', parent_id: 'c1', text: 'Hi' }
    const state = after(
      [
        { type: 'queued', pending: { request, attempts: 1, refused: null } },
        events({ ...started, key: 'k2', question_id: 'q2', reply_id: 'r2' }),
      ],
      first,
    )
    expect(state.nodes.c1?.filter((node) => node.parent_id === null).map((node) => node.id)).toEqual(['q1', 'q2'])
    expect(state.choices.c1).toBe('q2')
  })
})

test('a word without a key makes what was asked for be looked up in storage', () => {
  const state = after([
    ...asked,
    events(started),
    { type: 'followed', reply: 'r1' },
    events({ type: 'refused', key: null, code: 'not_found', message: 'no such reply', retry_after: null }),
  ])
  expect(state.stale).toEqual(['c1'])
  expect(state.following).toEqual([])
})

test('notices tell of restarts and new versions', () => {
  const restarting = after([events({ type: 'notice', kind: 'engine_restarting', policy_version: null })])
  expect(restarting.engine).toBe('restarting')
  const back = after([events({ type: 'notice', kind: 'engine_ready', policy_version: 4 })], restarting)
  expect(back.engine).toBe('ready')
  expect(after([events({ type: 'notice', kind: 'policy_live', policy_version: 4 })]).newVersion).toBe(4)
})

test('a forgotten conversation leaves nothing behind', () => {
  const state = after([...asked, events(started, delta(1, 'a')), { type: 'forgotten', conversation: 'c1' }])
  expect(state.messages).toEqual({})
  expect(state.nodes).toEqual({})
})
