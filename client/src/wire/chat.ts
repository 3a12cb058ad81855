/**
 * The words of the chat socket.
 *
 * Made by `python -m server.typescript`; change the server's types instead.
 */

/** Let a reply that was cut off go on: another reply to the same question, which begins with what that one said. */
export interface Continue {
  type: 'continue'
  key: string
  reply_id: string
  max_tokens?: number | null
}

/** Tell me everything of a reply after the last number I saw. */
export interface Follow {
  type: 'follow'
  reply_id: string
  after: number
}

/** Are you there? A page cannot see that a connection has died without a word, as it does while a laptop sleeps. */
export interface Ping {
  type: 'ping'
}

/** Another reply to the same question. */
export interface Regenerate {
  type: 'regenerate'
  key: string
  reply_id: string
  sampling?: SamplingWish | null
}

/** How a reply shall be drawn; what is left out is the operator's default. */
export interface SamplingWish {
  max_tokens?: number | null
  temperature?: number | null
  top_p?: number | null
  seed?: number | null
  stop?: string | string[] | null
}

/** A message to the model. */
export interface Say {
  type: 'say'
  key: string
  conversation_id?: string | null
  parent_id?: string | null
  text: string
  sampling?: SamplingWish | null
}

/** End a reply now. */
export interface Stop {
  type: 'stop'
  reply_id: string
}

/** This conversation of yours looks otherwise now: on another page something was asked in it or an opinion given, or it was named, put away, shared or deleted. Said to sockets that were opened for it. */
export interface Changed {
  type: 'changed'
  conversation_id: string
}

/** The next piece of a reply: whole characters, durably stored, numbered without holes. */
export interface Delta {
  type: 'delta'
  reply_id: string
  seq: number
  text: string
}

/** The whole reply is durably stored. `seq` is one past the last delta's. */
export interface Ended {
  type: 'ended'
  reply_id: string
  seq: number
  state: 'done' | 'stopped' | 'failed'
  finish_reason: 'stop' | 'length' | 'stopped' | 'error'
  usage: Usage
}

/** Something that concerns everybody; `conversation_titled` only whoever has the conversation. */
export interface Notice {
  type: 'notice'
  kind: 'policy_live' | 'engine_restarting' | 'engine_ready' | 'conversation_titled'
  policy_version: number | null
}

/** Here I am: the answer to `ping`. */
export interface Pong {
  type: 'pong'
}

/** What was asked is not done; `retry_after` is in seconds. */
export interface Refused {
  type: 'refused'
  key: string | null
  code: 'bad_request' | 'too_long' | 'rate_limited' | 'busy' | 'not_found' | 'unauthorised' | 'storage'
  message: string
  retry_after: number | null
}

/** The question is durably stored, and this reply is under way. */
export interface Started {
  type: 'started'
  key: string
  conversation_id: string
  question_id: string
  reply_id: string
  policy_version: number
}

/** How many tokens went in and came out. */
export interface Usage {
  prompt_tokens: number
  completion_tokens: number
}

export type ChatRequest = Say | Regenerate | Continue | Stop | Follow | Ping

export type ChatEvent = Started | Delta | Ended | Refused | Notice | Pong | Changed
