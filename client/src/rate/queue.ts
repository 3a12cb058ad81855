/** The rater's queue: the item on the desk, the one after it already here, and judgements on their way. */

import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'

import { call } from '../http'
import type { Item as ReplyItem, Progress, RatePair as PairItem, Verdict as VerdictBody } from '../wire/http'
import type { Opinion } from './opinions'
import { post, waitingFor, whenStored } from './outbox'

export type { PairItem, Progress, ReplyItem }

export type Item = ReplyItem | PairItem
export type Verdict = VerdictBody['verdict']

/** An item and what was last said of it. */
export type Judged =
  | { kind: 'reply'; item: ReplyItem; said: Opinion }
  | { kind: 'pair'; item: PairItem; said: { verdict: Verdict } }

const FIRST = ['rate', 'first']

/** As many items as the server lets one name at a time. */
const MOST_KNOWN = 50

/** Items that were judged and are not stored yet are named too: the server does not know that they are done. */
function fetchItem(after: string | null): Promise<Item | null> {
  const ids = [...waitingFor('judgement'), ...(after === null ? [] : [after])].slice(-MOST_KNOWN)
  const known = new URLSearchParams(ids.map((id) => ['after', id]))
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
  useEffect(
    () => whenStored('judgement', () => void client.invalidateQueries({ queryKey: ['rate', 'progress'] })),
    [client],
  )

  const judge = (judged: Judged): void => {
    const { id } = judged.item
    setEarlier(judged)
    post('judgement', id, { method: 'POST', path: `/api/rate/${id}`, body: judged.said })
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
