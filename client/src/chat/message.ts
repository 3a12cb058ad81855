/** What the chat is made of, as HTTP tells it (`GET /api/conversations/{id}/messages`). */

import type { EndState, FinishReason } from '../events'

export interface Feedback {
  rating: 1 | -1 | null
  rewrite: string | null
  labels: Record<string, number>
  reasons: string[]
  note: string | null
  revision: number
}

export interface Message {
  id: string
  conversation_id: string
  parent_id: string | null
  role: 'user' | 'assistant'
  content: string
  state: 'streaming' | EndState
  policy_version: number | null
  finish_reason: FinishReason | null
  created_at: string
  ended_at: string | null
  feedback: Feedback | null
}

export interface Conversation {
  id: string
  title: string
  created_at: string
  updated_at: string
  archived: boolean
  /** False: nothing in it trains. */
  train: boolean
}
