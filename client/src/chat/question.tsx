import { Button } from '@mantine/core'
import { memo, useEffect } from 'react'
import { useTranslation } from 'react-i18next'

import { Pencil } from '../icons'
import { CopyButton } from '../parts/copy-button'
import { useGrowing } from '../parts/growing'
import { BranchPager } from './branch-pager'
import style from './chat.module.css'
import { useDraft } from './drafts'
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
    return (
      <Editor
        text={message.content}
        place={`edit.${conversation}/${step.id}`}
        onCancel={() => onEdit(null)}
        onSay={(text) => onSayInstead(step, text)}
      />
    )
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

interface EditorProps {
  text: string
  /** Where what is typed is kept. */
  place: string
  onCancel: () => void
  onSay: (text: string) => void
}

function Editor({ text, place, onCancel, onSay }: EditorProps) {
  const { t } = useTranslation()
  const { text: draft, keep, drop } = useDraft(place, text)
  const area = useGrowing(draft)
  useEffect(() => {
    area.current?.focus()
    area.current?.setSelectionRange(area.current.value.length, area.current.value.length)
  }, [area])
  const say = () => {
    if (!draft.trim()) return
    drop()
    onSay(draft)
  }
  const cancel = () => {
    drop()
    onCancel()
  }
  return (
    <div className={style.editor}>
      <textarea
        ref={area}
        value={draft}
        aria-label={t('composer.editing')}
        onChange={(event) => keep(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            event.preventDefault()
            cancel()
          }
          if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault()
            say()
          }
        }}
      />
      <div className={style.editorButtons}>
        <Button size="xs" variant="default" onClick={cancel}>
          {t('cancel')}
        </Button>
        <Button size="xs" onClick={say} disabled={!draft.trim()}>
          {t('composer.sendEdit')}
        </Button>
      </div>
    </div>
  )
}
