import { Button } from '@mantine/core'
import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'

import type { Refused } from '../events'
import style from './chat.module.css'
import { Thinking } from './reply'
import { session } from './session'
import type { Pending } from './state'

/** A turn that the server has not acknowledged: on its way, or refused with a reason and a way on. */
export function PendingTurn({ pending }: { pending: Pending }) {
  const { t } = useTranslation()
  const { request, refused } = pending
  return (
    <>
      {request.type === 'say' && (
        <article className={style.question} data-pending="true">
          <h2 className="visually-hidden">{t('chat.said')}</h2>
          <div className={style.bubble} dir="auto">
            {request.text}
          </div>
        </article>
      )}
      {refused ? (
        <div className={style.refusal} role="alert">
          <p>
            <strong>{t(`refused.${refused.code}`)}</strong> {refused.message}
            {refused.retry_after !== null && <Countdown refused={refused} />}
          </p>
          <div className={style.refusalButtons}>
            <Button size="xs" onClick={() => session.retry(request.key)}>
              {t('retry')}
            </Button>
            <Button size="xs" variant="default" onClick={() => discard(pending)}>
              {t(request.type === 'say' ? 'chat.edit' : 'chat.discard')}
            </Button>
          </div>
        </div>
      ) : (
        <div className={style.reply}>
          <Thinking />
          <span className="visually-hidden">{t('chat.sending')}</span>
        </div>
      )}
    </>
  )
}

/** Gives the words back to the composer, so that nothing typed is lost. */
function discard({ request }: Pending): void {
  session.withdraw(request.key)
  if (request.type === 'say') window.dispatchEvent(new CustomEvent('backtalk:draft', { detail: request.text }))
}

function Countdown({ refused }: { refused: Refused }) {
  const { t } = useTranslation()
  const [seconds, setSeconds] = useState(Math.ceil(refused.retry_after ?? 0))
  useEffect(() => {
    const timer = setInterval(() => setSeconds((left) => Math.max(0, left - 1)), 1000)
    return () => clearInterval(timer)
  }, [])
  return <> {t('chat.retryIn', { seconds })}</>
}
