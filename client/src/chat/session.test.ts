import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import type { ChatEvent, ChatRequest } from '../events'
import { call } from '../http'
import { ChatSession, useChat, useConnection } from './session'
import type { Message } from './message'
import { nothingYet } from './state'

/** A server at the other end of a socket: remembers what it was told and says what the test wants. */
class Server {
  static sockets: Server[] = []
  static readonly OPEN = 1
  readyState = 0
  heard: ChatRequest[] = []
  onopen: (() => void) | null = null
  onmessage: ((event: { data: string }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null

  constructor(readonly address: URL) {
    Server.sockets.push(this)
  }

  send(frame: string): void {
    this.heard.push(JSON.parse(frame) as ChatRequest)
  }

  close(code = 1006): void {
    this.readyState = 3
    this.onclose?.({ code })
  }

  accept(): void {
    this.readyState = Server.OPEN
    this.onopen?.()
  }

  says(event: ChatEvent): void {
    this.onmessage?.({ data: JSON.stringify(event) })
  }
}

const latest = (): Server => {
  const server = Server.sockets.at(-1)
  if (!server) throw new Error('nobody has connected')
  return server
}

let session: ChatSession

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal('WebSocket', Server)
  vi.stubGlobal('requestAnimationFrame', (draw: () => void) => setTimeout(draw, 16))
  Server.sockets = []
  useChat.setState(nothingYet, true)
  session = new ChatSession()
  session.open()
})

afterEach(() => {
  session.close()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function begin(): void {
  const request = latest().heard.find((it) => it.type === 'say')
  if (!request) throw new Error('nothing was said')
  latest().says({
    type: 'started', key: request.key, conversation_id: 'c1', question_id: 'q1', reply_id: 'r1', policy_version: 1,
  })
}

test('what is said before the socket is open is said when it is', () => {
  session.say(null, null, 'Hello')
  expect(latest().heard).toEqual([])
  latest().accept()
  expect(latest().heard).toMatchObject([{ type: 'say', text: 'Hello', conversation_id: null }])
})

test('an unacknowledged question goes out again under the same key after the socket was lost', () => {
  latest().accept()
  session.say(null, null, 'Hello')
  const first = latest().heard[0]
  latest().close()
  expect(useConnection.getState().connection).toBe('waiting')
  vi.advanceTimersByTime(1_000)
  latest().accept()
  expect(Server.sockets).toHaveLength(2)
  expect(latest().heard).toEqual([first])
})

test('an unacknowledged question survives a reload of the page', () => {
  latest().accept()
  session.say(null, null, 'Hello')
  const first = latest().heard[0]
  session.close()
  useChat.setState(nothingYet, true)
  const reloaded = new ChatSession()
  reloaded.open()
  latest().accept()
  expect(latest().heard).toEqual([first])
  begin()
  expect(sessionStorage.getItem('backtalk.outbox')).toBeNull()
  reloaded.close()
})

test('many deltas between two frames change the page once', () => {
  latest().accept()
  session.say(null, null, 'Hello')
  begin()
  let changes = 0
  const stop = useChat.subscribe(() => (changes += 1))
  for (let seq = 1; seq <= 50; seq += 1) latest().says({ type: 'delta', reply_id: 'r1', seq, text: 'x' })
  expect(changes).toBe(0)
  vi.advanceTimersByTime(20)
  expect(changes).toBe(1)
  expect(useChat.getState().messages.r1?.content).toHaveLength(50)
  stop()
})

test('a running reply is followed from where it was after the socket was lost', () => {
  latest().accept()
  session.say(null, null, 'Hello')
  begin()
  latest().says({ type: 'delta', reply_id: 'r1', seq: 1, text: 'Good ' })
  latest().close()
  vi.advanceTimersByTime(20_000)
  latest().accept()
  expect(latest().heard).toEqual([{ type: 'follow', reply_id: 'r1', after: 1 }])
  latest().says({ type: 'delta', reply_id: 'r1', seq: 2, text: 'day' })
  latest().says({
    type: 'ended', reply_id: 'r1', seq: 3, state: 'done', finish_reason: 'stop', usage: { prompt_tokens: 1, completion_tokens: 2 },
  })
  expect(useChat.getState().messages.r1).toMatchObject({ content: 'Good day', state: 'done' })
})

test('a stop that finds the socket closed is sent when it is open again', () => {
  latest().accept()
  session.say(null, null, 'Hello')
  begin()
  latest().close()
  session.stop('r1')
  vi.advanceTimersByTime(20_000)
  latest().accept()
  expect(latest().heard).toContainEqual({ type: 'stop', reply_id: 'r1' })
})

test('a refusal that names a time is retried by itself, under the same key', () => {
  latest().accept()
  session.say(null, null, 'Hello')
  const [first] = latest().heard
  if (first?.type !== 'say') throw new Error('nothing was said')
  latest().says({ type: 'refused', key: first.key, code: 'busy', message: 'two are running', retry_after: 2 })
  expect(latest().heard).toHaveLength(1)
  vi.advanceTimersByTime(2_100)
  expect(latest().heard).toEqual([first, first])
})

test('a session that was ended elsewhere is told, an ordinary loss is not', () => {
  const told = vi.fn()
  session.onTurnedAway = told
  latest().accept()
  latest().close()
  expect(told).not.toHaveBeenCalled()
  vi.advanceTimersByTime(20_000)
  latest().accept()
  latest().close(4401)
  expect(told).toHaveBeenCalledOnce()
})

/** The laptop's lid is shut and opened again: the clock has jumped, no timer has run. */
function sleep(): void {
  vi.setSystemTime(Date.now() + 3_600_000)
  vi.advanceTimersByTime(5_000)
}

test('a socket that died while the laptop slept is replaced, and the reply goes on where it was', () => {
  latest().accept()
  session.say(null, null, 'Hello')
  begin()
  latest().says({ type: 'delta', reply_id: 'r1', seq: 1, text: 'Good ' })
  const dead = latest()
  sleep()
  expect(dead.heard.at(-1)).toEqual({ type: 'ping' })
  vi.advanceTimersByTime(10_000)
  expect(Server.sockets).toHaveLength(2)
  latest().accept()
  expect(latest().heard).toEqual([{ type: 'follow', reply_id: 'r1', after: 1 }])
  dead.says({ type: 'delta', reply_id: 'r1', seq: 2, text: 'too late' })
  latest().says({ type: 'delta', reply_id: 'r1', seq: 2, text: 'day' })
  vi.advanceTimersByTime(50)
  expect(useChat.getState().messages.r1?.content).toBe('Good day')
})

test('a socket that outlived the sleep of the laptop is kept', () => {
  latest().accept()
  sleep()
  expect(latest().heard).toEqual([{ type: 'ping' }])
  latest().says({ type: 'pong' })
  vi.advanceTimersByTime(60_000)
  expect(Server.sockets).toHaveLength(1)
})

test('whoever owes an answer and is silent is asked, and left when still silent', () => {
  latest().accept()
  session.say(null, null, 'Hello')
  vi.advanceTimersByTime(26_000)
  expect(latest().heard.at(-1)).toEqual({ type: 'ping' })
  vi.advanceTimersByTime(10_000)
  expect(Server.sockets).toHaveLength(2)
})

test('while nothing is amiss nobody is asked anything', () => {
  latest().accept()
  vi.advanceTimersByTime(3_600_000)
  expect(latest().heard).toEqual([])
  expect(Server.sockets).toHaveLength(1)
})

test('a connection that does not come about is given up for another', () => {
  vi.advanceTimersByTime(16_000)
  expect(Server.sockets).toHaveLength(2)
})

test('what was asked in another tab is fetched, even if a fetch from before it is still under way', async () => {
  const common = { conversation_id: 'c1', policy_version: null, finish_reason: null, created_at: '', ended_at: '', feedback: null, learned: [] }
  const first: Message = { ...common, id: 'q1', parent_id: null, role: 'user', content: 'Hello', state: 'done' }
  const second: Message = { ...common, id: 'q2', parent_id: 'q1', role: 'user', content: 'And?', state: 'done' }
  const answers: ((items: Message[]) => void)[] = []
  vi.stubGlobal('fetch', () => new Promise((resolve) => answers.push((items) => resolve(Response.json({ items })))))
  latest().accept()
  session.show('c1')
  latest().says({ type: 'changed', conversation_id: 'c1' })
  latest().says({ type: 'changed', conversation_id: 'elsewhere' })
  answers[0]?.([first])
  await vi.waitFor(() => expect(answers).toHaveLength(2))
  const drawn = useChat.getState().messages.q1
  answers[1]?.([first, second])
  await vi.waitFor(() => expect(useChat.getState().nodes.c1).toHaveLength(2))
  expect(useChat.getState().messages.q1).toBe(drawn)
})

test('several changes elsewhere are one refresh of the list, and of what is shown if it is among them', async () => {
  const fetch = vi.fn(() => Promise.resolve(Response.json({ items: [] })))
  const told = vi.fn()
  vi.stubGlobal('fetch', fetch)
  session.onConversationChanged = told
  latest().accept()
  session.show('c1')
  await vi.advanceTimersByTimeAsync(1_000)
  fetch.mockClear()
  for (const id of ['c1', 'elsewhere', 'c1', 'c2']) latest().says({ type: 'changed', conversation_id: id })
  await vi.advanceTimersByTimeAsync(1_000)
  expect([fetch.mock.calls.length, told.mock.calls.length]).toEqual([1, 1])
  for (const id of ['elsewhere', 'c2']) latest().says({ type: 'changed', conversation_id: id })
  await vi.advanceTimersByTimeAsync(1_000)
  expect([fetch.mock.calls.length, told.mock.calls.length]).toEqual([1, 2])
})

test('a call bears the name under which the socket was opened, so that the server need not tell this page of it', async () => {
  const fetch = vi.fn<typeof globalThis.fetch>(() => Promise.resolve(Response.json({})))
  vi.stubGlobal('fetch', fetch)
  await call('PATCH', '/api/conversations/c1', { title: 'Tea' })
  const name = latest().address.searchParams.get('page')
  expect(name).toMatch(/^[0-9a-f]{32}$/)
  expect(fetch.mock.calls[0]?.[1]?.headers).toMatchObject({ 'X-Backtalk': name })
})

test('what is on the page stays when it cannot be fetched again', async () => {
  vi.stubGlobal('fetch', () => Promise.resolve(Response.json({ items: [] })))
  latest().accept()
  session.show('c1')
  await vi.waitFor(() => expect(useChat.getState().loading.c1).toBe('ready'))
  const fetch = vi.fn(() => Promise.reject(new TypeError('Failed to fetch')))
  vi.stubGlobal('fetch', fetch)
  window.dispatchEvent(new Event('focus'))
  await vi.waitFor(() => expect(fetch).toHaveBeenCalledOnce())
  await vi.advanceTimersByTimeAsync(100)
  expect(useChat.getState().loading.c1).toBe('ready')
})
