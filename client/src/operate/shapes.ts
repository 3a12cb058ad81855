/** What `/api/operate` and `/ws/operate` speak of, as the server writes it. */

import type { GiverOut as RunGiver, LineOut as LogLine } from '../wire/http'

export type {
  EntranceOut as Entrance,
  AnnouncementOut as Announcement,
  AuditOut as Audit,
  DelaysOut as Delays,
  DeployedOut as Deployed,
  Giver,
  GiverOut as RunGiver,
  LabellingOut as Labelling,
  LineOut as LogLine,
  Listed,
  Previewed,
  ProfileOut as Profile,
  Profiles,
  RaterOut as Rater,
  RevisionOut as Revision,
  SampleOut as Sample,
} from '../wire/http'

export const entranceModes = ['guest', 'open', 'invite', 'closed'] as const
export type EntranceMode = (typeof entranceModes)[number]
export type RunState = 'queued' | 'running' | 'promoted' | 'rejected' | 'failed' | 'cancelled'
export type PolicyState = 'candidate' | 'canary' | 'live' | 'retired' | 'rejected' | 'withdrawn'
export type Json = Record<string, unknown>

export const stages = ['snapshot', 'reward_model', 'policy', 'gate', 'publish'] as const
export type Stage = (typeof stages)[number]

export interface Run {
  id: string
  schedule_id: string | null
  requested_by: string | null
  state: RunState
  stage: Stage | null
  progress: number
  from_version: number | null
  to_version: number | null
  recipe: Json
  counts: Json
  report: Json
  error: string | null
  cancel_requested: boolean
  queued_at: string
  started_at: string | null
  ended_at: string | null
}

/** What a run measured at one step. */
export interface Metric {
  step: number
  stage: string
  values: Record<string, number>
}

export interface Policy {
  number: number
  parent: number | null
  run_id: string | null
  state: PolicyState
  directory: string
  digest: string
  report: Json
  reason: string | null
  created_at: string
  live_at: string | null
}

export const approvals = ['automatic', 'operator'] as const
export type Approval = (typeof approvals)[number]

/** How a version that passed the gate becomes live, and who is told. */
export interface ReleaseRules {
  approval: Approval
  canary: boolean
  canary_shares: number[]
  canary_people: number
  canary_replies: number
  alpha: number
  webhook_url: string | null
  webhook_private: boolean
  webhook_secret: string | null
  updated_at: string
}

export const measures = ['thumbs_down', 'failed', 'length', 'latency'] as const

/** What was known of a canary at one look. */
export interface CanaryContent {
  evidence: number
  needed: number
  step: number
  share: number
  people: number
  wanted: number
  replies: number
  control_replies: number
  decision: 'continue' | 'pause' | 'resume' | 'advance' | 'back'
  measures: Record<
    (typeof measures)[number],
    { evidence: number; canary: number | null; control: number | null; canary_count: number; control_count: number }
  >
}

export interface Canary {
  id: string
  number: number
  control: number
  state: 'watching' | 'paused' | 'promoted' | 'taken_back' | 'ended'
  step: number
  shares: number[]
  people: number[]
  replies: number
  alpha: number
  reason: string | null
  began_at: string
  ended_at: string | null
  last: CanaryContent | null
}

export interface CanaryCurve extends Canary {
  looks: { seq: number; at: string; content: CanaryContent }[]
}

/** All that is known of one version. */
export interface Card {
  policy: Policy
  snapshot: {
    digest: string | null
    counts: Json
    people: number
    opinions: number
    givers: RunGiver[]
  } | null
  recipe: Json
  rewards: Json
  thumbs: { replies: number; rated: number; liked: number }
  files: { signature: 'valid' | 'broken' | 'missing'; problem: string | null; count: number; bytes: number }
}

/** Two versions asked the same. */
export interface Compared {
  left: Policy
  right: Policy
  items: { prompt: string; left: string; right: string }[]
}

export interface VersionCounts {
  number: number
  state: PolicyState
  live_at: string | null
  replies: number
  rated: number
  liked: number
}

export interface Engine {
  connected: boolean
  problem?: string | null
  model?: string
  /** Of an engine of another make. */
  kind?: string
  /** Whether it tells under which log-probs its tokens were drawn; absent: it does. */
  logprobs?: boolean
  device?: string
  running?: number
  waiting?: number
  versions?: number[]
}

export interface Summary {
  live: { number: number; live_at: string | null; digest: string } | null
  policies: VersionCounts[]
  opinions_since_last_run: number
  next_schedule: { id: string; name: string; at: string } | null
  running_run: Run | null
  last_run: Run | null
  canary: Canary | null
  waiting: { number: number; run_id: string | null; created_at: string }[]
  days: { day: string; version: number; rated: number; liked: number }[]
  inflow: { day: string; opinions: number; comparisons: number }[]
  news: { kind: string; at: string; content: Json }[]
  people: number
  guests: number
  engine: Engine
}

export interface ScheduleValues {
  name: string
  /** Empty: not by the clock. */
  cron: string
  time_zone: string
  minimum_feedback: number
  /** What differs from the default recipe. */
  recipe: Json
  reward_profile: string | null
  blackouts: string[]
  after_feedback: number | null
  on_drift: number | null
  enabled: boolean
}

/** A time of a schedule and what became of it. */
export interface Slot {
  planned_at: string
  trigger: 'clock' | 'feedback' | 'drift'
  run_id: string | null
  missed: string | null
}

export interface Schedule extends ScheduleValues {
  id: string
  explain: string
  next: string[]
  last_run: Slot | null
}

/** What a run would learn from if it began now. */
export interface DryRun {
  counts: Record<string, number>
  people: number
  new_feedback: number
  minutes: number
  would_run: boolean
  reason: string | null
}

/** An expression over measures of a reply's text, or words to be counted. */
export type Rule = string | string[]

export interface ProfileContent {
  weights: Record<string, number>
  rules: Record<string, Rule>
  limits: Record<string, number>
  /** Words that a version's replies may not hold. */
  forbidden: string[]
}

export const wayParts = ['waiting', 'reward_model', 'policy', 'gate', 'canary'] as const

export type FeedbackKind = 'opinion' | 'comparison'

export interface Feedback {
  kind: FeedbackKind
  id: string
  person_id: string
  person: string | null
  consent: boolean
  person_excluded: boolean
  message_id: string
  other_id: string | null
  policy_version: number
  rating: 1 | -1 | null
  verdict: 'left' | 'right' | 'tie' | 'neither' | null
  labels: Record<string, number>
  reasons: string[]
  withdrawn: boolean
  excluded: boolean
  revision: number
  at: string
  question: string | null
  reply: string | null
  other_reply: string | null
  rewrite: string | null
  note: string | null
  versions: number[]
  /** The right answer, where what it is about is a gold item. */
  gold: GoldAnswer | null
}

export type GoldAnswer = 'up' | 'down' | 'left' | 'right'

export const roles = ['user', 'rater', 'operator', 'admin'] as const
export type Role = (typeof roles)[number]

/** One page of a list; `next` asks for the one after it. */
export interface Page<T, Next> {
  items: T[]
  next: Next | null
}

export type OperateEvent =
  | { type: 'run'; run: Run }
  | { type: 'metric'; run_id: string; step: number; stage: string; values: Record<string, number> }
  | { type: 'log'; run_id: string; lines: LogLine[] }
  | { type: 'policy'; policy: Policy }
  | { type: 'canary'; canary: Canary }

export const endedStates: readonly RunState[] = ['promoted', 'rejected', 'failed', 'cancelled']

export function isEnded(run: Run): boolean {
  return endedStates.includes(run.state)
}

export function isUnderWay(canary: Canary): boolean {
  return canary.state === 'watching' || canary.state === 'paused'
}
