import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import type { Message } from '../chat/message'
import { Close } from '../icons'
import { IconButton } from '../parts/icon-button'
import { undoable } from '../parts/undoable'
import { useMe } from '../people/me'
import { ConsentCard } from './consent-card'
import { Reasons, Scores } from './judging'
import { give, isEmpty, noOpinion, useOpinion } from './opinions'
import { useOutbox } from './outbox'
import style from './rate.module.css'

/** What else one may say after a thumb: why, how good in which respect, a note. Each click is stored at once. */
export function OpinionStrip({ reply, onClose }: { reply: Message; onClose: () => void }) {
  const { t } = useTranslation()
  const { data: me } = useMe()
  const opinion = useOpinion(reply)
  const withdraw = () => {
    give(reply.id, noOpinion)
    onClose()
    undoable(t('opinion.withdrawn'), t('undo'), () => give(reply.id, opinion))
  }
  return (
    <section className={style.strip} aria-label={t('opinion.label')}>
      <header className={style.stripHead}>
        <span>{t('opinion.why')}</span>
        <IconButton label={t('close')} onClick={onClose}>
          <Close size={16} />
        </IconButton>
      </header>
      <Reasons rating={opinion.rating} chosen={opinion.reasons} onChoose={(reasons) => give(reply.id, { ...opinion, reasons })} />
      <Scores labels={opinion.labels} onScore={(labels) => give(reply.id, { ...opinion, labels })} />
      <Note note={opinion.note} onNote={(note) => give(reply.id, { ...opinion, note })} />
      {me?.consent.train === null && <ConsentCard />}
      <footer className={style.stripFoot}>
        <Standing reply={reply.id} />
        {!isEmpty(opinion) && (
          <button type="button" className={style.more} onClick={withdraw}>
            {t('opinion.withdraw')}
          </button>
        )}
      </footer>
    </section>
  )
}

export function Note({ note, onNote }: { note: string | null; onNote: (note: string | null) => void }) {
  const { t } = useTranslation()
  const [text, setText] = useState(note ?? '')
  const keep = () => {
    const next = text.trim() || null
    if (next !== note) onNote(next)
  }
  return (
    <input
      className={style.note}
      value={text}
      maxLength={2000}
      placeholder={t('opinion.note')}
      aria-label={t('opinion.noteLabel')}
      onChange={(event) => setText(event.currentTarget.value)}
      onBlur={keep}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && !event.nativeEvent.isComposing) keep()
      }}
    />
  )
}

/** Whether what is shown has been stored. */
export function Standing({ reply }: { reply: string }) {
  const { t } = useTranslation()
  const place = `opinion/${reply}`
  const isWaiting = useOutbox((state) => place in state.waiting)
  const isReachable = useOutbox((state) => state.isReachable)
  const refusal = useOutbox((state) => state.refusals[place])
  const word = refusal
    ? t('opinion.refused', { message: refusal })
    : isWaiting
      ? t(isReachable ? 'opinion.saving' : 'opinion.queued')
      : t('opinion.saved')
  return (
    <p className={style.standing} role="status" data-refused={refusal !== undefined}>
      {word}
    </p>
  )
}
