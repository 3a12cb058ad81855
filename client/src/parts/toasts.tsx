import '@mantine/notifications/styles.layer.css'

import { Notifications } from '@mantine/notifications'

export { notifications } from '@mantine/notifications'

export default function Toasts() {
  return <Notifications position="top-center" limit={3} />
}
