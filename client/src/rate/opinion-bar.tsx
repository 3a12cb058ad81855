import { useTranslation } from 'react-i18next'

import type { Message } from '../chat/message'
import { Pencil, ThumbDown, ThumbUp } from '../icons'
import { IconButton } from '../parts/icon-button'
import { give, isEmpty, type Opinion, useOpinion } from './opinions'
import style from './rate.module.css'

interface OpinionBarProps {
  reply: Message
  onOpen: (isOpen: boolean) => void
  onRewrite: () => void
}

/** Two thumbs and a pencil: the first of the two clicks an opinion takes. The same thumb again takes the thumb back. */
export function OpinionBar({ reply, onOpen, onRewrite }: OpinionBarProps) {
  const { t } = useTranslation()
  const opinion = useOpinion(reply)
  const rate = (rating: 1 | -1) => {
    const next = rerated(opinion, rating)
    give(reply.id, next)
    onOpen(!isEmpty(next)) // whatever is left of it stays in sight, with the way to withdraw it
  }
  return (
    <>
      <IconButton label={t('opinion.up')} isPressed={opinion.rating === 1} onClick={() => rate(1)}>
        <ThumbUp size={17} filled={opinion.rating === 1} />
      </IconButton>
      <IconButton label={t('opinion.down')} isPressed={opinion.rating === -1} onClick={() => rate(-1)}>
        <ThumbDown size={17} filled={opinion.rating === -1} />
      </IconButton>
      <IconButton label={t('opinion.rewrite')} isPressed={opinion.rewrite !== null} onClick={onRewrite}>
        <Pencil size={17} />
      </IconButton>
    </>
  )
}

/** The way back to the strip, once there is an opinion to add to. */
export function SayMore({ onOpen }: { onOpen: () => void }) {
  const { t } = useTranslation()
  return (
    <button type="button" className={style.more} onClick={onOpen}>
      {t('opinion.more')}
    </button>
  )
}

/** A thumb turned: reasons belong to the thumb they were given with. */
function rerated(opinion: Opinion, rating: 1 | -1): Opinion {
  return { ...opinion, rating: opinion.rating === rating ? null : rating, reasons: [] }
}
