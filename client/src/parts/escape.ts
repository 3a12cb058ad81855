/** Escape, where it closes nothing that lies over the page: then it means the page itself. */

import { useEffect, useEffectEvent } from 'react'

/** What lies over the page while it is open; Escape closes it. */
const LAYERS = '[role=dialog], [role=alertdialog], [role=menu], [role=listbox]'

let isForALayer = false

// The first of all listeners, since the layer is gone once its own has heard of the key.
window.addEventListener(
  'keydown',
  ({ key }) => {
    if (key === 'Escape') isForALayer = document.querySelector(LAYERS) !== null
  },
  { capture: true },
)

/** Calls back for each Escape that neither a layer nor a field with a use for it has taken. */
export function useEscape(onEscape: () => void): void {
  const pressed = useEffectEvent((event: KeyboardEvent) => {
    if (event.key === 'Escape' && !event.isComposing && !event.defaultPrevented && !isForALayer) onEscape()
  })
  useEffect(() => {
    window.addEventListener('keydown', pressed)
    return () => window.removeEventListener('keydown', pressed)
  }, [])
}
