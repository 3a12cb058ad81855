/** Two answers side by side: the one at hand and another, which is written first if there is none yet. */

import { create } from 'zustand'

import { session, useChat } from '../chat/session'

interface ComparisonState {
  /** The reply at hand and the request for the other one, while that is not known. */
  awaited: { reply: string; key: string } | null
  pair: [string, string] | null
}

export const useComparison = create<ComparisonState>(() => ({ awaited: null, pair: null }))

export function compare(reply: string, other: string): void {
  useComparison.setState({ awaited: null, pair: [reply, other] })
}

/** Has another answer written, to be compared with this one. */
export function compareWithAnother(reply: string): void {
  useComparison.setState({ awaited: { reply, key: session.regenerate(reply) }, pair: null })
}

export function endComparison(): void {
  useComparison.setState({ awaited: null, pair: null })
}

useChat.subscribe(({ outbox, messages, choices }) => {
  const { awaited } = useComparison.getState()
  if (awaited === null) return
  const pending = outbox.find((it) => it.request.key === awaited.key)
  if (pending) {
    if (pending.refused) endComparison() // the page says why
    return
  }
  const other = choices[messages[awaited.reply]?.parent_id ?? '']
  if (other === undefined || other === awaited.reply) endComparison()
  else compare(awaited.reply, other)
})

/**
 * Whether people are asked to compare this reply with another. A reply's id is drawn at random, so its first digits are
 * as good as a lot, and the lot is the same in every tab and after every reload.
 */
export function isInvited(reply: string, share: number): boolean {
  return parseInt(reply.slice(0, 8), 16) / 2 ** 32 < share
}
