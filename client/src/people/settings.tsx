import { Button, Modal, useMantineColorScheme } from '@mantine/core'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import { useFocusBack } from '../parts/focus-back'
import { lazyDialog } from '../parts/lazily'
import { type Language, languages } from '../words'
import { Learning } from './learning'
import { type Me, useChooseLanguage } from './me'
import style from './people.module.css'
import { Sessions } from './sessions'
import { Shares } from './shares'

const EraseDialog = lazyDialog(() => import('./erase'))

const THEMES = ['auto', 'light', 'dark'] as const
const LANGUAGE_NAMES: Record<Language, string> = { en: 'English', zh: '中文' }

/** What a person may choose about themselves: how it looks, what is learned from them, where they are signed in. */
export default function SettingsDialog({ me, onClose }: { me: Me; onClose: () => void }) {
  const { t } = useTranslation()
  useFocusBack()
  const [isErasing, setErasing] = useState(false)
  if (isErasing) return <EraseDialog onClose={onClose} />
  return (
    <Modal opened onClose={onClose} title={t('account.settings')} closeButtonProps={{ 'aria-label': t('close') }}>
      <div className={style.settings}>
        <Look />
        <section>
          <h2>{t('account.learning')}</h2>
          <Learning me={me} />
        </section>
        <Sessions />
        <Shares />
        <section>
          <h2>{t('account.data')}</h2>
          <p className={style.text}>{t('account.dataText')}</p>
          <div className={style.choices}>
            <Button size="xs" variant="default" component="a" href="/api/me/export" download="backtalk.json">
              {t('account.export')}
            </Button>
            <Button size="xs" variant="default" className={style.danger} onClick={() => setErasing(true)}>
              {t('account.erase')}
            </Button>
          </div>
        </section>
      </div>
    </Modal>
  )
}

function Look() {
  const { t, i18n } = useTranslation()
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true })
  const chooseLanguage = useChooseLanguage()
  return (
    <section>
      <h2>{t('account.look')}</h2>
      <div className={style.setting}>
        <span id="setting-language">{t('account.language')}</span>
        <span className={style.options} role="group" aria-labelledby="setting-language">
          {languages.map((it) => (
            <button key={it} type="button" lang={it} aria-pressed={i18n.language === it} onClick={() => chooseLanguage(it)}>
              {LANGUAGE_NAMES[it]}
            </button>
          ))}
        </span>
      </div>
      <div className={style.setting}>
        <span id="setting-theme">{t('account.theme')}</span>
        <span className={style.options} role="group" aria-labelledby="setting-theme">
          {THEMES.map((it) => (
            <button key={it} type="button" aria-pressed={colorScheme === it} onClick={() => setColorScheme(it)}>
              {t(it === 'auto' ? 'account.system' : `account.${it}`)}
            </button>
          ))}
        </span>
      </div>
    </section>
  )
}
