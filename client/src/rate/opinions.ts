/** What a person thinks of a reply. What they decide shows at once; the outbox sees to it that the server stores it. */

import type { Feedback, Message } from '../chat/message'
import { session } from '../chat/session'
import type { ChatAction } from '../chat/state'
import { post, useOutbox, whenStored } from './outbox'

export type Opinion = Omit<Feedback, 'revision'>

export const noOpinion: Opinion = { rating: null, rewrite: null, labels: {}, reasons: [], note: null }

export function isEmpty(opinion: Opinion): boolean {
  const { rating, rewrite, labels, reasons, note } = opinion
  return rating === null && rewrite === null && note === null && reasons.length === 0 && Object.keys(labels).length === 0
}

/** The opinion as it stands on this page, stored or not. */
export function useOpinion(reply: Message | undefined): Opinion {
  const waiting = useOutbox((state) => reply && state.waiting[`opinion/${reply.id}`])
  if (waiting) return waiting.body as Opinion
  if (!reply?.feedback) return noOpinion
  const { rating, rewrite, labels, reasons, note } = reply.feedback
  return { rating, rewrite, labels, reasons, note }
}

/** An opinion that says nothing is none: it withdraws what was said before. */
export function give(reply: string, opinion: Opinion): void {
  post('opinion', reply, {
    method: isEmpty(opinion) ? 'DELETE' : 'PUT',
    path: `/api/messages/${reply}/feedback`,
    body: opinion,
  })
}

/** The tabs beside this one show the opinion at once: it has left the outbox, which was all they knew of it. */
const otherTabs = new BroadcastChannel('backtalk.opinions')
otherTabs.onmessage = ({ data }: MessageEvent<ChatAction>) => session.dispatch(data)

whenStored('opinion', (reply, stored) => {
  const feedback = stored as (Feedback & { withdrawn: boolean }) | null
  const heard: ChatAction = { type: 'feedback', reply, feedback: feedback?.withdrawn ? null : feedback }
  session.dispatch(heard)
  otherTabs.postMessage(heard)
})
