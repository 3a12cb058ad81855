import { useEffect, useState } from 'react'

/** For a dialog: when it is gone, the focus is where it was before it came, and not lost. */
export function useFocusBack(): void {
  const [opener] = useState(whatOpened)
  useEffect(() => () => opener?.focus({ preventScroll: true }), [opener])
}

/** What has the focus; of a menu that is about to close, the button it belongs to. */
function whatOpened(): HTMLElement | null {
  const focused = document.activeElement
  const button = focused?.closest('[role=menu]')?.getAttribute('aria-labelledby')
  return button ? document.getElementById(button) : focused instanceof HTMLElement ? focused : null
}
