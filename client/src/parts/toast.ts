/** Short notes at the edge of the page. What shows them is fetched when the first one is due. */

import type { NotificationData } from '@mantine/notifications'
import { create } from 'zustand'

export const useToasts = create<{ areWanted: boolean }>(() => ({ areWanted: false }))

export async function toast(note: NotificationData): Promise<void> {
  const { notifications } = await import('./toasts')
  useToasts.setState({ areWanted: true })
  notifications.show(note)
}

export async function hideToast(id: string): Promise<void> {
  const { notifications } = await import('./toasts')
  notifications.hide(id)
}
