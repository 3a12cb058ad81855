import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { useChat } from '../chat/session'
import { nothingYet } from '../chat/state'
import { give, isEmpty, noOpinion, useOpinions } from './opinions'

interface Call {
  method: string
  body: unknown
}

let calls: Call[]
let answer: (call: Call) => Response

beforeEach(() => {
  calls = []
  answer = ({ body }) => Response.json({ ...(body as object), revision: calls.length })
  vi.useFakeTimers()
  vi.stubGlobal('fetch', (_: string, { method, body }: { method: string; body: string }) => {
    const call = { method, body: JSON.parse(body) as unknown }
    calls.push(call)
    return Promise.resolve().then(() => answer(call))
  })
  useOpinions.setState({ waiting: {}, refusals: {}, isReachable: true })
  useChat.setState(
    {
      ...nothingYet,
      messages: {
        r1: {
          id: 'r1', conversation_id: 'c1', parent_id: 'q1', role: 'assistant', content: 'Hi', state: 'done',
          policy_version: 1, created_at: '', ended_at: '', finish_reason: 'stop', feedback: null,
        },
      },
    },
    true,
  )
})

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

const shown = () => useChat.getState().messages.r1?.feedback

test('a thumb shows at once and is stored', async () => {
  give('r1', { ...noOpinion, rating: 1 })
  expect(shown()?.rating).toBe(1)
  await vi.runAllTimersAsync()
  expect(calls).toMatchObject([{ method: 'PUT', body: { rating: 1 } }])
  expect(shown()?.revision).toBe(1)
  expect(localStorage.getItem('backtalk.opinions')).toBeNull()
})

test('a thumb taken back withdraws the opinion', async () => {
  give('r1', noOpinion)
  answer = () => new Response(null, { status: 204 })
  await vi.runAllTimersAsync()
  expect(calls.map((call) => call.method)).toEqual(['DELETE'])
  expect(shown()).toBeNull()
})

test('of several clicks in a row the last one stands', async () => {
  give('r1', { ...noOpinion, rating: 1 })
  give('r1', { ...noOpinion, rating: 1, reasons: ['clear'] })
  give('r1', { ...noOpinion, rating: -1 })
  await vi.runAllTimersAsync()
  expect(calls.at(-1)?.body).toMatchObject({ rating: -1, reasons: [] })
  expect(shown()?.rating).toBe(-1)
})

test('an opinion given offline is kept in the browser and sent when the server is back', async () => {
  answer = () => {
    throw new TypeError('Failed to fetch')
  }
  give('r1', { ...noOpinion, rating: 1 })
  await vi.advanceTimersByTimeAsync(100)
  expect(JSON.parse(localStorage.getItem('backtalk.opinions') ?? '{}')).toMatchObject({ r1: { rating: 1 } })
  expect(useOpinions.getState().isReachable).toBe(false)
  answer = ({ body }) => Response.json({ ...(body as object), revision: 1 })
  await vi.advanceTimersByTimeAsync(6_000)
  expect(calls).toHaveLength(2)
  expect(useOpinions.getState().waiting).toEqual({})
  await vi.advanceTimersByTimeAsync(60_000)
  expect(calls).toHaveLength(2)
})

test('a refused opinion says why and is not sent again', async () => {
  answer = ({ method }) =>
    method === 'PUT'
      ? Response.json({ error: { code: 'bad_request', message: 'the score is 7' } }, { status: 422 })
      : Response.json({ items: [] })
  give('r1', { ...noOpinion, labels: { quality: 7 } })
  await vi.advanceTimersByTimeAsync(60_000)
  expect(useOpinions.getState().refusals.r1).toBe('the score is 7')
  expect(calls.filter((call) => call.method === 'PUT')).toHaveLength(1)
})

test('an opinion is empty only when nothing at all was said', () => {
  expect(isEmpty(noOpinion)).toBe(true)
  expect(isEmpty({ ...noOpinion, note: 'hm' })).toBe(false)
  expect(isEmpty({ ...noOpinion, labels: { quality: 1 } })).toBe(false)
})
