/** The rater's queue: the item on the desk, the one after it already here, and judgements on their way. */

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import { call, HttpError } from '../http'
import { toast } from '../parts/toast'
import type { Opinion } from './opinions'

export interface ReplyItem {
  kind: 'reply'
  id: string
  message_id: string
  content: string
  policy_version: number
  turns: { role: 'user' | 'assistant'; content: string }[]
}

interface Side {
  message_id: string
  content: string
  policy_version: number
}

/** Two replies to one question, to be compared. */
export interface PairItem {
  kind: 'pair'
  id: string
  left: Side
  right: Side
  turns: { role: 'user' | 'assistant'; content: string }[]
}

export type Item = ReplyItem | PairItem
export type Verdict = 'left' | 'right' | 'tie' | 'neither'

export interface Progress {
  done: number
  since: number
  waiting: number
  repeated: number
  agreed: number
}

/** An item and what was last said of it. */
export type Judged =
  | { kind: 'reply'; item: ReplyItem; said: Opinion }
  | { kind: 'pair'; item: PairItem; said: { verdict: Verdict } }

const FIRST = ['rate', 'first']

/** Items that were judged and are not stored yet: the server does not know that they are done. */
const underWay = new Set<string>()

function fetchItem(after: string | null): Promise<Item | null> {
  const known = new URLSearchParams([...underWay, ...(after === null ? [] : [after])].map((id) => ['after', id]))
  return call<Item | null>('GET', `/api/rate/next?${known.toString()}`)
}

function midnight(): string {
  const at = new Date()
  at.setHours(0, 0, 0, 0)
  return at.toISOString()
}

export function useProgress(isEnabled: boolean) {
  return useQuery({
    queryKey: ['rate', 'progress'],
    queryFn: () => call<Progress>('GET', `/api/rate/progress?${new URLSearchParams({ since: midnight() }).toString()}`),
    enabled: isEnabled,
    staleTime: 0,
  })
}

/** Judging takes no waiting: the next item is on the desk at once, and what was said goes out meanwhile. */
export function useQueue(isEnabled: boolean) {
  const { t } = useTranslation()
  const client = useQueryClient()
  const [desk, setDesk] = useState<Item | null>(null)
  const [earlier, setEarlier] = useState<Judged | null>(null)
  const first = useQuery({
    queryKey: FIRST,
    queryFn: () => fetchItem(null),
    enabled: isEnabled && desk === null,
    staleTime: Infinity,
    gcTime: 0,
  })
  const current = desk ?? first.data ?? null
  const ahead = useQuery({
    queryKey: ['rate', 'after', current?.id],
    queryFn: () => fetchItem(current?.id ?? null),
    enabled: current !== null,
    staleTime: Infinity,
    gcTime: 0,
  })
  const saving = useMutation({
    mutationFn: ({ item, said }: Judged) => call('POST', `/api/rate/${item.id}`, said),
    retry: (_, error) => !(error instanceof HttpError) || error.status >= 500 || error.status === 429,
    retryDelay: (count) => Math.min(1000 * 2 ** count, 15_000),
    onError: (error) => toast({ color: 'red', message: t('somethingWrong', { message: error.message }) }),
    onSettled: (_, __, { item }) => {
      underWay.delete(item.id)
      return client.invalidateQueries({ queryKey: ['rate', 'progress'] })
    },
  })

  const judge = (judged: Judged): void => {
    setEarlier(judged)
    underWay.add(judged.item.id)
    saving.mutate(judged)
    setDesk(ahead.data ?? null)
    if (!ahead.data) void client.resetQueries({ queryKey: FIRST })
  }
  /** Puts the former item on the desk once more; returns it with what was said of it. */
  const goBack = (): Judged | null => {
    if (earlier === null) return null
    setDesk(earlier.item)
    setEarlier(null)
    return earlier
  }
  return {
    current,
    judge,
    goBack,
    mayGoBack: earlier !== null,
    isFinished: current === null && first.isSuccess && !first.isFetching,
    error: current === null ? first.error : null,
    retry: () => void first.refetch(),
  }
}
