import { Drawer } from '@mantine/core'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import style from './chat.module.css'

interface SidebarDrawerProps {
  isOpen: boolean
  onClose: () => void
  children: ReactNode
}

/** The sidebar of a narrow page: it slides in, holds the focus while it is open, and Escape closes it. */
export default function SidebarDrawer({ isOpen, onClose, children }: SidebarDrawerProps) {
  const { t } = useTranslation()
  return (
    <Drawer.Root opened={isOpen} onClose={onClose} size={300} padding={0}>
      <Drawer.Overlay />
      <Drawer.Content aria-label={t('sidebar.label')}>
        <Drawer.Body className={style.drawerBody}>{children}</Drawer.Body>
      </Drawer.Content>
    </Drawer.Root>
  )
}
