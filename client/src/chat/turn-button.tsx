import { createContext, use } from 'react'

import { IconButton } from '../parts/icon-button'

/** Is a reply being written? Only what waits for its end asks, so that the turns are not drawn anew when it begins. */
export const Busy = createContext(false)

/** A button of a turn that would begin a reply: it waits while one is being written. */
export function TurnButton(props: React.ComponentProps<typeof IconButton>) {
  return <IconButton {...props} disabled={use(Busy)} />
}
