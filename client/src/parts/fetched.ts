/**
 * Pieces of the client that are fetched when they are first wanted.
 *
 * They may not come: one is offline, or the server was upgraded meanwhile and has other pieces now.
 */

import { useEffect } from 'react'
import { create } from 'zustand'

import { useConnection } from '../chat/session'

/** Style sheets that did not come. The loader asks for each only once. */
const broken = new Set<HTMLLinkElement>()

window.addEventListener(
  'error',
  ({ target }) => {
    if (target instanceof HTMLLinkElement && target.rel === 'stylesheet') broken.add(target)
  },
  { capture: true },
)

/** What `load` imports, with all its styles, however often that failed before. */
export async function fetched<T>(load: () => Promise<T>): Promise<T> {
  await Promise.all([...broken].map(mend))
  return await load()
}

function mend(link: HTMLLinkElement): Promise<void> {
  broken.delete(link)
  const again = link.cloneNode() as HTMLLinkElement
  return new Promise((resolve, reject) => {
    again.onload = () => resolve()
    again.onerror = () => reject(new Error(`${link.href} could not be loaded`))
    link.replaceWith(again)
  })
}

/** Calls back whenever the connection has come back; returns the way to stop that. */
export function whenBack(then: () => void): () => void {
  window.addEventListener('online', then)
  const stop = useConnection.subscribe((now, before) => {
    if (now.connection === 'open' && before.connection !== 'open') then()
  })
  return () => {
    window.removeEventListener('online', then)
    stop()
  }
}

/** Makes a hook for something that the page can do without: null until it is there, and no word about it. */
export function extra<T>(load: () => Promise<T>): (isWanted: boolean) => T | null {
  const useFetched = create<{ it: T | null }>(() => ({ it: null }))
  let isAsked = false
  const ask = async (): Promise<void> => {
    try {
      useFetched.setState({ it: await fetched(load) })
    } catch {
      const stop = whenBack(() => {
        stop()
        void ask()
      })
    }
  }
  return function useExtra(isWanted) {
    useEffect(() => {
      if (!isWanted || isAsked) return
      isAsked = true
      void ask()
    }, [isWanted])
    return useFetched(({ it }) => it)
  }
}
