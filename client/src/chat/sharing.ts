/** Links to conversations: `/s/<token>` shows one branch, read only, to whoever has it. */

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'

import { call, HttpError, type Items } from '../http'
import { session, useChat } from './session'
import { visiblePath } from './tree'

export interface Share {
  token: string
  conversation_id: string
  message_id: string
  title: string
  created_at: string
}

export interface Shared {
  title: string
  created_at: string
  messages: { id: string; role: 'user' | 'assistant'; content: string; policy_version: number | null }[]
}

export function addressOf({ token }: Share): string {
  return `${window.location.origin}/s/${token}`
}

/** The link of a conversation; null while it has none. */
export function useShare(conversation: string) {
  return useQuery({
    queryKey: ['share', conversation],
    queryFn: async () => {
      try {
        return await call<Share>('GET', `/api/conversations/${conversation}/share`)
      } catch (error) {
        if (error instanceof HttpError && error.status === 404) return null
        throw error
      }
    },
    staleTime: 0,
  })
}

export function useShares() {
  return useQuery({ queryKey: ['shares'], queryFn: () => call<Items<Share>>('GET', '/api/me/shares'), staleTime: 0 })
}

/** Makes the link, or lets it show the branch that is on the screen now. */
export function useMakeShare(conversation: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async () => {
      if (!useChat.getState().nodes[conversation]) await session.load(conversation)
      const { nodes, choices } = useChat.getState()
      const last = visiblePath(nodes[conversation] ?? [], choices, conversation).at(-1)
      return await call<Share>('PUT', `/api/conversations/${conversation}/share`, { message_id: last?.id ?? null })
    },
    onSuccess: (share) => {
      client.setQueryData(['share', conversation], share)
      return client.invalidateQueries({ queryKey: ['shares'] })
    },
  })
}

export function useRevoke() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (conversation: string) => call('DELETE', `/api/conversations/${conversation}/share`),
    onSuccess: (_, conversation) => {
      client.setQueryData(['share', conversation], null)
      return client.invalidateQueries({ queryKey: ['shares'] })
    },
  })
}

export function useShared(token: string) {
  return useQuery({
    queryKey: ['shared', token],
    queryFn: () => call<Shared>('GET', `/api/shared/${encodeURIComponent(token)}`),
    staleTime: 0,
  })
}
