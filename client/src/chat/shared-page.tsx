import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'wouter'

import { HttpError } from '../http'
import { Mark } from '../icons'
import { Markdown } from '../markdown/markdown'
import { moment } from '../words'
import style from './chat.module.css'
import { useShared } from './sharing'

/** A conversation that somebody shared, to read. Nobody signs in for it, and nobody learns whose it is. */
export default function SharedPage({ token }: { token: string }) {
  const { t } = useTranslation()
  const { data, error, isPending, refetch } = useShared(token)
  const isGone = error instanceof HttpError && error.status === 404
  useEffect(() => {
    if (data) document.title = `${data.title} · Backtalk`
    return () => {
      document.title = 'Backtalk'
    }
  }, [data])
  return (
    <main className={style.shared}>
      <header className={style.sharedHead}>
        <Link href="/" className={style.sharedName}>
          <Mark size={26} /> Backtalk
        </Link>
        <Link href="/" className={style.sharedOwn}>
          {t('share.own')}
        </Link>
      </header>
      {isPending && <p role="status">{t('loading')}</p>}
      {error && (
        <div role="alert">
          <h1>{t(isGone ? 'share.gone' : 'chat.notLoaded')}</h1>
          {isGone ? (
            <p>{t('share.goneText')}</p>
          ) : (
            <button type="button" onClick={() => void refetch()}>
              {t('retry')}
            </button>
          )}
        </div>
      )}
      {data && (
        <>
          <h1>{data.title}</h1>
          <p className={style.shareNote}>{t('share.made', { at: moment(data.created_at) })}</p>
          {data.messages.map((message) =>
            message.role === 'user' ? (
              <article key={message.id} className={style.question}>
                <h2 className="visually-hidden">{t('share.asked')}</h2>
                <div className={style.bubble} dir="auto">
                  {message.content}
                </div>
              </article>
            ) : (
              <article key={message.id} className={style.reply}>
                <h2 className="visually-hidden">{t('chat.replied')}</h2>
                <Markdown text={message.content} />
                <div className={style.actions}>
                  <span className={style.version}>{t('chat.version', { version: message.policy_version })}</span>
                </div>
              </article>
            ),
          )}
        </>
      )}
    </main>
  )
}
