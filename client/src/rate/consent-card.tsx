import { Button } from '@mantine/core'
import { useTranslation } from 'react-i18next'

import { useChangeMe } from '../people/me'
import style from './rate.module.css'

/** Asked once, at the first opinion, in plain words. Until it is answered opinions are kept and train nothing. */
export function ConsentCard() {
  const { t } = useTranslation()
  const change = useChangeMe()
  const answer = (train: boolean) => change.mutate({ consent: { train } })
  return (
    <div className={style.consent} role="group" aria-label={t('consent.title')}>
      <strong>{t('consent.title')}</strong>
      <p>{t('consent.text')}</p>
      <div className={style.consentButtons}>
        <Button size="xs" onClick={() => answer(true)} loading={change.isPending && change.variables.consent?.train === true}>
          {t('consent.yes')}
        </Button>
        <Button size="xs" variant="default" onClick={() => answer(false)} disabled={change.isPending}>
          {t('consent.no')}
        </Button>
      </div>
      {change.isError && <p role="alert">{t('somethingWrong', { message: change.error.message })}</p>}
    </div>
  )
}
