import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import { lazyDialog } from '../parts/lazily'
import style from './people.module.css'

const LearningDialog = lazyDialog(() => import('./learning-dialog'))

/** One click from wherever learning is spoken of to what it means. */
export function LearningLink() {
  const { t } = useTranslation()
  const [isOpen, setOpen] = useState(false)
  return (
    <>
      <button type="button" className={style.learningLink} onClick={() => setOpen(true)}>
        {t('consent.what')}
      </button>
      {isOpen && <LearningDialog onClose={() => setOpen(false)} />}
    </>
  )
}
