/** One opinion or comparison. What people wrote is shown as plain text, whatever it holds. */

import { Button } from '@mantine/core'
import { useState } from 'react'
import { Link } from 'wouter'

import { ThumbDown, ThumbUp } from '../icons'
import { useMe } from '../people/me'
import { currentLanguage } from '../words'
import { useExclude, useThread } from './calls'
import { Confirm } from './confirm'
import style from './feedback.module.css'
import { Gold } from './gold'
import { Tag, Trouble, Waiting } from './parts'
import type { Feedback } from './shapes'
import { When } from './times'
import { useWords } from './words'

export function FeedbackCard({ item }: { item: Feedback }) {
  const t = useWords()
  return (
    <article className={style.card} data-excluded={item.excluded}>
      <header className={style.cardHead}>
        <Verdict item={item} />
        <Link
          className={style.who}
          href={`/operate/feedback?person=${item.person_id}`}
        >
          <bdi>{item.person ?? t('desk.anonymous')}</bdi>
        </Link>
        <span className={style.meta}>
          {t('v', { number: item.policy_version })} · <When at={item.at} />
          {item.revision > 1 && ` · ${t('desk.revised', { count: item.revision - 1 })}`}
        </span>
        <Marks item={item} />
        <Switch item={item} />
      </header>
      <Reasons item={item} />
      <Texts item={item} />
      {item.reply !== null && <Thread item={item} />}
      <Gold item={item} />
    </article>
  )
}

function Verdict({ item }: { item: Feedback }) {
  const t = useWords()
  if (item.verdict !== null) return <Tag tone="accent">{t(`desk.verdict.${item.verdict}`)}</Tag>
  if (item.rating === 1) {
    return (
      <span className={style.up}>
        <ThumbUp size={17} filled />
        <span className="visually-hidden">{t('desk.thumbUp')}</span>
      </span>
    )
  }
  if (item.rating === -1) {
    return (
      <span className={style.down}>
        <ThumbDown size={17} filled />
        <span className="visually-hidden">{t('desk.thumbDown')}</span>
      </span>
    )
  }
  return <Tag>{t('desk.noThumb')}</Tag>
}

function Marks({ item }: { item: Feedback }) {
  const t = useWords()
  const versions = item.versions.map((number) => t('v', { number })).join(', ')
  return (
    <>
      {item.withdrawn && <Tag>{t('desk.withdrawn')}</Tag>}
      {!item.consent && <Tag tone="warn">{t('desk.noConsent')}</Tag>}
      {versions && <Tag tone="good">{t('desk.learned', { versions })}</Tag>}
      {item.gold !== null && <Tag tone="accent">{t('gold.is', { answer: t(`gold.answer.${item.gold}`) })}</Tag>}
      {item.excluded && <Tag tone="bad">{t('desk.excluded')}</Tag>}
      {item.person_excluded && <Tag tone="bad">{t('desk.personExcluded')}</Tag>}
    </>
  )
}

function Switch({ item }: { item: Feedback }) {
  const t = useWords()
  const [isAsking, setAsking] = useState(false)
  const exclude = useExclude()
  if (item.excluded) {
    return (
      <span className={style.switch}>
        <Button
          size="xs"
          variant="default"
          loading={exclude.isPending}
          onClick={() => exclude.mutate({ item, excluded: false, reason: '' })}
        >
          {t('desk.include')}
        </Button>
        <Trouble error={exclude.error} />
      </span>
    )
  }
  return (
    <span className={style.switch}>
      <Button size="xs" variant="default" onClick={() => setAsking(true)}>
        {t('desk.exclude')}
      </Button>
      {isAsking && (
        <Confirm
          title={t('desk.excludeTitle')}
          text={t('desk.excludeText')}
          action={t('desk.exclude')}
          asksWhy
          isBusy={exclude.isPending}
          error={exclude.error}
          onConfirm={(reason) =>
            exclude.mutate({ item, excluded: true, reason }, { onSuccess: () => setAsking(false) })
          }
          onClose={() => setAsking(false)}
        />
      )}
    </span>
  )
}

/** The conversation around it, asked for when somebody opens it. */
function Thread({ item }: { item: Feedback }) {
  const t = useWords()
  const [isOpen, setOpen] = useState(false)
  return (
    <details className={style.thread} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t('desk.thread')}</summary>
      {isOpen && <Turns item={item} />}
    </details>
  )
}

function Turns({ item }: { item: Feedback }) {
  const t = useWords()
  const thread = useThread(item)
  if (thread.isPending) return <Waiting />
  if (thread.error) return <Trouble error={thread.error} />
  return (
    <div className={style.texts}>
      {thread.data.items.map((turn, index) => (
        <Said key={index} name={turn.role === 'user' ? t('desk.question') : t('desk.reply')} text={turn.content} />
      ))}
    </div>
  )
}

function Reasons({ item }: { item: Feedback }) {
  const me = useMe().data
  const label = (one: { label_en: string; label_zh: string }) => (currentLanguage() === 'zh' ? one.label_zh : one.label_en)
  const reasons = item.reasons.map((id) => {
    const reason = me?.reasons.find((known) => known.id === id)
    return reason ? label(reason) : id
  })
  const scores = Object.entries(item.labels).map(([name, score]) => {
    const aspect = me?.aspects.find((known) => known.name === name)
    return `${aspect ? label(aspect) : name} ${score}/5`
  })
  if (reasons.length + scores.length === 0) return null
  return (
    <p className={style.reasons}>
      {[...reasons, ...scores].map((text) => (
        <Tag key={text}>{text}</Tag>
      ))}
    </p>
  )
}

function Texts({ item }: { item: Feedback }) {
  const t = useWords()
  if (item.question === null && item.reply === null) {
    return (
      <>
        <p className={style.hidden}>{t('desk.hidden')}</p>
        <Said name={t('desk.rewrite')} text={item.rewrite} />
        <Said name={t('desk.note')} text={item.note} />
      </>
    )
  }
  const isPair = item.kind === 'comparison'
  return (
    <div className={style.texts}>
      <Said name={t('desk.question')} text={item.question} />
      <div className={isPair ? style.pair : undefined}>
        <Said
          name={isPair ? t('desk.left') : t('desk.reply')}
          text={item.reply}
          note={item.verdict === 'left' ? t('desk.chosen') : undefined}
        />
        {isPair && (
          <Said
            name={t('desk.right')}
            text={item.other_reply}
            note={item.verdict === 'right' ? t('desk.chosen') : undefined}
          />
        )}
      </div>
      <Said name={t('desk.rewrite')} text={item.rewrite} />
      <Said name={t('desk.note')} text={item.note} />
    </div>
  )
}

function Said({ name, text, note }: { name: string; text: string | null; note?: string | undefined }) {
  if (text === null) return null
  return (
    <div className={style.said}>
      <p className={style.name}>
        {name}
        {note !== undefined && <Tag tone="good">{note}</Tag>}
      </p>
      <p className={style.text} dir="auto">
        {text}
      </p>
    </div>
  )
}
