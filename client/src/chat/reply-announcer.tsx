import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import { useChat } from './session'

/** Tells a screen reader that a reply has begun, and the whole of it once it has ended: never token by token. */
export function ReplyAnnouncer({ reply }: { reply: string | null }) {
  const { t } = useTranslation()
  const isWriting = useChat((state) => (reply ? state.messages[reply]?.state === 'streaming' : false))
  const [written, setWritten] = useState<string | null>(null)
  if (isWriting && written !== reply) setWritten(reply)
  const isFresh = written !== null && written === reply && !isWriting
  const text = useChat((state) => (isFresh ? (state.messages[written]?.content ?? '') : ''))
  return (
    <div className="visually-hidden" aria-live="polite" aria-atomic="true">
      {isWriting ? t('chat.writing') : isFresh ? `${t('chat.replied')} ${text}` : ''}
    </div>
  )
}
