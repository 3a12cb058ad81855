import { Button, Loader, Modal } from '@mantine/core'
import { useEffect, useEffectEvent, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { session, useChat } from '../chat/session'
import { placeOf } from '../chat/tree'
import { newKey } from '../key'
import { Markdown } from '../markdown/markdown'
import { useFocusBack } from '../parts/focus-back'
import { toast } from '../parts/toast'
import { useMe } from '../people/me'
import { endComparison, useComparison } from './comparison'
import { ConsentCard } from './consent-card'
import { post } from './outbox'
import style from './rate.module.css'

type Verdict = 'left' | 'right' | 'tie' | 'neither'

const KEYS: Record<string, Verdict> = { '1': 'left', '2': 'right', '0': 'tie', '9': 'neither' }
const VERDICTS: Verdict[] = ['left', 'right', 'tie', 'neither']

/** The dialog of the comparison that is on, if one is. */
export default function ComparisonDialog() {
  useFocusBack()
  const { awaited, pair } = useComparison()
  const isWritten = useChat((state) => pair?.every((id) => state.messages[id]?.state !== 'streaming') ?? false)
  if (pair && isWritten) return <Compare key={pair.join()} replies={pair} />
  return pair || awaited ? <Waiting /> : null
}

function Waiting() {
  const { t } = useTranslation()
  return (
    <Modal opened onClose={endComparison} title={t('compare.title')} closeButtonProps={{ 'aria-label': t('close') }}>
      <p role="status" className={style.writing}>
        <Loader size="sm" type="dots" /> {t('compare.writing')}
      </p>
    </Modal>
  )
}

/** Two answers to one question side by side, in random order, so that habit does not decide. */
function Compare({ replies }: { replies: [string, string] }) {
  const { t } = useTranslation()
  const { data: me } = useMe()
  const [key] = useState(() => newKey())
  const [[left, right]] = useState<[string, string]>(() => (Math.random() < 0.5 ? replies : [replies[1], replies[0]]))
  const close = (better: string | null) => {
    const message = useChat.getState().messages[better ?? '']
    if (message) session.dispatch({ type: 'chosen', place: placeOf(message, message.conversation_id), id: message.id })
    endComparison()
  }
  const texts = useChat((state) => state.messages)
  const [isGiven, setGiven] = useState(false)
  const give = (verdict: Verdict) => {
    if (isGiven) return
    setGiven(true)
    post('comparison', key, { method: 'POST', path: '/api/comparisons', body: { key, left_id: left, right_id: right, verdict } })
    void toast({ message: t('compare.thanks') })
    if (me?.consent.train !== null) close(verdict === 'left' ? left : verdict === 'right' ? right : null)
  }
  const pressed = useEffectEvent((event: KeyboardEvent) => {
    const verdict = KEYS[event.key]
    if (verdict && !event.ctrlKey && !event.metaKey && !event.altKey) give(verdict)
  })
  useEffect(() => {
    window.addEventListener('keydown', pressed)
    return () => window.removeEventListener('keydown', pressed)
  }, [])
  return (
    <Modal opened onClose={() => close(null)} title={t('compare.title')} size="64rem" closeButtonProps={{ 'aria-label': t('close') }}>
      <div className={style.compare}>
        {[left, right].map((id, index) => (
          <section key={id} className={style.side} aria-label={t('compare.answer', { n: index + 1 })} tabIndex={0}>
            <span className={style.number} aria-hidden="true">
              {index + 1}
            </span>
            <Markdown text={texts[id]?.content ?? ''} />
          </section>
        ))}
      </div>
      {isGiven ? (
        <ConsentCard />
      ) : (
        <div className={style.verdicts}>
          {VERDICTS.map((verdict) => (
            <Button
              key={verdict}
              variant="default"
              rightSection={<kbd className={style.key}>{keyOf(verdict)}</kbd>}
              onClick={() => give(verdict)}
            >
              {t(`compare.${verdict}`)}
            </Button>
          ))}
        </div>
      )}
    </Modal>
  )
}

function keyOf(verdict: Verdict): string | undefined {
  return Object.keys(KEYS).find((key) => KEYS[key] === verdict)
}
