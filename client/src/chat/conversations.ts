/** The list of conversations beside the chat. */

import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { create } from 'zustand'

import { call, type Items } from '../http'
import { fetched } from '../parts/fetched'
import { toast } from '../parts/toast'
import { GRACE } from '../parts/undoable'
import type { Conversation, Message } from './message'
import { session, useChat } from './session'

export function useConversations(query: string, isEnabled: boolean) {
  return useQuery({
    queryKey: ['conversations', query],
    queryFn: () => {
      const search = query ? `?${new URLSearchParams({ query }).toString()}` : ''
      return call<Items<Conversation>>('GET', `/api/conversations${search}`)
    },
    enabled: isEnabled,
    placeholderData: keepPreviousData,
  })
}

export function useChangeConversation() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ id, ...change }: { id: string; title?: string; archived?: boolean; train?: boolean }) =>
      call<Conversation>('PATCH', `/api/conversations/${id}`, change),
    onSettled: () => client.invalidateQueries({ queryKey: ['conversations'] }),
  })
}

/** Saves a conversation as a file: the branch that is shown as Markdown, or all of it as JSON. */
export function useExport() {
  const { t } = useTranslation()
  return useMutation({
    mutationFn: async ({ conversation, form }: { conversation: Conversation; form: 'md' | 'json' }) => {
      const { items } = await call<Items<Message>>('GET', `/api/conversations/${conversation.id}/messages`)
      const { asJson, asMarkdown, download, fileName } = await fetched(() => import('./export'))
      const names = { you: t('chat.you'), model: (version: number | null) => t('chat.author', { version }) }
      const text =
        form === 'md'
          ? asMarkdown(conversation, items, useChat.getState().choices, names)
          : asJson(conversation, items)
      download(fileName(conversation.title, form), text, form === 'md' ? 'text/markdown' : 'application/json')
    },
    onError: ({ message }) => void toast({ color: 'red', message: t('somethingWrong', { message }) }),
  })
}

/** Conversations that are deleted for the eye, and for good a little later unless the person takes it back. */
export const useDoomed = create<{ ids: Record<string, ReturnType<typeof setTimeout>> }>(() => ({ ids: {} }))

export function deleteSoon(id: string): void {
  const timer = setTimeout(() => void deleteNow(id), GRACE)
  useDoomed.setState(({ ids }) => ({ ids: { ...ids, [id]: timer } }))
}

export function spare(id: string): void {
  clearTimeout(useDoomed.getState().ids[id])
  useDoomed.setState(({ ids }) => ({ ids: Object.fromEntries(Object.entries(ids).filter(([other]) => other !== id)) }))
}

async function deleteNow(id: string): Promise<void> {
  try {
    await call('DELETE', `/api/conversations/${id}`)
    session.dispatch({ type: 'forgotten', conversation: id })
    session.onConversationChanged()
  } catch {
    spare(id) // it shows again: it is still there
  }
}

/** A page that is left does not wait for the grace time: what was deleted is deleted. */
window.addEventListener('pagehide', () => {
  for (const id of Object.keys(useDoomed.getState().ids)) {
    spare(id)
    void fetch(`/api/conversations/${id}`, {
      method: 'DELETE',
      keepalive: true,
      credentials: 'same-origin',
      headers: { 'X-Backtalk': '1', 'Content-Type': 'application/json' },
      body: '{}',
    })
  }
})
