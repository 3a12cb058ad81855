/** Asking before something that matters, with a place to say why. */

import { Button, Group, Modal, Stack, Textarea } from '@mantine/core'
import { type ReactNode, useState } from 'react'

import { Trouble } from './parts'
import { useWords } from './words'

interface ConfirmProps {
  title: string
  text: string
  action: string
  isDanger?: boolean
  /** Whether the reason is asked for. */
  asksWhy?: boolean
  isBusy: boolean
  error: unknown
  onConfirm: (reason: string) => void
  onClose: () => void
  children?: ReactNode
}

export function Confirm({ title, text, action, isDanger = false, asksWhy = false, ...rest }: ConfirmProps) {
  const { isBusy, error, onConfirm, onClose, children } = rest
  const t = useWords()
  const [reason, setReason] = useState('')
  return (
    <Modal opened onClose={onClose} title={title} closeButtonProps={{ 'aria-label': t('close') }}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          onConfirm(reason.trim())
        }}
      >
        <Stack gap="md">
          <p style={{ margin: 0 }}>{text}</p>
          {children}
          {asksWhy && (
            <Textarea
              label={t('reason')}
              description={t('reasonHint')}
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
              maxLength={1000}
              autosize
              minRows={2}
              data-autofocus
            />
          )}
          <Trouble error={error} />
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={onClose}>
              {t('cancel')}
            </Button>
            <Button type="submit" loading={isBusy} {...(isDanger && { color: 'red' })}>
              {action}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
