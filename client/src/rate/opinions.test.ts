import { renderHook } from '@testing-library/react'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { useChat } from '../chat/session'
import { nothingYet } from '../chat/state'
import { give, isEmpty, noOpinion, type Opinion, useOpinion } from './opinions'
import { forgetOutbox, post, startOutbox, useOutbox } from './outbox'

interface Call {
  method: string
  path: string
  body: unknown
}

let calls: Call[]
let answer: (call: Call) => Response

const PLACE = 'backtalk.outbox.opinion/r1'

beforeEach(() => {
  calls = []
  answer = ({ method, body }) => Response.json({ ...(body as object), revision: calls.length, withdrawn: method === 'DELETE' })
  vi.useFakeTimers()
  vi.stubGlobal('fetch', (path: string, { method, body }: { method: string; body: string }) => {
    const call = { method, path, body: JSON.parse(body) as unknown }
    calls.push(call)
    return Promise.resolve().then(() => answer(call))
  })
  forgetOutbox()
  useOutbox.setState({ isReachable: true })
  useChat.setState(
    {
      ...nothingYet,
      messages: {
        r1: {
          id: 'r1', conversation_id: 'c1', parent_id: 'q1', role: 'assistant', content: 'Hi', state: 'done',
          policy_version: 1, created_at: '', ended_at: '', finish_reason: 'stop', feedback: null, learned: [],
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

const stored = () => useChat.getState().messages.r1?.feedback
const shown = () => renderHook(() => useOpinion(useChat.getState().messages.r1)).result.current
const unreachable = () => {
  throw new TypeError('Failed to fetch')
}

test('an opinion given in another tab shows here without asking for it, and so does its withdrawal', async () => {
  const other = new BroadcastChannel('backtalk.opinions')
  const heard: unknown[] = []
  other.onmessage = ({ data }) => heard.push(data)
  const feedback = { ...noOpinion, rating: 1, revision: 1 }
  other.postMessage({ type: 'feedback', reply: 'r1', feedback })
  await vi.waitFor(() => expect(shown().rating).toBe(1))
  other.postMessage({ type: 'feedback', reply: 'r1', feedback: null })
  await vi.waitFor(() => expect(shown().rating).toBeNull())
  expect([calls, heard]).toEqual([[], []])
  give('r1', { ...noOpinion, rating: -1 })
  await vi.waitFor(() => expect(heard).toMatchObject([{ reply: 'r1', feedback: { rating: -1 } }]))
  other.close()
})

test('a thumb shows at once and is stored', async () => {
  give('r1', { ...noOpinion, rating: 1 })
  expect(shown().rating).toBe(1)
  await vi.runAllTimersAsync()
  expect(calls).toMatchObject([{ method: 'PUT', body: { rating: 1 } }])
  expect(stored()).toMatchObject({ rating: 1, revision: 1 })
  expect(shown().rating).toBe(1)
  expect(localStorage.getItem(PLACE)).toBeNull()
})

test('an opinion that says nothing any more is withdrawn', async () => {
  give('r1', noOpinion)
  await vi.runAllTimersAsync()
  expect(calls.map((call) => call.method)).toEqual(['DELETE'])
  expect(stored()).toBeNull()
})

test('of several clicks in a row the last one stands', async () => {
  give('r1', { ...noOpinion, rating: 1 })
  give('r1', { ...noOpinion, rating: 1, reasons: ['clear'] })
  give('r1', { ...noOpinion, rating: -1 })
  await vi.runAllTimersAsync()
  expect(calls.at(-1)?.body).toMatchObject({ rating: -1, reasons: [] })
  expect(shown().rating).toBe(-1)
})

test('what is judged offline is kept in the browser and sent once when the server is back', async () => {
  answer = unreachable
  give('r1', { ...noOpinion, rating: 1 })
  post('comparison', 'k1', { method: 'POST', path: '/api/comparisons', body: { verdict: 'tie' } })
  post('judgement', 'i1', { method: 'POST', path: '/api/rate/i1', body: { verdict: 'left' } })
  await vi.advanceTimersByTimeAsync(100)
  expect(JSON.parse(localStorage.getItem(PLACE) ?? '{}')).toMatchObject({ body: { rating: 1 } })
  expect(localStorage.getItem('backtalk.outbox.comparison/k1')).toContain('tie')
  expect(localStorage.getItem('backtalk.outbox.judgement/i1')).toContain('left')
  expect(useOutbox.getState().isReachable).toBe(false)
  calls = []
  answer = ({ body }) => Response.json({ ...(body as object), revision: 1 })
  await vi.advanceTimersByTimeAsync(6_000)
  expect(calls.map(({ path }) => path)).toEqual(['/api/messages/r1/feedback', '/api/comparisons', '/api/rate/i1'])
  expect(useOutbox.getState().waiting).toEqual({})
  await vi.advanceTimersByTimeAsync(60_000)
  expect(calls).toHaveLength(3)
})

/** Another tab has written something, or taken it away. */
function elsewhere(key: string, opinion: Opinion | null): void {
  const text = opinion && JSON.stringify({ method: 'PUT', path: '/api/messages/r1/feedback', body: opinion })
  if (text === null) localStorage.removeItem(key)
  else localStorage.setItem(key, text)
  window.dispatchEvent(new StorageEvent('storage', { key, newValue: text }))
}

test('what two tabs judge offline does not push each other out, and the newest on one reply counts', async () => {
  answer = unreachable
  startOutbox()
  give('r1', { ...noOpinion, rating: 1 })
  elsewhere('backtalk.outbox.opinion/r2', { ...noOpinion, rating: 1 })
  elsewhere(PLACE, { ...noOpinion, rating: -1 })
  expect(shown().rating).toBe(-1)
  await vi.advanceTimersByTimeAsync(100)
  expect(Object.keys(localStorage).filter((key) => key.startsWith('backtalk.outbox.'))).toHaveLength(2)
  calls = []
  answer = ({ body }) => Response.json({ ...(body as object), revision: 1 })
  window.dispatchEvent(new Event('online'))
  await vi.advanceTimersByTimeAsync(100)
  expect(calls.map(({ body }) => (body as Opinion).rating).sort()).toEqual([-1, 1])
  expect(useOutbox.getState().waiting).toEqual({})
})

test('what another tab has delivered is not sent again', async () => {
  answer = unreachable
  startOutbox()
  elsewhere(PLACE, { ...noOpinion, rating: 1 })
  elsewhere(PLACE, null)
  window.dispatchEvent(new Event('online'))
  await vi.advanceTimersByTimeAsync(6_000)
  expect(calls).toEqual([])
})

test('what waits while nobody is signed in waits for them to come back', async () => {
  answer = () => Response.json({ error: { code: 'unauthorised', message: 'sign in' } }, { status: 401 })
  give('r1', { ...noOpinion, rating: 1 })
  await vi.advanceTimersByTimeAsync(100)
  expect(useOutbox.getState().refusals).toEqual({})
  expect(localStorage.getItem(PLACE)).not.toBeNull()
})

test('a refused opinion says why, is not sent again, and what is stored shows once more', async () => {
  answer = () => Response.json({ error: { code: 'bad_request', message: 'the score is 7' } }, { status: 422 })
  give('r1', { ...noOpinion, labels: { quality: 7 } })
  await vi.advanceTimersByTimeAsync(60_000)
  expect(useOutbox.getState().refusals).toEqual({ 'opinion/r1': 'the score is 7' })
  expect(calls).toHaveLength(1)
  expect(shown()).toEqual(noOpinion)
})

test('an opinion is empty only when nothing at all was said', () => {
  expect(isEmpty(noOpinion)).toBe(true)
  expect(isEmpty({ ...noOpinion, note: 'hm' })).toBe(false)
  expect(isEmpty({ ...noOpinion, labels: { quality: 1 } })).toBe(false)
})
