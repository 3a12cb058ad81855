/**
 * Which version is live, told once in each browser: to whoever was there when it went live, and to whoever was away,
 * offline or had no page open, as soon as they are back.
 */

import { useEffect } from 'react'
import { create } from 'zustand'

import { call } from '../http'
import type { Learned } from '../wire/http'
import { useChat, useConnection } from './session'

const KNOWN = 'backtalk.version'

/** What is on the page until it is dismissed, and whether anybody can have seen it yet. */
export const useNews = create<{ news: Learned | null; isTold: boolean }>(() => ({ news: null, isTold: false }))

export function dismissNews(): void {
  useNews.setState({ news: null, isTold: false })
}

/** Asks what is live whenever the page has come back to the server, and when a version goes live. */
export function useLookingForNews(): void {
  const isOpen = useConnection((state) => state.connection === 'open')
  const newVersion = useChat((state) => state.newVersion)
  useEffect(() => {
    if (!isOpen) return
    look(newVersion).catch(() => undefined) // the next connection asks again
  }, [isOpen, newVersion])
  useEffect(() => {
    document.addEventListener('visibilitychange', tell)
    return () => document.removeEventListener('visibilitychange', tell)
  }, [])
}

async function look(announced: number | null): Promise<void> {
  const before = known()
  const after = before ?? (announced ?? 1) - 1
  const live = await call<Learned>('GET', `/api/me/receipts/live?known=${after}`)
  if (live.number === known()) return
  // Nothing is new to a newcomer, and what was taken back while nobody looked is no news either.
  const isNews = before === null ? live.number === announced : live.number > before || live.number === announced
  if (!isNews) {
    remember(live.number)
    return
  }
  useNews.setState({ news: live, isTold: false })
  tell()
}

/** A page that nobody sees tells nobody anything; another one may do so meanwhile. */
function tell(): void {
  const { news, isTold } = useNews.getState()
  if (news === null || isTold || document.hidden) return
  if (news.number === known()) {
    dismissNews()
  } else {
    useNews.setState({ isTold: true })
    remember(news.number)
  }
}

function known(): number | null {
  const number = Number(localStorage.getItem(KNOWN) ?? NaN)
  return Number.isNaN(number) ? null : number
}

function remember(number: number): void {
  try {
    localStorage.setItem(KNOWN, String(number))
  } catch {
    // Without storage it is told once more the next time.
  }
}
