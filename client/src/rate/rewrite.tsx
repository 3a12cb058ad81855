import { Button } from '@mantine/core'
import { useEffect, useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { useDraft } from '../chat/drafts'
import type { Message } from '../chat/message'
import { Markdown } from '../markdown/markdown'
import { useGrowing } from '../parts/growing'
import { useMe } from '../people/me'
import { currentLanguage } from '../words'
import { ConsentCard } from './consent-card'
import { difference } from './difference'
import { give, useOpinion } from './opinions'
import style from './rate.module.css'

/** Edit the reply in place. Saving keeps both texts: the model's and the person's. */
export function RewriteEditor({ reply, onClose }: { reply: Message; onClose: () => void }) {
  const { t } = useTranslation()
  const opinion = useOpinion(reply)
  const { text, keep, drop } = useDraft(`rewrite.${reply.id}`, opinion.rewrite ?? reply.content)
  const area = useGrowing(text)
  useEffect(() => area.current?.focus(), [area])
  const isChanged = text.trim() !== '' && text !== reply.content
  const close = () => {
    drop()
    onClose()
  }
  const save = () => {
    if (!isChanged) return
    give(reply.id, { ...opinion, rewrite: text })
    close()
  }
  return (
    <div className={style.rewrite}>
      <p className={style.hint}>{t('opinion.rewriteHint')}</p>
      <textarea
        ref={area}
        value={text}
        aria-label={t('opinion.rewriteLabel')}
        onChange={(event) => keep(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            event.stopPropagation()
            close()
          }
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) save()
        }}
      />
      {isChanged && <Changes before={reply.content} after={text} />}
      <div className={style.rewriteButtons}>
        <Button size="xs" onClick={save} disabled={!isChanged}>
          {t('opinion.saveRewrite')}
        </Button>
        <Button size="xs" variant="default" onClick={close}>
          {t('cancel')}
        </Button>
        {opinion.rewrite !== null && (
          <Button
            size="xs"
            variant="subtle"
            color="red"
            onClick={() => {
              give(reply.id, { ...opinion, rewrite: null })
              close()
            }}
          >
            {t('opinion.removeRewrite')}
          </Button>
        )}
      </div>
    </div>
  )
}

type View = 'yours' | 'original' | 'changes'
const VIEWS: View[] = ['yours', 'original', 'changes']

/** A reply that has been rewritten: one's own version, with the model's and the difference one click away. */
export function Rewritten({ original, rewrite }: { original: string; rewrite: string }) {
  const { t } = useTranslation()
  const { data: me } = useMe()
  const [view, setView] = useState<View>('yours')
  return (
    <>
      <div className={style.views} role="group" aria-label={t('opinion.views')}>
        {VIEWS.map((it) => (
          <button key={it} type="button" aria-pressed={view === it} onClick={() => setView(it)}>
            {t(`opinion.${it}`)}
          </button>
        ))}
      </div>
      {view === 'changes' ? (
        <Changes before={original} after={rewrite} />
      ) : (
        <Markdown text={view === 'yours' ? rewrite : original} />
      )}
      {me?.consent.train === null && <ConsentCard />}
    </>
  )
}

function Changes({ before, after }: { before: string; after: string }) {
  const { t } = useTranslation()
  const pieces = useMemo(() => difference(before, after, currentLanguage()), [before, after])
  return (
    <p className={style.changes} aria-label={t('opinion.changes')}>
      {pieces.map(({ kind, text }, index) =>
        kind === 'same' ? (
          <span key={index}>{text}</span>
        ) : kind === 'added' ? (
          <ins key={index}>{text}</ins>
        ) : (
          <del key={index}>{text}</del>
        ),
      )}
    </p>
  )
}
