import { Switch } from '@mantine/core'
import { useTranslation } from 'react-i18next'

import { type Me, useChangeMe } from './me'
import style from './people.module.css'

/** May it learn from this person? What that means stands beside the switch, whether they were asked or not. */
export function Learning({ me }: { me: Me }) {
  const { t } = useTranslation()
  const change = useChangeMe()
  return (
    <>
      <Switch
        size="sm"
        label={t('consent.switch')}
        checked={me.consent.train === true}
        onChange={(event) => change.mutate({ consent: { train: event.currentTarget.checked } })}
      />
      {me.consent.train === null && <p className={style.text}>{t('consent.unasked')}</p>}
      <p className={style.text}>{t('consent.text')}</p>
      {change.isError && (
        <p role="alert" className={style.fault}>
          {t('somethingWrong', { message: change.error.message })}
        </p>
      )}
    </>
  )
}
