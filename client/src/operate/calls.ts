/** Every call of the console: what is read, under which key it is kept, and what is changed. */

import {
  keepPreviousData,
  type QueryClient,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query'

import { call, type Items } from '../http'
import { keys } from './keys'
import { type CanaryAnswer, withMetrics } from './live'
import type {
  Announcement,
  Audit,
  Card,
  Compared,
  Delays,
  DryRun,
  Entrance,
  EntranceMode,
  Feedback,
  FeedbackKind,
  Giver,
  GoldAnswer,
  Json,
  Labelling,
  Listed,
  LogLine,
  Metric,
  Page,
  Policy,
  Previewed,
  Profile,
  ProfileContent,
  Profiles,
  ReleaseRules,
  Revision,
  Role,
  Run,
  RunGiver,
  Sample,
  Schedule,
  ScheduleValues,
  Slot,
  Summary,
} from './shapes'

const ROOT = '/api/operate'
const MOST_METRICS = 20_000
/** Runs that are fetched, the newest; who shows them says that there may be older ones. */
export const MOST_RUNS = 200

function address(path: string, query: Record<string, string | number | boolean | null | undefined> = {}): string {
  const parts = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') parts.set(name, String(value))
  }
  return parts.size > 0 ? `${ROOT}${path}?${parts.toString()}` : `${ROOT}${path}`
}

/** Thumbs come in all the time and are not told of on the socket, so the summary is asked for again now and then. */
export function useSummary() {
  return useQuery({
    queryKey: keys.summary,
    queryFn: () => call<Summary>('GET', address('/summary')),
    refetchInterval: 15_000,
  })
}

export function useRuns() {
  return useQuery({
    queryKey: keys.runs,
    queryFn: () => call<Items<Run>>('GET', address('/runs', { limit: MOST_RUNS })),
  })
}

export function useRun(id: string) {
  return useQuery({ queryKey: keys.run(id), queryFn: () => call<Run>('GET', address(`/runs/${id}`)) })
}

/** Only what is not yet known is asked for, so asking again is cheap; steps told on the socket meanwhile are kept. */
async function fetchMetrics(client: QueryClient, id: string): Promise<Metric[]> {
  const known = () => client.getQueryData<Metric[]>(keys.metrics(id)) ?? []
  // The first step that was told on the socket may lie behind a hole; from the start on there is none.
  let after = -1
  let fetched: Metric[] = []
  for (;;) {
    const { items } = await call<Items<Metric>>('GET', address(`/runs/${id}/metrics`, { after }))
    fetched = withMetrics(fetched, items)
    after = items.at(-1)?.step ?? after
    if (items.length < MOST_METRICS) return withMetrics(known(), fetched)
  }
}

export function useMetrics(id: string) {
  const client = useQueryClient()
  return useQuery({
    queryKey: keys.metrics(id),
    queryFn: () => fetchMetrics(client, id),
    // Steps are never changed: comparing twenty thousand of them with themselves at every message would be in vain.
    structuralSharing: false,
  })
}

export function useSamples(id: string) {
  return useQuery({
    queryKey: keys.samples(id),
    queryFn: () => call<Items<Sample>>('GET', address(`/runs/${id}/samples`)),
  })
}

export function useLog(id: string) {
  return useQuery({
    queryKey: keys.log(id),
    queryFn: async () => (await call<Items<LogLine>>('GET', address(`/runs/${id}/log`))).items,
  })
}

export function useGivers(id: string) {
  return useQuery({
    queryKey: keys.givers(id),
    queryFn: () => call<Items<RunGiver>>('GET', address(`/runs/${id}/people`, { limit: 10 })),
  })
}

export function useTrain() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (asked: Pick<ScheduleValues, 'recipe' | 'reward_profile'>) => call<Run>('POST', address('/runs'), asked),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.all }),
  })
}

export function useCancelRun(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () => call<Run>('POST', address(`/runs/${id}/cancel`)),
    onSuccess: (run) => client.setQueryData(keys.run(id), run),
  })
}

export function usePolicies() {
  return useQuery({ queryKey: keys.policies, queryFn: () => call<Items<Policy>>('GET', address('/policies')) })
}

export type Move = 'promote' | 'approve' | 'reject' | 'canary' | 'rollback'

/** Moves a version: live, on trial, turned down; or takes the newest change back. */
export function useMove(move: Move, number: number) {
  const client = useQueryClient()
  const path = move === 'rollback' ? '/policies/rollback' : `/policies/${number}/${move}`
  return useMutation({
    mutationFn: (reason: string) => call<Policy>('POST', address(path), { reason }),
    onSuccess: async () => {
      await Promise.all([
        client.invalidateQueries({ queryKey: keys.policies }),
        client.invalidateQueries({ queryKey: keys.canary }),
        client.invalidateQueries({ queryKey: keys.summary }),
        client.invalidateQueries({ queryKey: keys.announcements }),
      ])
    },
  })
}

/** Its files are read whole on the server, so it is asked for only when somebody opens it. */
export function useCard(number: number) {
  return useQuery({
    queryKey: keys.card(number),
    queryFn: () => call<Card>('GET', address(`/policies/${number}/card`)),
    staleTime: 60_000,
  })
}

export interface Comparing {
  left: number
  right: number
  prompts: string[] | null
  seed: number
}

export function useCompare() {
  return useMutation({ mutationFn: (asked: Comparing) => call<Compared>('POST', address('/policies/compare'), asked) })
}

export function useCanary() {
  return useQuery({ queryKey: keys.canary, queryFn: () => call<CanaryAnswer>('GET', address('/canary')) })
}

export function useRelease() {
  return useQuery({ queryKey: keys.release, queryFn: () => call<ReleaseRules>('GET', address('/release')) })
}

export function useSaveRelease() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (changes: Partial<ReleaseRules>) => call<ReleaseRules>('PATCH', address('/release'), changes),
    onSuccess: (rules) => client.setQueryData(keys.release, rules),
  })
}

export function useTestWebhook() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () => call<Announcement>('POST', address('/release/test')),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.announcements }),
  })
}

export function useAnnouncements() {
  return useQuery({
    queryKey: keys.announcements,
    queryFn: () => call<Items<Announcement>>('GET', address('/announcements', { limit: 30 })),
    refetchInterval: 5_000,
  })
}

export function useSchedules() {
  return useQuery({
    queryKey: keys.schedules,
    queryFn: () => call<Items<Schedule>>('GET', address('/schedules')),
    refetchInterval: 60_000,
  })
}

export interface Preview {
  explain: string
  next: string[]
}

export function usePreview(cron: string, zone: string, blackouts: string[]) {
  const windows = blackouts.map((window) => `&blackout=${encodeURIComponent(window)}`).join('')
  return useQuery({
    queryKey: keys.preview(cron, zone, blackouts),
    queryFn: () => call<Preview>('GET', address('/schedules/preview', { cron, time_zone: zone }) + windows),
    enabled: cron !== '' && zone !== '',
    retry: false,
  })
}

export function useSlots(id: string) {
  return useQuery({
    queryKey: keys.slots(id),
    queryFn: () => call<Items<Slot>>('GET', address(`/schedules/${id}/slots`, { limit: 50 })),
  })
}

export type DryRunAsked = Pick<ScheduleValues, 'recipe' | 'reward_profile' | 'minimum_feedback'>

/** Asked anew each time it is looked at. */
export function useDryRun(asked: DryRunAsked) {
  return useQuery({
    queryKey: keys.dryRun(asked),
    queryFn: () => call<DryRun>('POST', address('/schedules/dry-run'), asked),
    placeholderData: keepPreviousData,
    staleTime: 0,
    gcTime: 0,
    retry: false,
  })
}

export function useSaveSchedule(id: string | null) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (values: Partial<ScheduleValues>) =>
      id === null
        ? call<Schedule>('POST', address('/schedules'), values)
        : call<Schedule>('PATCH', address(`/schedules/${id}`), values),
    onSuccess: () => schedulesChanged(client),
  })
}

export function useRemoveSchedule(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () => call('DELETE', address(`/schedules/${id}`)),
    onSuccess: () => schedulesChanged(client),
  })
}

async function schedulesChanged(client: QueryClient): Promise<void> {
  await Promise.all([
    client.invalidateQueries({ queryKey: keys.schedules }),
    client.invalidateQueries({ queryKey: keys.summary }),
  ])
}

export function useProfiles() {
  return useQuery({ queryKey: keys.rewards, queryFn: () => call<Profiles>('GET', address('/rewards')) })
}

export interface RecipeAnswer {
  default: Json
  json_schema: Json
}

export function useRecipe() {
  return useQuery({
    queryKey: keys.recipe,
    queryFn: () => call<RecipeAnswer>('GET', address('/recipes')),
    staleTime: Infinity,
  })
}

export function useSaveProfile() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ name, ...values }: ProfileContent & Pick<Profile, 'name' | 'active'>) =>
      call<Profile>('PUT', address(`/rewards/${encodeURIComponent(name)}`), values),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.rewards }),
  })
}

export function useRemoveProfile() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (name: string) => call('DELETE', address(`/rewards/${encodeURIComponent(name)}`)),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.rewards }),
  })
}

export function useRevisions(name: string) {
  return useQuery({
    queryKey: keys.revisions(name),
    queryFn: () => call<Items<Revision>>('GET', address(`/rewards/${encodeURIComponent(name)}/revisions`)),
  })
}

/** Draws replies on the engine: some seconds. */
export function usePreviewProfile() {
  return useMutation({
    mutationFn: (asked: ProfileContent & { seed: number }) => call<Previewed>('POST', address('/rewards/preview'), asked),
  })
}

export function useDelays() {
  return useQuery({ queryKey: keys.delays, queryFn: () => call<Delays>('GET', address('/delays')), staleTime: 60_000 })
}

export interface FeedbackFilters {
  kind: FeedbackKind
  version: number | null
  rating: '1' | '-1' | null
  reason: string | null
  aspect: string | null
  rewritten: 'true' | 'false' | null
  excluded: 'true' | 'false' | null
  gold: 'true' | 'false' | null
  person_id: string | null
  /** Days, as a date field gives them. */
  since: string | null
  until: string | null
}

/** Where what is filtered is written line by line. */
export function exportAddress(filters: FeedbackFilters): string {
  return address('/feedback/export', { ...filters })
}

export const trainingFormats = ['unpaired', 'preference', 'demonstrations'] as const

/** Everything that may train, as trainers read it. */
export function trainingAddress(format: (typeof trainingFormats)[number]): string {
  return address(`/feedback/export/${format}`)
}

export function useThread(item: Feedback) {
  return useQuery({
    queryKey: keys.thread(item.id),
    queryFn: () => call<Items<{ role: string; content: string }>>('GET', address(`/feedback/${item.kind}/${item.id}/thread`)),
    retry: false,
  })
}

export function useGiver(id: string | null) {
  return useQuery({
    queryKey: keys.giver(id),
    queryFn: () => call<Giver>('GET', address(`/feedback/people/${id}`)),
    enabled: id !== null,
  })
}

export function useExcludePerson(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (given: { excluded: boolean; reason: string }) =>
      call<Giver>('PATCH', address(`/feedback/people/${id}`), given),
    onSuccess: async (giver) => {
      client.setQueryData(keys.giver(id), giver)
      await client.invalidateQueries({ queryKey: keys.feedback })
    },
  })
}

export function useFeedback(filters: FeedbackFilters) {
  return useInfiniteQuery({
    queryKey: [...keys.feedback, filters],
    queryFn: ({ pageParam }) =>
      call<Page<Feedback, string>>('GET', address('/feedback', { ...filters, before: pageParam, limit: 30 })),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
  })
}

export function useMarkGold() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ item, answer }: { item: Feedback; answer: GoldAnswer | null }) => {
      const path = address(`/feedback/${item.kind}/${item.id}/gold`)
      return answer === null ? call<Feedback>('DELETE', path) : call<Feedback>('PUT', path, { answer })
    },
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: keys.feedback })
      await client.invalidateQueries({ queryKey: keys.labelling })
    },
  })
}

export function useLabelling() {
  return useQuery({ queryKey: keys.labelling, queryFn: () => call<Labelling>('GET', address('/labelling')) })
}

export function useSetLabelling() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (rules: Labelling['rules']) => call<Labelling['rules']>('PUT', address('/labelling'), rules),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.labelling }),
  })
}

export function useExclude() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ item, excluded, reason }: { item: Feedback; excluded: boolean; reason: string }) =>
      call<Feedback>('PATCH', address(`/feedback/${item.kind}/${item.id}`), { excluded, reason }),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.feedback }),
  })
}

export interface PeopleFilters {
  query: string
  role: Role | null
  guests: boolean
}

export function usePeople(filters: PeopleFilters) {
  return useInfiniteQuery({
    queryKey: [...keys.people, filters],
    queryFn: ({ pageParam }) =>
      call<Page<Listed, number>>('GET', address('/people', { ...filters, offset: pageParam, limit: 50 })),
    initialPageParam: 0,
    getNextPageParam: (page) => page.next,
  })
}

/** Names by id, for the lists that only know ids. */
export function useNames(): Map<string, string> {
  const found = useQuery({
    queryKey: keys.names,
    queryFn: () => call<Page<Listed, number>>('GET', address('/people', { limit: 500 })),
  })
  return new Map((found.data?.items ?? []).flatMap(({ id, name }) => (name === null ? [] : [[id, name] as const])))
}

export interface PersonValues {
  name: string
  role: Role
  password: string | null
  api_key: boolean
}

export function useAddPerson() {
  return usePeopleChange((values: PersonValues) =>
    call<{ id: string; name: string; api_key: string | null }>('POST', address('/people'), values),
  )
}

export function useSetRole() {
  return usePeopleChange(({ id, role }: { id: string; role: Role }) =>
    call('PATCH', address(`/people/${id}`), { role }),
  )
}

export function useErasePerson() {
  return usePeopleChange((id: string) => call('DELETE', address(`/people/${id}`)))
}

/** As operators see it: also whether it can be chosen at all. */
export function useEntranceRules() {
  return useQuery({ queryKey: keys.entrance, queryFn: () => call<Entrance>('GET', address('/entrance')) })
}

export function useChooseEntrance() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (signup: EntranceMode) => call<Entrance>('PUT', address('/entrance'), { signup }),
    onSuccess: (kept) => client.setQueryData(keys.entrance, kept),
  })
}

export function useInvite() {
  return useMutation({ mutationFn: () => call<{ invite: string }>('POST', address('/people/invites')) })
}

function usePeopleChange<Given, Answer>(change: (given: Given) => Promise<Answer>) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: change,
    onSuccess: () => client.invalidateQueries({ queryKey: keys.people }),
  })
}

export function useAudit(action: string) {
  return useInfiniteQuery({
    queryKey: [...keys.audit, action],
    queryFn: ({ pageParam }) =>
      call<Page<Audit, number>>('GET', address('/audit', { before: pageParam, action, limit: 50 })),
    initialPageParam: null as number | null,
    getNextPageParam: (page) => page.next,
  })
}

export function claim(token: string, name: string, password: string): Promise<unknown> {
  return call('POST', address('/claim'), { token, name, password })
}
