/** The words of the two sockets, told apart by `type`. The server's `events.py` says the same in Python. */

export interface Sampling {
  max_tokens?: number
  temperature?: number
  top_p?: number
  seed?: number
  stop?: string[]
}

export interface Say {
  type: 'say'
  key: string
  conversation_id: string | null
  parent_id: string | null
  text: string
  sampling?: Sampling
}

export interface Regenerate {
  type: 'regenerate'
  key: string
  reply_id: string
  sampling?: Sampling
}

/** Let a reply that was cut off go on: another one, which begins with what it said. */
export interface Continue {
  type: 'continue'
  key: string
  reply_id: string
}

export interface Stop {
  type: 'stop'
  reply_id: string
}

export interface Follow {
  type: 'follow'
  reply_id: string
  after: number
}

export interface Ping {
  type: 'ping'
}

export type ChatRequest = Say | Regenerate | Continue | Stop | Follow | Ping

export interface Started {
  type: 'started'
  key: string
  conversation_id: string
  question_id: string
  reply_id: string
  policy_version: number
}

export interface Delta {
  type: 'delta'
  reply_id: string
  seq: number
  text: string
}

export type EndState = 'done' | 'stopped' | 'failed'
export type FinishReason = 'stop' | 'length' | 'stopped' | 'error'

export interface Ended {
  type: 'ended'
  reply_id: string
  seq: number
  state: EndState
  finish_reason: FinishReason
  usage: { prompt_tokens: number; completion_tokens: number }
}

export type RefusedCode =
  | 'bad_request'
  | 'too_long'
  | 'rate_limited'
  | 'busy'
  | 'not_found'
  | 'unauthorised'
  | 'storage'

export interface Refused {
  type: 'refused'
  key: string | null
  code: RefusedCode
  message: string
  retry_after: number | null
}

export interface Notice {
  type: 'notice'
  kind: 'policy_live' | 'engine_restarting' | 'engine_ready' | 'conversation_titled'
  policy_version: number | null
}

export interface Pong {
  type: 'pong'
}

/** Something was asked in this conversation on another socket of the same person. */
export interface Changed {
  type: 'changed'
  conversation_id: string
}

export type ChatEvent = Started | Delta | Ended | Refused | Notice | Pong | Changed
