import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import type { Message } from '../chat/message'
import { Close } from '../icons'
import { IconButton } from '../parts/icon-button'
import { useMe } from '../people/me'
import { ConsentCard } from './consent-card'
import { Reasons, Scores } from './judging'
import { give, opinionOf, useOpinions } from './opinions'
import style from './rate.module.css'

/** What else one may say after a thumb: why, how good in which respect, a note. Each click is stored at once. */
export function OpinionStrip({ reply, onClose }: { reply: Message; onClose: () => void }) {
  const { t } = useTranslation()
  const { data: me } = useMe()
  const opinion = opinionOf(reply.feedback)
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
      <Standing reply={reply.id} />
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
  const isWaiting = useOpinions((state) => reply in state.waiting)
  const isReachable = useOpinions((state) => state.isReachable)
  const refusal = useOpinions((state) => state.refusals[reply])
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
