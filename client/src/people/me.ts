/** Who is chatting: their account, language and consent. */

import { QueryClient, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useCallback } from 'react'

import { forgetDrafts } from '../chat/drafts'
import { session } from '../chat/session'
import { call, HttpError } from '../http'
import { forgetOutbox } from '../rate/outbox'
import type { Entrance, Me } from '../wire/http'
import { currentLanguage, isLanguage, type Language, speak } from '../words'

export type { AspectOut as Aspect, Me, ReasonOut as Reason } from '../wire/http'
export type Role = Me['role']

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      retry: (count, error) => !(error instanceof HttpError) && count < 3,
    },
  },
})

/** The account of this browser; a first visitor becomes a guest. `null` where guests may not chat. */
async function enter(): Promise<Me | null> {
  try {
    const me = await call<Me>('POST', '/api/people', { language: currentLanguage() })
    if (isLanguage(me.language)) await speak(me.language)
    return me
  } catch (error) {
    if (error instanceof HttpError && (error.status === 401 || error.status === 403)) return null
    throw error
  }
}

/** Does the server know nobody behind this browser's cookie (any more)? */
export async function isStranger(): Promise<boolean> {
  try {
    await call<Me>('GET', '/api/me')
    return false
  } catch (error) {
    return error instanceof HttpError && error.status === 401
  }
}

export function useMe() {
  return useQuery({ queryKey: ['me'], queryFn: enter, staleTime: Infinity })
}

export function useChangeMe() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (change: { name?: string; language?: Language; consent?: { train: boolean } }) =>
      call<Me>('PATCH', '/api/me', change),
    onSuccess: (me) => client.setQueryData<Me | null>(['me'], (old) => ({ ...old, ...me })),
  })
}

/** Speaks another language at once, and wherever this person comes back: what is stored is spoken at the next start. */
export function useChooseLanguage() {
  const { mutate } = useChangeMe()
  return (language: Language) => {
    void speak(language)
    mutate({ language })
  }
}

/** Call after the cookie changed hands: nothing of the former person stays on the page or in the browser. */
export function usePersonChanged() {
  const client = useQueryClient()
  return useCallback(async () => {
    const before = client.getQueryData<Me | null>(['me'])?.id
    await client.invalidateQueries({ queryKey: ['me'] })
    if (client.getQueryData<Me | null>(['me'])?.id !== before) {
      session.becomeSomebodyElse()
      forgetDrafts()
      forgetOutbox()
    } else {
      session.renew()
    }
    await client.resetQueries({ predicate: (query) => query.queryKey[0] !== 'me' })
  }, [client])
}

export function signIn(name: string, password: string): Promise<unknown> {
  return call('POST', '/api/session', { name, password })
}

export function signUp(name: string, password: string, invite: string): Promise<unknown> {
  return call('POST', '/api/people', { name, password, ...(invite && { invite }) })
}

/** Who is let in here. */
export function useEntrance() {
  return useQuery({
    queryKey: ['entrance'],
    queryFn: () => call<Entrance>('GET', '/api/entrance'),
    staleTime: Infinity,
  })
}

export function signOut(): Promise<unknown> {
  return call('DELETE', '/api/session')
}

export function eraseMe(): Promise<unknown> {
  return call('DELETE', '/api/me')
}

export function isRater(me: Me | null | undefined): boolean {
  return me?.role === 'rater' || isOperator(me)
}

export function isOperator(me: Me | null | undefined): boolean {
  return me?.role === 'operator' || me?.role === 'admin'
}
