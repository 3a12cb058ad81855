import { memo, use, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { Again, Columns } from '../icons'
import { Markdown } from '../markdown/markdown'
import { CopyButton } from '../parts/copy-button'
import { type Absence, lazily, Missing } from '../parts/lazily'
import { useMe } from '../people/me'
import { compare, compareWithAnother, isInvited } from '../rate/comparison'
import { Learned } from '../rate/learned'
import { OpinionBar, SayMore } from '../rate/opinion-bar'
import { OpinionStrip } from '../rate/opinion-strip'
import { isEmpty, useOpinion } from '../rate/opinions'
import rateStyle from '../rate/rate.module.css'
import { BranchPager } from './branch-pager'
import style from './chat.module.css'
import { hasDraft } from './drafts'
import type { Message } from './message'
import { session, useChat } from './session'
import { placeOf, type Step } from './tree'
import { Busy, TurnButton } from './turn-button'

const RewriteEditor = lazily(
  async () => ({ default: (await import('../rate/rewrite')).RewriteEditor }),
  ({ reply, onClose }, absence) => (
    <>
      <Markdown text={reply.content} />
      {absence.failures > 0 && <NoEditor absence={absence} onClose={onClose} />}
    </>
  ),
)
const Rewritten = lazily(
  async () => ({ default: (await import('../rate/rewrite')).Rewritten }),
  ({ rewrite }) => <Markdown text={rewrite} />,
)

interface ReplyProps {
  step: Step
  isLast: boolean
}

/** What the model said, which version said it, and what the person thinks of it. */
export const Reply = memo(function Reply({ step, isLast }: ReplyProps) {
  const { t } = useTranslation()
  const message = useChat((state) => state.messages[step.id])
  const [isRewriting, setRewriting] = useState(() => hasDraft(`rewrite.${step.id}`))
  const [isStripOpen, setStripOpen] = useState(false)
  const opinion = useOpinion(message)
  if (!message) return null

  const { id, content, state } = message
  const isStreaming = state === 'streaming'
  const { rewrite } = opinion
  const hasOpinion = !isEmpty(opinion)
  const place = placeOf(step, message.conversation_id)
  const other = step.siblings[step.siblings.indexOf(id) - 1] ?? step.siblings[1]
  const mayCompare = state === 'done' || state === 'stopped'
  const startComparing = () => (other === undefined ? compareWithAnother(id) : compare(id, other))
  return (
    <article className={style.reply} data-last={isLast} aria-busy={isStreaming}>
      <h2 className="visually-hidden">{t('chat.replied')}</h2>
      {isRewriting ? (
        <RewriteEditor reply={message} onClose={() => setRewriting(false)} />
      ) : rewrite !== null ? (
        <Rewritten original={content} rewrite={rewrite} />
      ) : (
        <div className={isStreaming ? style.streaming : undefined}>
          {content === '' && isStreaming ? <Thinking /> : <Markdown text={content} isGrowing={isStreaming} />}
        </div>
      )}
      <Ending message={message} />
      {!isStreaming && !isRewriting && (
        <div className={style.actions}>
          {state !== 'failed' && (
            <OpinionBar
              reply={message}
              onOpen={setStripOpen}
              onRewrite={() => {
                setStripOpen(false)
                setRewriting(true)
              }}
            />
          )}
          <CopyButton text={rewrite ?? content} />
          <TurnButton label={t('chat.regenerate')} onClick={() => session.regenerate(id)}>
            <Again size={16} />
          </TurnButton>
          {mayCompare && (
            <TurnButton label={t('compare.open')} onClick={startComparing}>
              <Columns size={16} />
            </TurnButton>
          )}
          <BranchPager step={step} place={place} />
          {hasOpinion && !isStripOpen && <SayMore onOpen={() => setStripOpen(true)} />}
          {message.policy_version !== null && (
            <span
              className={style.version}
              title={t('chat.versionTitle', { version: message.policy_version })}
              aria-label={t('chat.versionTitle', { version: message.policy_version })}
              role="img"
            >
              {t('chat.version', { version: message.policy_version })}
            </span>
          )}
        </div>
      )}
      {hasOpinion && !isRewriting && <Learned reply={message} />}
      {isStripOpen && !isRewriting && <OpinionStrip reply={message} onClose={() => setStripOpen(false)} />}
      {isLast && mayCompare && !isRewriting && !hasOpinion && other === undefined && (
        <Invitation reply={id} onAccept={startComparing} />
      )}
    </article>
  )
})

/** What is typed in the editor so far is kept until it comes. */
function NoEditor({ absence, onClose }: { absence: Absence; onClose: () => void }) {
  const { t } = useTranslation()
  return (
    <Missing absence={absence}>
      <button type="button" className="as-link" onClick={onClose}>
        {t('cancel')}
      </button>
    </Missing>
  )
}

/** Now and then a comparison is asked for. */
function Invitation({ reply, onAccept }: { reply: string; onAccept: () => void }) {
  const { t } = useTranslation()
  const { data: me } = useMe()
  const isBusy = use(Busy)
  if (isBusy || !isInvited(reply, me?.compare_share ?? 0)) return null
  return (
    <p className={rateStyle.invitation}>
      {t('compare.invitation')}
      <button type="button" onClick={onAccept}>
        {t('compare.accept')}
      </button>
    </p>
  )
}

/** How a reply ended, where it did not end by itself, and the way on. */
function Ending({ message }: { message: Message }) {
  const { t } = useTranslation()
  const isBusy = use(Busy)
  if (message.state === 'failed') {
    return (
      <p className={style.ending} data-kind="failed">
        {t('chat.failed')}{' '}
        <button type="button" className="as-link" disabled={isBusy} onClick={() => session.regenerate(message.id)}>
          {t('retry')}
        </button>
      </p>
    )
  }
  const isCut = message.state === 'done' && message.finish_reason === 'length'
  if (message.state !== 'stopped' && !isCut) return null
  return (
    <p className={style.ending}>
      {t(isCut ? 'chat.cut' : 'chat.stopped')}{' '}
      <button type="button" className="as-link" disabled={isBusy} onClick={() => session.goOn(message.id)}>
        {t('chat.goOn')}
      </button>
    </p>
  )
}

export function Thinking() {
  return (
    <span className={style.thinking} aria-hidden="true">
      <i />
      <i />
      <i />
    </span>
  )
}
