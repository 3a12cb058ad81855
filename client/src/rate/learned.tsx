import { useTranslation } from 'react-i18next'
import { Link } from 'wouter'

import type { Message } from '../chat/message'
import type { LessonOut as Lesson } from '../wire/http'
import { moment } from '../words'
import style from './rate.module.css'

/** What came of my opinion on a reply: the first version that people chat with because of it, or else the newest. */
export function Learned({ reply: { learned, feedback } }: { reply: Message }) {
  const { t } = useTranslation()
  const lesson = learned.find((one) => one.is_in_live) ?? learned.at(-1)
  if (!lesson) return null
  // Of an opinion that was changed since nobody here knows whether the rewrite was in it when it was learned.
  const isCorrection = feedback !== null && feedback.rewrite !== null && feedback.revision === lesson.revision
  return (
    <p className={style.learned}>
      <Link href="/receipts">
        {t(isCorrection ? 'opinion.corrected' : 'opinion.learned', { version: lesson.number })}
      </Link>
      , <Became lesson={lesson} />
    </p>
  )
}

/** Whether people chat with what a version learned, and since when. */
export function Became({ lesson }: { lesson: Lesson }) {
  const { t } = useTranslation()
  return <>{t(words(lesson), { at: lesson.live_at && moment(lesson.live_at) })}</>
}

function words({ state, live_at, is_in_live }: Lesson) {
  if (live_at === null) return state === 'canary' ? 'receipts.tried' : 'receipts.notLive'
  if (is_in_live) return 'receipts.since'
  return state === 'withdrawn' ? 'receipts.takenBack' : 'receipts.wasLive'
}
