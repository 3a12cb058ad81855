import { Button } from '@mantine/core'
import { memo, useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { Pencil } from '../icons'
import { CopyButton } from '../parts/copy-button'
import { useGrowing } from '../parts/growing'
import { BranchPager } from './branch-pager'
import style from './chat.module.css'
import { useChat } from './session'
import { placeOf, type Step } from './tree'
import { TurnButton } from './turn-button'

interface QuestionProps {
  step: Step
  conversation: string | null
  isEditing: boolean
  onEdit: (id: string | null) => void
  onSayInstead: (step: Step, text: string) => void
}

/** What the person said. It can be said differently: that begins a branch beside it. */
export const Question = memo(function Question({ step, conversation, isEditing, onEdit, onSayInstead }: QuestionProps) {
  const { t } = useTranslation()
  const message = useChat((state) => state.messages[step.id])
  if (!message) return null
  if (isEditing) {
    return <Editor text={message.content} onCancel={() => onEdit(null)} onSay={(text) => onSayInstead(step, text)} />
  }
  return (
    <article className={style.question}>
      <h2 className="visually-hidden">{t('chat.said')}</h2>
      <div className={style.questionRow}>
        <div className={style.bubble} dir="auto">
          {message.content}
        </div>
        <div className={style.questionActions}>
          <CopyButton text={message.content} />
          <TurnButton label={t('chat.edit')} onClick={() => onEdit(step.id)}>
            <Pencil size={16} />
          </TurnButton>
        </div>
      </div>
      <BranchPager step={step} place={placeOf(step, conversation ?? '')} />
    </article>
  )
})

function Editor({ text, onCancel, onSay }: { text: string; onCancel: () => void; onSay: (text: string) => void }) {
  const { t } = useTranslation()
  const [draft, setDraft] = useState(text)
  const area = useGrowing(draft)
  useEffect(() => {
    area.current?.focus()
    area.current?.setSelectionRange(text.length, text.length)
  }, [area, text])
  const say = () => {
    if (draft.trim()) onSay(draft)
  }
  return (
    <div className={style.editor}>
      <textarea
        ref={area}
        value={draft}
        aria-label={t('composer.editing')}
        onChange={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            event.preventDefault()
            onCancel()
          }
          if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault()
            say()
          }
        }}
      />
      <div className={style.editorButtons}>
        <Button size="xs" variant="default" onClick={onCancel}>
          {t('cancel')}
        </Button>
        <Button size="xs" onClick={say} disabled={!draft.trim()}>
          {t('composer.sendEdit')}
        </Button>
      </div>
    </div>
  )
}
