import { Button } from '@mantine/core'
import { useTranslation } from 'react-i18next'

import { addressOf, useRevoke, useShares } from '../chat/sharing'
import { moment } from '../words'
import style from './people.module.css'

/** The links one has made, each with the way to take it back. */
export function Shares() {
  const { t } = useTranslation()
  const { data } = useShares()
  const revoke = useRevoke()
  if (!data || data.items.length === 0) return null
  return (
    <section>
      <h2>{t('share.list')}</h2>
      <ul className={style.sessions}>
        {data.items.map((share) => (
          <li key={share.token}>
            <span>
              <a href={addressOf(share)} target="_blank" rel="noreferrer">
                {share.title}
              </a>
              <small>{t('share.since', { at: moment(share.created_at) })}</small>
            </span>
            <Button size="compact-xs" variant="default" onClick={() => revoke.mutate(share.conversation_id)}>
              {t('share.revoke')}
            </Button>
          </li>
        ))}
      </ul>
      {revoke.isError && (
        <p role="alert" className={style.fault}>
          {t('somethingWrong', { message: revoke.error.message })}
        </p>
      )}
    </section>
  )
}
