/**
 * What the server and its pages tell each other over HTTP, and the news of the console.
 *
 * Made by `python -m server.typescript`; change the server's types instead.
 */

/** A new person, with their key at the only moment it can be seen. */
export interface Added {
  id: string
  name: string | null
  role: 'user' | 'rater' | 'operator' | 'admin'
  guest: boolean
  language: string
  consent_train: boolean | null
  created_at: string
  api_key: string | null
}

/** Something that was announced, and whether the webhook has taken it. */
export interface AnnouncementOut {
  id: string
  kind: string
  content: Record<string, unknown>
  at: string
  attempts: number
  /** When it is sent (again); null when nothing is left to do. */
  next_at: string | null
  delivered_at: string | null
  error: string | null
}

/** What people are asked for now. */
export interface Asking {
  /** Share of the replies; 0: never. */
  compare_share: number
  aspects: AspectOut[]
  reasons: ReasonOut[]
}

/** What they shall be asked for; what is left out stays. */
export interface AskingChange {
  compare_share?: number | null
  aspects?: AspectOut[] | null
  reasons?: ReasonOut[] | null
}

/** Something a reply is scored on. */
export interface AspectOut {
  name: string
  label_en: string
  label_zh: string
}

/** One row of the log. */
export interface AuditOut {
  seq: number
  at: string
  actor: string
  action: string
  target: string
  detail: Record<string, unknown>
  digest: string
}

/** Some rows, newest first; `next` goes into `before` for those before them. */
export interface AuditPage {
  items: AuditOut[]
  next: number | null
}

/** The same with every look since it began. */
export interface CanaryCurve {
  id: string
  number: number
  control: number
  state: 'watching' | 'paused' | 'promoted' | 'taken_back' | 'ended'
  step: number
  shares: number[]
  people: number[]
  replies: number
  alpha: number
  limits: Record<string, unknown>
  reason: string | null
  began_at: string
  ended_at: string | null
  /** What the newest look has shown. */
  last: Record<string, unknown> | null
  looks: LookOut[]
}

/** A canary has begun, more is known of it, or it has ended. */
export interface CanaryEvent {
  type: 'canary'
  canary: CanaryOut
}

/** A version tried on some of the people, and how that goes or ended. */
export interface CanaryOut {
  id: string
  number: number
  control: number
  state: 'watching' | 'paused' | 'promoted' | 'taken_back' | 'ended'
  step: number
  shares: number[]
  people: number[]
  replies: number
  alpha: number
  limits: Record<string, unknown>
  reason: string | null
  began_at: string
  ended_at: string | null
  /** What the newest look has shown. */
  last: Record<string, unknown> | null
}

/** All that is known of one version. */
export interface Card {
  policy: PolicyOut
  /** Null for a version that no run has made. */
  snapshot: SnapshotOut | null
  recipe: Record<string, unknown>
  rewards: Record<string, unknown>
  thumbs: Thumbs
  files: Files
}

/** What is known of a mixture of rewards before anything is trained, from the newest opinions and replies. */
export interface Checked {
  replies: number
  /** Rewards that count and that too few opinions have taught. */
  missing: string[]
  /** Learned rewards, cross-validated by person. */
  validation: Record<string, Validation>
  /** Rank correlation between rewards. */
  correlation: Record<string, Record<string, number | null>>
  /** A run refuses a profile that has any. */
  clashes: Clash[]
  /** Share of these replies that hold a forbidden word as things are. */
  forbidden: number
}

/** What the live version says today, and what the mixture likes best of several tries. */
export interface Choice {
  prompt: string
  today: string
  best: string
  reward_today: number
  reward_best: number
}

/** What the holder of the one-time token sends to become the first admin. */
export interface Claim {
  token: string
  name: string
  password: string
}

/** Two rewards that count and oppose each other further than the profile lets them. */
export interface Clash {
  left: string
  right: string
  correlation: number
}

/** Which two versions, and what to ask them. */
export interface CompareIn {
  left: number
  right: number
  /** Real questions of late when left out. */
  prompts?: string[] | null
  temperature?: number
  max_tokens?: number
  seed?: number
}

/** Two versions side by side. */
export interface Compared {
  left: PolicyOut
  right: PolicyOut
  items: ComparePair[]
}

/** Which of two replies to one question is better. */
export interface ComparisonIn {
  /** Made by the client; a repeat is one comparison. */
  key: string
  left_id: string
  right_id: string
  verdict: 'left' | 'right' | 'tie' | 'neither'
}

/** The stored comparison of two replies. */
export interface ComparisonOut {
  id: string
  key: string
  left_id: string
  right_id: string
  verdict: string
  created_at: string
}

/** May this person's opinions and conversations train? None: not asked yet. */
export interface Consent {
  train: boolean | null
}

/** Which rewards count and how much. */
export interface Content {
  /** Weight by reward; of styles and own rules also below 0, for less of it. */
  weights: Record<string, number>
  /** The operators' own rules: an expression over measures of the text, or words to be counted. */
  rules?: Record<string, string | string[]>
  /** What the gate demands, by its names. */
  limits?: Record<string, number>
  /** Words that a version's replies may not hold; `maximum_forbidden` limits it. */
  forbidden?: string[]
}

/** What may be changed; what is left out stays. */
export interface ConversationChange {
  title?: string | null
  archived?: boolean | null
  /** False: nothing that is said in it trains, whatever the person's consent says. */
  train?: boolean | null
}

/** A conversation, without its messages. */
export interface ConversationOut {
  id: string
  title: string
  created_at: string
  updated_at: string
  archived: boolean
  train: boolean
}

/** Conversations, the newest first. */
export interface Conversations {
  items: ConversationOut[]
}

/** The thumbs of one version on one day (UTC). */
export interface Day {
  day: string
  version: number
  rated: number
  liked: number
}

/** The newest versions, oldest first, and all their opinions together. */
export interface DelaysOut {
  items: DeployedOut[]
  opinions: number
  p50: number | null
  p95: number | null
}

/** One version, and how long what it was the first to learn from had been on its way, in seconds. */
export interface DeployedOut {
  version: number
  /** For the first time. */
  live_at: string
  opinions: number
  p50: number | null
  p95: number | null
  /** Seconds of each part of the way; of waiting, the median. */
  parts: Record<string, number | null>
}

/** What a run would learn from if it began now, and about how long it would take. Nothing is trained. */
export interface DryRun {
  /** What would be used, by kind. */
  counts: Record<string, unknown>
  people: number
  new_feedback: number
  /** Estimated from the runs before; roughly, where there were none. */
  minutes: number
  would_run: boolean
  /** Why there would be no run, or no version from it. */
  reason: string | null
}

/** A run, or a schedule that is not there yet, to be tried dry. */
export interface DryRunIn {
  /** What differs from the default recipe. */
  recipe?: Record<string, unknown>
  /** Name of the reward profile; the active one when null. */
  reward_profile?: string | null
  /** With fewer new opinions nothing is learned. */
  minimum_feedback?: number
}

/** Who is let in here. */
export interface Entrance {
  signup: 'guest' | 'open' | 'invite' | 'closed'
  /** What to call the provider that one may sign in through, if there is one. */
  provider: string | null
}

/** Who shall be let in. */
export interface EntranceIn {
  signup: 'guest' | 'open' | 'invite' | 'closed'
}

/** Who is let in now. */
export interface EntranceOut {
  signup: 'guest' | 'open' | 'invite' | 'closed'
  /** The setting BACKTALK_SIGNUP decides; it cannot be chosen here. */
  fixed: boolean
}

/** What went wrong: a word for programs, a sentence for people. */
export interface ErrorBody {
  code: string
  message: string
}

/** Every error of the server. */
export interface ErrorOut {
  error: ErrorBody
}

/** Whether an opinion, or all of a person, may train. */
export interface Exclusion {
  excluded: boolean
  reason?: string
}

/** Whether the weights on disk are those that were published here. */
export interface Files {
  /** valid, broken or missing */
  signature: string
  problem: string | null
  count: number
  bytes: number
}

/** Somebody who gives feedback, and the versions that learned from it. */
export interface Giver {
  person_id: string
  name: string | null
  excluded: boolean
  versions: TouchedOut[]
}

/** Somebody whose opinions a run used. */
export interface GiverOut {
  person_id: string
  name: string | null
  given: number
  /** Within the cap of one person; none of somebody who contradicts all others. */
  used: number
  /** Of all that the run used. */
  share: number
  /** How far the linear reward moves without them, in its spreads; null: they only judged. */
  influence: number | null
  /** What of the version's gain in that reward is owed to them. */
  leaning: number | null
  /** The chance that they say the opposite of what the others say, of everything; null: not known. */
  contrary: number | null
}

/** What came in on one day (UTC). */
export interface Inflow {
  day: string
  opinions: number
  comparisons: number
}

/** A word that lets its holder sign up once. */
export interface Invitation {
  invite: string
}

/** A reply to be judged. */
export interface Item {
  kind: 'reply'
  id: string
  message_id: string
  content: string
  policy_version: number
  turns: Turn[]
  created_at: string
  aspects: string[]
  reasons: string[]
}

/** The content of an opinion, as people send it and as the history keeps it. */
export interface Judgement {
  /** 1 for a thumb up, -1 for a thumb down. */
  rating?: 1 | -1 | null
  /** What the reply should have been. */
  rewrite?: string | null
  /** Scores from 1 to 5 by aspect. */
  labels?: Record<string, number>
  /** Ids of reasons the operator offers, or own ones. */
  reasons?: string[]
  /** Anything else, in the person's own words. */
  note?: string | null
}

/** How the queue does. */
export interface LabellingOut {
  rules: LabellingRulesOut
  /** Gold items that there are. */
  gold: number
  answered: number
  items: number
  /** Items that two raters or more have answered. */
  doubled: number
  /** Cohen's kappa, where just two raters share items. */
  kappa: number | null
  /** Krippendorff's alpha over all raters, for nominal answers. */
  alpha: number | null
  raters: RaterOut[]
}

/** What a version learned from. */
export interface Learned {
  number: number
  opinions: number
  mine: number
}

/** A version that learned from an opinion, in which state of the opinion, and whether people chat with it. */
export interface LessonOut {
  number: number
  revision: number
  state: string
  /** When it went live for the first time. */
  live_at: string | null
  /** The live version has learned it: it is this one, or comes from it. */
  is_in_live: boolean
}

/** A line of a run's log. */
export interface LineOut {
  number: number
  level: string
  text: string
  at: string
}

/** A person in the list, with how much they take part. */
export interface Listed {
  id: string
  name: string | null
  role: 'user' | 'rater' | 'operator' | 'admin'
  guest: boolean
  language: string
  consent_train: boolean | null
  created_at: string
  questions: number
  opinions: number
}

/** The version that new replies use. */
export interface Live {
  number: number
  live_at: string | null
  digest: string
}

/** The learner said something about a run. */
export interface LogEvent {
  type: 'log'
  run_id: string
  lines: LineOut[]
}

/** What was known of a canary at one look. */
export interface LookOut {
  seq: number
  at: string
  content: Record<string, unknown>
}

/** The caller's account and what the page needs to know. */
export interface Me {
  id: string
  name: string | null
  role: 'user' | 'rater' | 'operator' | 'admin'
  guest: boolean
  language: string
  consent: Consent
  limits: Record<string, number>
  aspects: AspectOut[]
  reasons: ReasonOut[]
  /** Of the replies, below which a comparison with a second answer is offered. */
  compare_share: number
  /** Whether the bundled starter answers, or a version that was trained from it. */
  starter: boolean
}

/** One message of the tree. While a reply is streaming, `content` is its durable beginning. */
export interface MessageOut {
  id: string
  conversation_id: string
  parent_id: string | null
  role: 'user' | 'assistant'
  content: string
  state: 'streaming' | 'done' | 'stopped' | 'failed'
  policy_version: number | null
  finish_reason: 'stop' | 'length' | 'stopped' | 'error' | null
  created_at: string
  ended_at: string | null
  feedback: ConversationsFeedback | null
  /** The versions that learned from the caller's opinion on it. */
  learned: LessonOut[]
}

/** All messages of a conversation, in the order in which they were made. */
export interface Messages {
  items: MessageOut[]
}

/** A run has measured something. */
export interface MetricEvent {
  type: 'metric'
  run_id: string
  step: number
  stage: string
  values: Record<string, unknown>
}

/** What a run measured at one step. */
export interface MetricOut {
  step: number
  stage: string
  at: string
  values: Record<string, unknown>
}

/** The model behind the live version. */
export interface Model {
  number: number
  /** The setting BACKTALK_MODEL: where the first version comes from. */
  source: string
  architecture: string
  parameters: number
  /** Tokens; null until the engine holds it. */
  context: number | null
  device: string | null
}

/** What a person changes about themselves; what is left out stays. */
export interface MyChange {
  name?: string | null
  language?: string | null
  consent?: Consent | null
}

/** Something that happened lately without the operator. */
export interface News {
  /** Kind of an announcement, or `missed` for a time of a schedule without a run. */
  kind: string
  at: string
  content: Record<string, unknown>
}

/** The schedule that fires next. */
export interface NextSchedule {
  id: string
  name: string
  at: string
}

/** The stored opinion of one person on one reply. */
export interface OpinionOut {
  message_id: string
  rating: number | null
  rewrite: string | null
  labels: Record<string, number>
  reasons: string[]
  note: string | null
  revision: number
  withdrawn: boolean
  created_at: string
  updated_at: string
}

/** Some of them, newest first; `next` goes into `before` for older ones. */
export interface Page {
  items: DeskFeedback[]
  next: string | null
}

/** Some people, newest first; `next` goes into `offset`. */
export interface PeoplePage {
  items: Listed[]
  next: number | null
}

/** Somebody new, with a password, an API key, both, or neither yet. */
export interface PersonIn {
  name: string
  role?: 'user' | 'rater' | 'operator' | 'admin'
  password?: string | null
  /** Make an API key too; it is shown this once. */
  api_key?: boolean
}

/** A person, without anything they wrote. */
export interface PersonOut {
  id: string
  name: string | null
  role: 'user' | 'rater' | 'operator' | 'admin'
  guest: boolean
  language: string
  consent_train: boolean | null
  created_at: string
}

/** A version is new or has changed. */
export interface PolicyEvent {
  type: 'policy'
  policy: PolicyOut
}

/** A version of the weights. */
export interface PolicyOut {
  number: number
  parent: number | null
  run_id: string | null
  state: string
  directory: string
  digest: string
  report: Record<string, unknown>
  reason: string | null
  created_at: string
  live_at: string | null
}

/** What a cron text means, before there is a schedule. */
export interface Preview {
  explain: string
  next: string[]
}

/** Which mixture to try, and on what. */
export interface PreviewIn {
  /** Weight by reward; of styles and own rules also below 0, for less of it. */
  weights: Record<string, number>
  /** The operators' own rules: an expression over measures of the text, or words to be counted. */
  rules?: Record<string, string | string[]>
  /** What the gate demands, by its names. */
  limits?: Record<string, number>
  /** Words that a version's replies may not hold; `maximum_forbidden` limits it. */
  forbidden?: string[]
  /** Real questions of late when left out. */
  prompts?: string[] | null
  /** Replies drawn for each question, today's among them. */
  draws?: number
  max_tokens?: number
  /** Another number, other questions and replies. */
  seed?: number
}

/** Best of n under the mixture, beside today's replies. */
export interface Previewed {
  replies: number
  /** Rewards that count and that too few opinions have taught. */
  missing: string[]
  /** Learned rewards, cross-validated by person. */
  validation: Record<string, Validation>
  /** Rank correlation between rewards. */
  correlation: Record<string, Record<string, number | null>>
  /** A run refuses a profile that has any. */
  clashes: Clash[]
  /** Share of these replies that hold a forbidden word as things are. */
  forbidden: number
  version: number
  draws: number
  items: Choice[]
  /** How far the chosen replies lie from today's, in spreads, by reward. */
  shift: Record<string, number>
}

/** A profile; the active one goes into every next run. */
export interface ProfileIn {
  /** Weight by reward; of styles and own rules also below 0, for less of it. */
  weights: Record<string, number>
  /** The operators' own rules: an expression over measures of the text, or words to be counted. */
  rules?: Record<string, string | string[]>
  /** What the gate demands, by its names. */
  limits?: Record<string, number>
  /** Words that a version's replies may not hold; `maximum_forbidden` limits it. */
  forbidden?: string[]
  active?: boolean
}

/** A stored profile. */
export interface ProfileOut {
  /** Weight by reward; of styles and own rules also below 0, for less of it. */
  weights: Record<string, number>
  /** The operators' own rules: an expression over measures of the text, or words to be counted. */
  rules: Record<string, string | string[]>
  /** What the gate demands, by its names. */
  limits: Record<string, number>
  /** Words that a version's replies may not hold; `maximum_forbidden` limits it. */
  forbidden: string[]
  active: boolean
  name: string
  revision: number
  updated_at: string
}

/** All profiles, and the names that they may use. */
export interface Profiles {
  items: ProfileOut[]
  /** Learned ones, then styles. */
  rewards: string[]
  /** What each style counts. */
  styles: Record<string, string>
  limits: string[]
  /** What expressions may speak of. */
  measures: string[]
}

/** How far a rater has come. */
export interface Progress {
  done: number
  since: number
  waiting: number
  repeated: number
  agreed: number
}

/** Questions that people really asked. */
export interface Questions {
  items: string[]
}

/** How one rater has answered. */
export interface RaterOut {
  person_id: string
  name: string | null
  answered: number
  /** Gold items among them. */
  gold: number
  gold_right: number
  /** Lower end of the share answered rightly, at 95 % (Wilson). */
  gold_low: number
  gold_high: number
  /** Answers that can be held against another rater's to the same item. */
  shared: number
  shared_same: number
  /** Cohen's kappa over these. */
  kappa: number | null
  /** Replies that they were given twice. */
  repeated: number
  repeated_same: number
}

/** Why the pointer moves; it goes into the audit log. */
export interface Reason {
  reason?: string
}

/** Why a thumb went up or down. */
export interface ReasonOut {
  id: string
  label_en: string
  label_zh: string
  for: 'up' | 'down' | 'both'
}

/** One opinion or comparison and the versions that learned from it. */
export interface Receipt {
  kind: string
  id: string
  message_id: string
  rating: number | null
  rewritten: boolean
  at: string
  /** Why no run will learn from it, whatever did before; null: one may. */
  idle: 'withdrawn' | 'no_consent' | 'excluded' | 'kept_out' | null
  versions: LessonOut[]
}

/** The default recipe and what each of its fields means. */
export interface RecipeOut {
  default: Record<string, unknown>
  json_schema: Record<string, unknown>
}

/** What a profile once was. */
export interface RevisionOut {
  /** Weight by reward; of styles and own rules also below 0, for less of it. */
  weights: Record<string, number>
  /** The operators' own rules: an expression over measures of the text, or words to be counted. */
  rules: Record<string, string | string[]>
  /** What the gate demands, by its names. */
  limits: Record<string, number>
  /** Words that a version's replies may not hold; `maximum_forbidden` limits it. */
  forbidden: string[]
  revision: number
  at: string
}

/** What a gold item should be answered with. */
export interface RightAnswer {
  /** Of an opinion's reply up or down, of a comparison's two left or right. */
  answer: 'up' | 'down' | 'left' | 'right'
  reason?: string
}

/** Another role. */
export interface RoleChange {
  role: 'user' | 'rater' | 'operator' | 'admin'
}

/** A run is new or has changed. */
export interface RunEvent {
  type: 'run'
  run: RunOut
}

/** Train now. */
export interface RunIn {
  /** What differs from the default recipe. */
  recipe?: Record<string, unknown>
  /** Name of the reward profile; the active one when null. */
  reward_profile?: string | null
}

/** One training from snapshot to publication. */
export interface RunOut {
  id: string
  schedule_id: string | null
  requested_by: string | null
  state: string
  stage: string | null
  progress: number
  from_version: number | null
  to_version: number | null
  recipe: Record<string, unknown>
  counts: Record<string, unknown>
  report: Record<string, unknown>
  error: string | null
  cancel_requested: boolean
  queued_at: string
  started_at: string | null
  ended_at: string | null
}

/** The same prompt answered before and after. */
export interface SampleOut {
  prompt: string
  before: string
  after: string
  reward_before: number
  reward_after: number
}

/** What changes; what is left out stays. `enabled` pauses and resumes; null takes a profile or a trigger away. */
export interface ScheduleChange {
  name?: string | null
  cron?: string | null
  time_zone?: string | null
  minimum_feedback?: number | null
  recipe?: Record<string, unknown> | null
  /** Name of the reward profile; the active one when null. */
  reward_profile?: string | null
  blackouts?: string[] | null
  /** So many new opinions start a run by themselves. */
  after_feedback?: number | null
  /** So does a fall of the live version's share of thumbs up by this much. */
  on_drift?: number | null
  enabled?: boolean | null
}

/** A new schedule. With an empty cron text only its other triggers start runs. */
export interface ScheduleIn {
  name: string
  /** Minute, hour, day, month and weekday (Sunday is 0); empty for none. */
  cron: string
  /** The zone the cron text speaks of, such as Asia/Shanghai. */
  time_zone?: string
  /** With fewer new opinions nothing is learned. */
  minimum_feedback?: number
  /** What differs from the default recipe. */
  recipe?: Record<string, unknown>
  /** Name of the reward profile; the active one when null. */
  reward_profile?: string | null
  /** Windows without learning: `1-5 08:00-18:00`, or `2026-12-24/2026-12-27`. */
  blackouts?: string[]
  /** So many new opinions start a run by themselves. */
  after_feedback?: number | null
  /** So does a fall of the live version's share of thumbs up by this much. */
  on_drift?: number | null
  enabled?: boolean
}

/** A schedule, what its times mean, and when they come next. */
export interface ScheduleOut {
  id: string
  name: string
  cron: string
  time_zone: string
  minimum_feedback: number
  recipe: Record<string, unknown>
  reward_profile: string | null
  blackouts: string[]
  after_feedback: number | null
  on_drift: number | null
  enabled: boolean
  explain: string
  next: string[]
  last_run: SlotOut | null
}

/** A browser that is signed in. */
export interface SessionOut {
  id: string
  created_at: string
  seen_at: string
  current: boolean
}

/** What the link shows. */
export interface ShareIn {
  /** The last message of the branch; null: the newest one. */
  message_id?: string | null
}

/** A link: `/s/<token>` on this server. */
export interface ShareOut {
  token: string
  conversation_id: string
  message_id: string
  title: string
  created_at: string
}

/** What whoever has the link may read. Whose it is is not told. */
export interface SharedOut {
  title: string
  created_at: string
  messages: SharedTurn[]
}

/** One message of a shared branch. */
export interface SharedTurn {
  id: string
  role: 'user' | 'assistant'
  content: string
  policy_version: number | null
}

/** One of two replies to be compared. */
export interface Side {
  message_id: string
  content: string
  policy_version: number
}

/** Name and password. */
export interface SignIn {
  name: string
  password: string
}

/** A new account; without a name, a guest. */
export interface SignUp {
  name?: string | null
  password?: string | null
  language?: string | null
  /** Where signing up is by invitation. */
  invite?: string | null
}

/** A time of a schedule and what became of it: a run, or the reason why none. */
export interface SlotOut {
  planned_at: string
  trigger: 'clock' | 'feedback' | 'drift'
  run_id: string | null
  missed: string | null
}

/** What a version learned from. */
export interface SnapshotOut {
  digest: string | null
  counts: Record<string, unknown>
  people: number
  opinions: number
  /** The ten people whom its reward hangs on most. */
  givers: GiverOut[]
}

/** How it goes. */
export interface Summary {
  live: Live | null
  policies: VersionCounts[]
  opinions_since_last_run: number
  next_schedule: NextSchedule | null
  running_run: RunOut | null
  last_run: RunOut | null
  canary: CanaryOut | null
  waiting: Waiting[]
  days: Day[]
  inflow: Inflow[]
  news: News[]
  people: number
  guests: number
  engine: Record<string, unknown>
}

/** One turn of a conversation. */
export interface ThreadTurn {
  role: string
  content: string
}

/** How a version was liked since people had it. */
export interface Thumbs {
  replies: number
  rated: number
  liked: number
}

/** A version that learned from somebody. */
export interface TouchedOut {
  number: number
  opinions: number
  /** Of all that the version learned from. */
  share: number
}

/** One turn of the conversation that led to the reply. */
export interface Turn {
  role: string
  content: string
}

/** How well a reward foretells people whom it was not fitted on. */
export interface Validation {
  measure: string
  value: number | null
  folds: number[]
  opinions: number
  people: number
}

/** Which of the two is better. */
export interface Verdict {
  verdict: 'left' | 'right' | 'tie' | 'neither'
}

/** How a version was liked: `liked` of `rated` thumbs on its `replies`. */
export interface VersionCounts {
  number: number
  state: string
  live_at: string | null
  replies: number
  rated: number
  liked: number
}

/** A version that passed the gate and waits for an operator. */
export interface Waiting {
  number: number
  run_id: string | null
  created_at: string
}

/** An opinion or a comparison, with its text where its writers let it train. */
export interface DeskFeedback {
  kind: 'opinion' | 'comparison'
  id: string
  person_id: string
  person: string | null
  consent: boolean
  /** Nothing of this person trains. */
  person_excluded: boolean
  message_id: string
  /** The right-hand reply of a comparison. */
  other_id: string | null
  policy_version: number
  rating: number | null
  verdict: string | null
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
  /** Versions that learned from it. */
  versions: number[]
  /** The right answer, where what it is about is a gold item. */
  gold: string | null
}

/** The caller's present opinion on a reply. */
export interface ConversationsFeedback {
  rating: 1 | -1 | null
  rewrite: string | null
  labels: Record<string, number>
  reasons: string[]
  note: string | null
  revision: number
}

/** One question and both replies. */
export interface ComparePair {
  prompt: string
  left: string
  right: string
}

/** How they shall be handed out; what is left out stays. */
export interface LabellingRulesChange {
  gold_share?: number | null
  double_share?: number | null
  pair_share?: number | null
}

/** How items are handed out. */
export interface LabellingRulesOut {
  /** Of what a rater is given: items whose right answer is known. */
  gold_share: number
  /** Of the replies: given to two raters, as long as there are fresh ones. */
  double_share: number
  /** Of what a rater is given: pairs that the reward heads disagree on. */
  pair_share: number
}

/** What changes; what is left out stays. A null `webhook_url` takes the webhook away. */
export interface ReleaseRulesChange {
  /** `operator`: a version that passed the gate waits for one. */
  approval?: 'automatic' | 'operator' | null
  /** Whether a new version first serves a share of the people. */
  canary?: boolean | null
  /** Of the people, step by step; everybody comes after the last. */
  canary_shares?: number[] | null
  /** That each step must have reached before the next one. */
  canary_people?: number | null
  /** Each of them. */
  canary_replies?: number | null
  /** Chance of taking back a version that is no worse. */
  alpha?: number | null
  webhook_url?: string | null
  /** Whether the webhook may lead into a private network. */
  webhook_private?: boolean | null
}

/** The rules as they stand. */
export interface ReleaseRulesOut {
  approval: 'automatic' | 'operator'
  canary: boolean
  canary_shares: number[]
  canary_people: number
  canary_replies: number
  alpha: number
  webhook_url: string | null
  webhook_private: boolean
  /** What the receiver checks signatures with. */
  webhook_secret: string | null
  updated_at: string
}

/** Two replies to one question, to be compared. */
export interface RatePair {
  kind: 'pair'
  id: string
  left: Side
  right: Side
  turns: Turn[]
  created_at: string
}

export type OperateEvent = RunEvent | MetricEvent | LogEvent | PolicyEvent | CanaryEvent
