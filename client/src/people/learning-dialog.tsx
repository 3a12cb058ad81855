import { Modal } from '@mantine/core'
import { useTranslation } from 'react-i18next'

import { useFocusBack } from '../parts/focus-back'
import { Learning } from './learning'
import { useMe } from './me'
import style from './people.module.css'

/** What is learned from whom, in plain words, and the switch for it. */
export default function LearningDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation()
  const { data: me } = useMe()
  useFocusBack()
  return (
    <Modal opened onClose={onClose} title={t('consent.title')} closeButtonProps={{ 'aria-label': t('close') }}>
      <section className={style.learning}>
        {me && <Learning me={me} />}
        <p className={style.text}>{t('consent.conversation')}</p>
      </section>
    </Modal>
  )
}
