/**
 * Opinions on their way to the server. What a person decides shows at once; it is kept in the browser until the server
 * has stored it, and since storing the same opinion twice is storing it once, sending it again never harms.
 */

import { create } from 'zustand'

import type { Feedback } from '../chat/message'
import { session, useChat, useConnection } from '../chat/session'
import { call, HttpError } from '../http'

export type Opinion = Omit<Feedback, 'revision'>

export const noOpinion: Opinion = { rating: null, rewrite: null, labels: {}, reasons: [], note: null }

interface OpinionState {
  /** The newest opinion on each reply that the server has not stored yet. */
  waiting: Record<string, Opinion>
  /** What the server said to an opinion that it would not store. */
  refusals: Record<string, string>
  isReachable: boolean
}

const STORE = 'backtalk.opinions'
const RETRY = 5_000

export const useOpinions = create<OpinionState>(() => ({ waiting: {}, refusals: {}, isReachable: true }))

export function isEmpty(opinion: Opinion): boolean {
  const { rating, rewrite, labels, reasons, note } = opinion
  return rating === null && rewrite === null && note === null && reasons.length === 0 && Object.keys(labels).length === 0
}

/** The opinion as it stands on this page, stored or not. */
export function opinionOf(feedback: Feedback | null | undefined): Opinion {
  if (!feedback) return noOpinion
  const { rating, rewrite, labels, reasons, note } = feedback
  return { rating, rewrite, labels, reasons, note }
}

export function give(reply: string, opinion: Opinion): void {
  const revision = useChat.getState().messages[reply]?.feedback?.revision ?? 0
  session.dispatch({ type: 'feedback', reply, feedback: isEmpty(opinion) ? null : { ...opinion, revision } })
  useOpinions.setState(({ waiting, refusals }) => ({
    waiting: { ...waiting, [reply]: opinion },
    refusals: without(refusals, reply),
  }))
  keep()
  void send(reply)
}

/** Call once when the page starts: sends what an earlier visit left, and what waits whenever the server is back. */
export function startOpinions(): void {
  try {
    const waiting = JSON.parse(localStorage.getItem(STORE) ?? '{}') as Record<string, Opinion>
    useOpinions.setState({ waiting })
  } catch {
    localStorage.removeItem(STORE)
  }
  useConnection.subscribe(({ connection }) => connection === 'open' && sendAll())
}

/** Somebody else sits here now: nobody could deliver what the former person left waiting. */
export function forgetOpinions(): void {
  useOpinions.setState({ waiting: {}, refusals: {} })
  keep()
}

const underWay = new Set<string>()

function sendAll(): void {
  for (const reply of Object.keys(useOpinions.getState().waiting)) void send(reply)
}

async function send(reply: string): Promise<void> {
  const opinion = useOpinions.getState().waiting[reply]
  if (!opinion || underWay.has(reply)) return
  underWay.add(reply)
  try {
    const stored = await store(reply, opinion)
    useOpinions.setState({ isReachable: true })
    if (settled(reply, opinion)) session.dispatch({ type: 'feedback', reply, feedback: stored })
  } catch (error) {
    failed(reply, opinion, error)
    return
  } finally {
    underWay.delete(reply)
  }
  void send(reply) // the person may have changed their mind meanwhile
}

async function store(reply: string, opinion: Opinion): Promise<Feedback | null> {
  const path = `/api/messages/${reply}/feedback`
  if (!isEmpty(opinion)) return await call<Feedback>('PUT', path, opinion)
  try {
    await call('DELETE', path)
  } catch (error) {
    if (!(error instanceof HttpError) || error.status !== 404) throw error
  }
  return null
}

function failed(reply: string, opinion: Opinion, error: unknown): void {
  const isRefusal = error instanceof HttpError && error.status < 500 && error.status !== 429
  if (!isRefusal) {
    useOpinions.setState({ isReachable: false })
    const wait = error instanceof HttpError && error.retryAfter !== null ? error.retryAfter * 1000 : RETRY
    setTimeout(() => void send(reply), wait)
    return
  }
  if (!settled(reply, opinion)) {
    void send(reply)
    return
  }
  useOpinions.setState(({ refusals }) => ({ refusals: { ...refusals, [reply]: error.message } }))
  const conversation = useChat.getState().messages[reply]?.conversation_id
  if (conversation) void session.load(conversation)
}

/** Takes the opinion off the list, unless a newer one has taken its place. */
function settled(reply: string, opinion: Opinion): boolean {
  const { waiting } = useOpinions.getState()
  if (waiting[reply] !== opinion) return false
  useOpinions.setState({ waiting: without(waiting, reply) })
  keep()
  return true
}

function keep(): void {
  const { waiting } = useOpinions.getState()
  try {
    if (Object.keys(waiting).length === 0) localStorage.removeItem(STORE)
    else localStorage.setItem(STORE, JSON.stringify(waiting))
  } catch {
    // Without storage the opinion still goes out while the page is open.
  }
}

function without<T>(record: Record<string, T>, key: string): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([other]) => other !== key))
}
