/** The manner in which replies are made for this browser: what differs from the operator's default. */

import { create } from 'zustand'

import type { Sampling } from '../events'

type Dials = Pick<Sampling, 'temperature' | 'top_p' | 'max_tokens' | 'seed'>

/** What is left out is the default. */
export type Manner = { [Dial in keyof Dials]: Exclude<Dials[Dial], null> | undefined }

export const STYLES = {
  precise: { temperature: 0.2, top_p: 0.9 },
  balanced: { temperature: undefined, top_p: undefined },
  lively: { temperature: 1, top_p: 1 },
} as const satisfies Record<string, Manner>

export type Style = keyof typeof STYLES

const STORE = 'backtalk.manner'

export const useManner = create<{ manner: Manner }>(() => ({ manner: stored() }))

export function changeManner(change: Manner): void {
  setManner({ ...useManner.getState().manner, ...change })
}

export function setManner(manner: Manner): void {
  useManner.setState({ manner })
  try {
    const wish = wishOf(manner)
    if (wish) localStorage.setItem(STORE, JSON.stringify(wish))
    else localStorage.removeItem(STORE)
  } catch {
    // Without storage it holds as long as the page is open.
  }
}

/** The style that the two numbers amount to; null if they were set by hand. */
export function styleOf({ temperature, top_p }: Manner): Style | null {
  const names = Object.keys(STYLES) as Style[]
  return names.find((name) => STYLES[name].temperature === temperature && STYLES[name].top_p === top_p) ?? null
}

/** What a request carries; undefined where nothing differs. */
export function wishOf(manner: Manner): Sampling | undefined {
  const wishes = Object.entries(manner).filter(([, value]) => value !== undefined)
  return wishes.length === 0 ? undefined : Object.fromEntries(wishes)
}

function stored(): Manner {
  try {
    return JSON.parse(localStorage.getItem(STORE) ?? '{}') as Manner
  } catch {
    return {}
  }
}
