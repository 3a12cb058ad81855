/**
 * Everything the chat page knows, and the one function that changes it.
 *
 * Live replies and replies resumed after a lost connection go through the same `reduce`. It never talks to anybody:
 * when it notices that something is missing it says so (`gaps`, `stale`), and `session.ts` asks the server for it.
 */

import type { Asked, ChatEvent, Delta, Ended, Notice, Refused, Started } from '../events'
import type { Feedback, Message } from './message'
import { type Choices, type Node, placeOf } from './tree'

/** A request that the server has not acknowledged yet; it is sent again, under the same key, until it is. */
export interface Pending {
  request: Asked
  attempts: number
  refused: Refused | null
}

export interface ChatState {
  messages: Record<string, Message>
  nodes: Record<string, Node[]>
  choices: Choices
  /** Last event number seen of each reply. */
  seqs: Record<string, number>
  outbox: Pending[]
  /** Replies of which events are missing, not yet asked for. */
  gaps: string[]
  /** Replies that were asked for and have not answered. */
  following: string[]
  /** Conversations whose stored state has to be fetched again. */
  stale: string[]
  loading: Record<string, 'loading' | 'ready' | 'missing' | 'failed'>
  /** The conversation that the latest `say` without one has begun. */
  opened: string | null
  engine: 'ready' | 'restarting'
  /** The last version that went live while this page was open. */
  newVersion: number | null
}

export const nothingYet: ChatState = {
  messages: {},
  nodes: {},
  choices: {},
  seqs: {},
  outbox: [],
  gaps: [],
  following: [],
  stale: [],
  loading: {},
  opened: null,
  engine: 'ready',
  newVersion: null,
}

export type ChatAction =
  | { type: 'events'; events: ChatEvent[] }
  | { type: 'queued'; pending: Pending }
  | { type: 'sent'; key: string }
  | { type: 'withdrawn'; key: string }
  | { type: 'loading'; conversation: string }
  | { type: 'loaded'; conversation: string; messages: Message[] }
  | { type: 'not_loaded'; conversation: string; missing: boolean }
  | { type: 'followed'; reply: string }
  | { type: 'reconnected' }
  | { type: 'abandoned'; reply: string }
  | { type: 'chosen'; place: string; id: string }
  | { type: 'feedback'; reply: string; feedback: Feedback | null }
  | { type: 'arrived' }
  | { type: 'forgotten'; conversation: string }
  | { type: 'reset' }

export function reduce(state: ChatState, action: ChatAction): ChatState {
  switch (action.type) {
    case 'events':
      return action.events.reduce(receive, state)
    case 'queued':
      return { ...state, outbox: [...state.outbox, action.pending] }
    case 'sent':
      return changePending(state, action.key, (p) => ({ ...p, attempts: p.attempts + 1, refused: null }))
    case 'withdrawn':
      return { ...state, outbox: state.outbox.filter((p) => p.request.key !== action.key) }
    case 'loading':
      return state.loading[action.conversation] === 'ready'
        ? state
        : { ...state, loading: { ...state.loading, [action.conversation]: 'loading' } }
    case 'loaded':
      return load(state, action.conversation, action.messages)
    case 'not_loaded':
      return notLoaded(state, action.conversation, action.missing)
    case 'followed':
      return { ...state, gaps: without(state.gaps, action.reply), following: including(state.following, action.reply) }
    case 'reconnected': {
      const running = Object.values(state.messages).filter((m) => m.state === 'streaming')
      return { ...state, following: [], gaps: running.map((m) => m.id) }
    }
    case 'abandoned':
      return changeMessage(withoutDebts(state, action.reply), action.reply, (m) => ({ ...m, state: 'failed' }))
    case 'chosen':
      return { ...state, choices: { ...state.choices, [action.place]: action.id } }
    case 'feedback':
      return changeMessage(state, action.reply, (m) => ({ ...m, feedback: action.feedback }))
    case 'arrived':
      return state.opened === null ? state : { ...state, opened: null }
    case 'forgotten':
      return forget(state, action.conversation)
    case 'reset':
      return nothingYet
  }
}

function receive(state: ChatState, event: ChatEvent): ChatState {
  switch (event.type) {
    case 'started':
      return start(state, event)
    case 'delta':
      return append(state, event)
    case 'ended':
      return settle(state, event)
    case 'refused':
      return refuse(state, event)
    case 'notice':
      return note(state, event)
    case 'pong':
    case 'changed':
      return state // what is shown is fetched anew
  }
}

function start(state: ChatState, event: Started): ChatState {
  const pending = state.outbox.find((p) => p.request.key === event.key)
  if (!pending) return state
  const { request } = pending
  const now = new Date().toISOString()
  const common = { conversation_id: event.conversation_id, created_at: now, finish_reason: null, feedback: null, learned: [] }
  let next: ChatState = { ...state, outbox: state.outbox.filter((p) => p !== pending) }
  if (request.type === 'say') {
    const atRoot = request.parent_id === null || request.parent_id === event.conversation_id
    next = add(next, {
      ...common,
      id: event.question_id,
      parent_id: atRoot ? null : (request.parent_id ?? null),
      role: 'user',
      content: request.text,
      state: 'done',
      policy_version: null,
      ended_at: now,
    })
    if (request.conversation_id === null) {
      next = {
        ...next,
        opened: event.conversation_id,
        loading: { ...next.loading, [event.conversation_id]: 'ready' },
      }
    }
  }
  const isNew = !next.messages[event.reply_id]
  next = add(next, {
    ...common,
    id: event.reply_id,
    parent_id: event.question_id,
    role: 'assistant',
    content: '',
    state: 'streaming',
    policy_version: event.policy_version,
    ended_at: null,
  })
  // The answer to a repeated request may have begun on another socket: its events have to be asked for.
  const isRepeated = pending.attempts > 1
  return isNew && isRepeated ? { ...next, gaps: including(next.gaps, event.reply_id) } : next
}

function append(state: ChatState, event: Delta): ChatState {
  const seen = state.seqs[event.reply_id] ?? 0
  if (!isRunning(state, event.reply_id) || event.seq <= seen) return state
  if (event.seq > seen + 1) return miss(state, event.reply_id)
  const next = changeMessage(state, event.reply_id, (m) => ({ ...m, content: m.content + event.text }))
  return {
    ...next,
    seqs: { ...next.seqs, [event.reply_id]: event.seq },
    following: without(next.following, event.reply_id),
  }
}

function settle(state: ChatState, event: Ended): ChatState {
  const message = state.messages[event.reply_id]
  if (!message || message.state !== 'streaming') return state
  const seen = state.seqs[event.reply_id] ?? 0
  if (event.seq > seen + 1) return miss(state, event.reply_id)
  const next = changeMessage(withoutDebts(state, event.reply_id), event.reply_id, (m) => ({
    ...m,
    state: event.state,
    finish_reason: event.finish_reason,
    ended_at: new Date().toISOString(),
  }))
  return {
    ...next,
    seqs: { ...next.seqs, [event.reply_id]: event.seq },
    // More was shown than the server says it stored: what is stored is right.
    stale: event.seq <= seen ? including(next.stale, message.conversation_id) : next.stale,
  }
}

function refuse(state: ChatState, event: Refused): ChatState {
  if (event.key !== null) return changePending(state, event.key, (p) => ({ ...p, refused: event }))
  // Without a key it answers a `follow` or a `stop`: look at what is stored instead.
  const conversations = state.following.map((id) => state.messages[id]?.conversation_id).filter((id) => id !== undefined)
  return { ...state, following: [], stale: conversations.reduce(including, state.stale) }
}

function note(state: ChatState, event: Notice): ChatState {
  switch (event.kind) {
    case 'policy_live':
      return { ...state, newVersion: event.policy_version }
    case 'engine_restarting':
      return { ...state, engine: 'restarting' }
    case 'engine_ready':
      return { ...state, engine: 'ready' }
    case 'conversation_titled':
      return state // the list beside is fetched anew
  }
}

/** What is on the page stays there when it could not be fetched once more. */
function notLoaded(state: ChatState, conversation: string, missing: boolean): ChatState {
  const stale = without(state.stale, conversation)
  if (!missing && state.loading[conversation] === 'ready') return { ...state, stale }
  return { ...state, stale, loading: { ...state.loading, [conversation]: missing ? 'missing' : 'failed' } }
}

function load(state: ChatState, conversation: string, stored: Message[]): ChatState {
  const messages = { ...state.messages }
  const seqs = { ...state.seqs }
  let gaps = state.gaps
  for (const message of stored) {
    const known = messages[message.id]
    if (message.state !== 'streaming') {
      // What has not changed stays the same object, and is not drawn again.
      if (JSON.stringify(known) !== JSON.stringify(message)) messages[message.id] = message
    } else if (!known) {
      // Its text is taken from the numbered events alone, from the first on.
      messages[message.id] = { ...message, content: '' }
      seqs[message.id] = 0
    }
    if (messages[message.id]?.state === 'streaming' && !state.following.includes(message.id)) {
      gaps = including(gaps, message.id)
    }
  }
  const storedIds = new Set(stored.map((m) => m.id))
  const before = state.nodes[conversation] ?? []
  const newer = before.filter((node) => !storedIds.has(node.id))
  const now = [...stored.map(({ id, parent_id, role }) => ({ id, parent_id, role })), ...newer]
  const nodes = JSON.stringify(before) === JSON.stringify(now) ? before : now
  return {
    ...state,
    messages,
    seqs,
    gaps,
    nodes: { ...state.nodes, [conversation]: nodes },
    stale: without(state.stale, conversation),
    loading: { ...state.loading, [conversation]: 'ready' },
  }
}

function add(state: ChatState, message: Message): ChatState {
  const { conversation_id: conversation, id, parent_id, role } = message
  const choices = { ...state.choices, [placeOf(message, conversation)]: id }
  if (state.messages[id]) return { ...state, choices }
  return {
    ...state,
    choices,
    messages: { ...state.messages, [id]: message },
    nodes: { ...state.nodes, [conversation]: [...(state.nodes[conversation] ?? []), { id, parent_id, role }] },
  }
}

function forget(state: ChatState, conversation: string): ChatState {
  const gone = new Set((state.nodes[conversation] ?? []).map((node) => node.id))
  const keep = <T>(record: Record<string, T>, isGone: (id: string) => boolean): Record<string, T> =>
    Object.fromEntries(Object.entries(record).filter(([id]) => !isGone(id)))
  return {
    ...state,
    messages: keep(state.messages, (id) => gone.has(id)),
    nodes: keep(state.nodes, (id) => id === conversation),
    loading: keep(state.loading, (id) => id === conversation),
    gaps: state.gaps.filter((id) => !gone.has(id)),
    following: state.following.filter((id) => !gone.has(id)),
    stale: without(state.stale, conversation),
  }
}

function isRunning(state: ChatState, reply: string): boolean {
  return state.messages[reply]?.state === 'streaming'
}

function miss(state: ChatState, reply: string): ChatState {
  return state.following.includes(reply) ? state : { ...state, gaps: including(state.gaps, reply) }
}

function withoutDebts(state: ChatState, reply: string): ChatState {
  return { ...state, gaps: without(state.gaps, reply), following: without(state.following, reply) }
}

function changeMessage(state: ChatState, id: string, change: (message: Message) => Message): ChatState {
  const message = state.messages[id]
  return message ? { ...state, messages: { ...state.messages, [id]: change(message) } } : state
}

function changePending(state: ChatState, key: string, change: (pending: Pending) => Pending): ChatState {
  return { ...state, outbox: state.outbox.map((p) => (p.request.key === key ? change(p) : p)) }
}

function including(list: string[], item: string): string[] {
  return list.includes(item) ? list : [...list, item]
}

function without(list: string[], item: string): string[] {
  return list.includes(item) ? list.filter((other) => other !== item) : list
}
