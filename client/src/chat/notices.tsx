import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { Link } from 'wouter'

import { call } from '../http'
import { Close, Spark, Warning } from '../icons'
import { IconButton } from '../parts/icon-button'
import style from './chat.module.css'
import { session, useChat, useConnection } from './session'

interface Learned {
  number: number
  opinions: number
  mine: number
}

/** What went live, from how many opinions it learned, and how many of them were one's own. */
function NewVersion({ number }: { number: number }) {
  const { t } = useTranslation()
  const { data } = useQuery({
    queryKey: ['learned', number],
    queryFn: () => call<Learned>('GET', `/api/me/receipts/${number}`),
  })
  const { opinions = 0, mine = 0 } = data ?? {}
  if (opinions === 0) return <span>{t('notice.newVersion', { version: number })}</span>
  return (
    <span>
      {t('notice.learned', { version: number, count: opinions })}
      {mine > 0 && <strong> {t('notice.yours', { count: mine })}</strong>}
    </span>
  )
}

/** What concerns the whole page: a new version, a restart, a lost connection. */
export function Notices() {
  const { t } = useTranslation()
  const engine = useChat((state) => state.engine)
  const newVersion = useChat((state) => state.newVersion)
  const isLost = useConnection((state) => state.connection === 'waiting')
  return (
    <div className={style.notices} role="status">
      {isLost ? (
        <p className={style.notice} data-kind="warn">
          <Warning size={16} /> {t('notice.reconnecting')}
        </p>
      ) : (
        engine === 'restarting' && (
          <p className={style.notice} data-kind="warn">
            <Warning size={16} /> {t('notice.restarting')}
          </p>
        )
      )}
      {newVersion !== null && (
        <p className={style.notice}>
          <Spark size={16} /> <NewVersion number={newVersion} />{' '}
          <Link href="/receipts">{t('notice.receipts')}</Link>
          <IconButton label={t('notice.dismiss')} onClick={() => session.dispatch({ type: 'noted' })}>
            <Close size={14} />
          </IconButton>
        </p>
      )}
    </div>
  )
}
