import { useTranslation } from 'react-i18next'
import { Link } from 'wouter'

import { Close, Spark, Warning } from '../icons'
import { IconButton } from '../parts/icon-button'
import style from './chat.module.css'
import type { Learned } from '../wire/http'
import { dismissNews, useLookingForNews, useNews } from './news'
import { useChat, useConnection } from './session'

/** What went live, from how many opinions it learned, and how many of them were one's own. */
function NewVersion({ news }: { news: Learned }) {
  const { t } = useTranslation()
  const { number, opinions, mine } = news
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
  const news = useNews((state) => state.news)
  const isLost = useConnection((state) => state.connection === 'waiting')
  useLookingForNews()
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
      {news !== null && (
        <p className={style.notice}>
          <Spark size={16} /> <NewVersion news={news} />{' '}
          <Link href="/receipts">{t('notice.receipts')}</Link>
          <IconButton label={t('notice.dismiss')} onClick={dismissNews}>
            <Close size={14} />
          </IconButton>
        </p>
      )}
    </div>
  )
}
