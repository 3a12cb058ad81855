/** What is typed and not sent yet: it survives a reload, each in its own place. */

import { useCallback, useEffect, useRef, useState } from 'react'

const PREFIX = 'backtalk.draft.'

interface Draft {
  text: string
  /** Takes a stroke over. It is written down at once: a page may be left at any moment. */
  keep: (text: string) => void
  /** What was typed is sent, or given up. */
  drop: () => void
}

/**
 * The draft of a place.
 *
 * @param begun What stands there before anybody types.
 */
export function useDraft(place: string, begun = ''): Draft {
  const [text, setText] = useState(() => localStorage.getItem(PREFIX + place) ?? begun)
  const written = useRef(place)
  const keep = useCallback(
    (next: string) => {
      setText(next)
      write(place, next === begun ? null : next)
    },
    [place, begun],
  )
  const drop = useCallback(() => write(place, null), [place])
  useEffect(() => {
    // A new conversation has got its name while somebody was typing in it.
    if (written.current === place) return
    write(written.current, null)
    write(place, text === begun ? null : text)
    written.current = place
  }, [place, text, begun])
  return { text, keep, drop }
}

export function hasDraft(place: string): boolean {
  return localStorage.getItem(PREFIX + place) !== null
}

/** The first place under this one in which something is typed: what comes after its name. */
export function draftedUnder(place: string): string | null {
  const start = `${PREFIX}${place}/`
  const found = Object.keys(localStorage).find((key) => key.startsWith(start))
  return found?.slice(start.length) ?? null
}

/** Somebody else sits here now. */
export function forgetDrafts(): void {
  for (const place of Object.keys(localStorage)) if (place.startsWith(PREFIX)) localStorage.removeItem(place)
}

function write(place: string, text: string | null): void {
  try {
    if (text === null) localStorage.removeItem(PREFIX + place)
    else localStorage.setItem(PREFIX + place, text)
  } catch {
    // Storage may be full; the draft then lives only as long as the page.
  }
}
