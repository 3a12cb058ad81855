/** What is typed and not sent yet: it survives a reload, in each conversation by itself. */

import { useCallback, useState } from 'react'

const PREFIX = 'backtalk.draft.'

/** Written down with every stroke: a page may be left at any moment. */
export function useDraft(conversation: string | null): [string, (text: string) => void] {
  const place = PREFIX + (conversation ?? 'new')
  const [text, setText] = useState(() => localStorage.getItem(place) ?? '')
  const keep = useCallback(
    (next: string) => {
      setText(next)
      try {
        if (next) localStorage.setItem(place, next)
        else localStorage.removeItem(place)
      } catch {
        // Storage may be full; the draft then lives only as long as the page.
      }
    },
    [place],
  )
  return [text, keep]
}

/** Somebody else sits here now. */
export function forgetDrafts(): void {
  for (const place of Object.keys(localStorage)) if (place.startsWith(PREFIX)) localStorage.removeItem(place)
}
