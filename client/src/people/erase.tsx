import { Button, Modal } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { useLocation } from 'wouter'

import style from './people.module.css'
import { eraseMe, usePersonChanged } from './me'

export default function EraseDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation()
  const [, navigate] = useLocation()
  const personChanged = usePersonChanged()
  const erase = useMutation({
    mutationFn: eraseMe,
    onSuccess: async () => {
      onClose()
      navigate('/')
      await personChanged()
    },
  })
  return (
    <Modal opened onClose={onClose} title={t('account.eraseTitle')} closeButtonProps={{ 'aria-label': t('close') }}>
      <p className={style.text}>{t('account.eraseText')}</p>
      {erase.isError && <p role="alert">{t('somethingWrong', { message: erase.error.message })}</p>}
      <div className={style.buttons}>
        <Button variant="default" onClick={onClose} data-autofocus>
          {t('cancel')}
        </Button>
        <Button color="red" loading={erase.isPending} onClick={() => erase.mutate()}>
          {t('account.eraseConfirm')}
        </Button>
      </div>
    </Modal>
  )
}
