/** Short notes at the edge of the page. What shows them is fetched when the first one is due. */

import type { NotificationData } from '@mantine/notifications'
import { create } from 'zustand'

import { fetched } from './fetched'

export const useToasts = create<{ areWanted: boolean }>(() => ({ areWanted: false }))

/** Shows a note; without a connection the first one may be missed, and what it tells of is done all the same. */
export async function toast(note: NotificationData): Promise<void> {
  const notifications = await shower()
  if (notifications === null) return
  useToasts.setState({ areWanted: true })
  notifications.show(note)
}

export async function hideToast(id: string): Promise<void> {
  const notifications = await shower()
  notifications?.hide(id)
}

function shower() {
  return fetched(() => import('./toasts')).then(
    ({ notifications }) => notifications,
    () => null,
  )
}
