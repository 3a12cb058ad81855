import { Button, Modal } from '@mantine/core'
import { useTranslation } from 'react-i18next'

import { CopyButton } from '../parts/copy-button'
import { useFocusBack } from '../parts/focus-back'
import { moment } from '../words'
import style from './chat.module.css'
import type { Conversation } from './message'
import { addressOf, useMakeShare, useRevoke, useShare } from './sharing'

/** Makes the link to a conversation, shows it, and takes it back. */
export default function ShareDialog({ conversation, onClose }: { conversation: Conversation; onClose: () => void }) {
  const { t } = useTranslation()
  useFocusBack()
  const share = useShare(conversation.id)
  const make = useMakeShare(conversation.id)
  const revoke = useRevoke()
  const error = share.error ?? make.error ?? revoke.error
  const isBusy = share.isPending || make.isPending || revoke.isPending
  return (
    <Modal opened onClose={onClose} title={t('share.title')} closeButtonProps={{ 'aria-label': t('close') }}>
      <div className={style.share}>
        <p>{t('share.text')}</p>
        {share.data ? (
          <>
            <div className={style.shareLink}>
              <input readOnly value={addressOf(share.data)} aria-label={t('share.link')} onFocus={(event) => event.currentTarget.select()} />
              <CopyButton text={addressOf(share.data)} label={t('share.copy')} />
            </div>
            <p className={style.shareNote}>{t('share.since', { at: moment(share.data.created_at) })}</p>
            <div className={style.shareButtons}>
              <Button variant="default" disabled={isBusy} loading={make.isPending} onClick={() => make.mutate()}>
                {t('share.update')}
              </Button>
              <Button
                variant="default"
                className={style.revoke}
                disabled={isBusy}
                loading={revoke.isPending}
                onClick={() => revoke.mutate(conversation.id)}
              >
                {t('share.revoke')}
              </Button>
            </div>
            <p className={style.shareNote} role="status">
              {make.isSuccess && t('share.current')}
            </p>
          </>
        ) : (
          <>
            {revoke.isSuccess && <p role="status">{t('share.revoked')}</p>}
            <div>
              <Button disabled={isBusy} loading={make.isPending} onClick={() => make.mutate()}>
                {t('share.make')}
              </Button>
            </div>
          </>
        )}
        {error && <p role="alert">{t('somethingWrong', { message: error.message })}</p>}
      </div>
    </Modal>
  )
}
