import { useEffect, useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { useEscape } from '../parts/escape'
import { lazyDialog } from '../parts/lazily'
import { LearningLink } from '../people/learning-link'
import { useMe } from '../people/me'
import { endComparison, useComparison } from '../rate/comparison'
import style from './chat.module.css'
import { Composer } from './composer'
import { useConversations } from './conversations'
import { draftedUnder } from './drafts'
import { Intro } from './intro'
import { MessageList } from './message-list'
import { PendingTurn } from './pending-turn'
import { session, useChat } from './session'
import type { Pending } from './state'
import { type Step, visiblePath } from './tree'

const ComparisonDialog = lazyDialog<{ onClose: () => void }>(() => import('../rate/compare'))

const NO_NODES: never[] = []

/** One conversation: its visible branch, what is on its way, and the place to say more. */
export function ConversationView({ conversation }: { conversation: string | null }) {
  const { t } = useTranslation()
  const { data: me } = useMe()
  const loading = useChat((state) => (conversation ? state.loading[conversation] : 'ready'))
  const nodes = useChat((state) => (conversation ? state.nodes[conversation] : undefined)) ?? NO_NODES
  const choices = useChat((state) => state.choices)
  const outbox = useChat((state) => state.outbox)
  const [editing, setEditing] = useState(() => draftedUnder(`edit.${conversation}`))
  const isComparing = useComparison(({ awaited, pair }) => awaited !== null || pair !== null)
  const { data: list } = useConversations('', Boolean(me))
  const isKeptOut = list?.items.find((item) => item.id === conversation)?.train === false

  const whole = useMemo(() => visiblePath(nodes, choices, conversation ?? ''), [nodes, choices, conversation])
  const pending = outbox.find((p) => belongs(p, conversation, whole))
  const path = useMemo(() => beforePending(whole, pending, conversation), [whole, pending, conversation])
  const last = path.at(-1)
  const runningReply = useChat((state) => (last && state.messages[last.id]?.state === 'streaming' ? last.id : null))

  useEffect(() => {
    if (me) session.show(conversation)
    return () => session.show(null)
  }, [conversation, me])

  useEscape(() => {
    if (runningReply) session.stop(runningReply)
  })

  const say = (text: string) => session.say(conversation, last?.id ?? null, text)
  const sayInstead = (step: Step, text: string) => {
    setEditing(null)
    const index = whole.findIndex((it) => it.id === step.id)
    session.say(conversation, whole[index - 1]?.id ?? conversation, text)
  }
  const editLast = () => {
    const own = whole.findLast((step) => step.role === 'user')
    if (own) setEditing(own.id)
  }

  const isEmpty = path.length === 0 && !pending && loading === 'ready'
  return (
    <main className={style.conversation} aria-label={t('chat.label')} data-empty={isEmpty}>
      {loading === 'missing' || loading === 'failed' ? (
        <div className={style.fault} role="alert">
          {t(loading === 'missing' ? 'chat.missing' : 'chat.notLoaded')}{' '}
          {loading === 'failed' && conversation && (
            <button type="button" className="as-link" onClick={() => void session.load(conversation)}>
              {t('retry')}
            </button>
          )}
        </div>
      ) : isEmpty ? (
        <Intro onSay={say} />
      ) : (
        <MessageList
          path={path}
          conversation={conversation}
          editing={editing}
          onEdit={setEditing}
          onSayInstead={sayInstead}
          isBusy={runningReply !== null || pending !== undefined}
        >
          {pending && <PendingTurn pending={pending} />}
        </MessageList>
      )}
      {isKeptOut && (
        <p className={style.kept}>
          {t('chat.keptOut')} <LearningLink />
        </p>
      )}
      {isComparing && <ComparisonDialog onClose={endComparison} />}
      {loading !== 'missing' && (
        <Composer
          conversation={conversation}
          limit={me?.limits.message_bytes ?? 32 * 1024}
          runningReply={runningReply}
          isBlocked={pending !== undefined || !me}
          onSay={say}
          onEditLast={editLast}
        />
      )}
    </main>
  )
}

function belongs({ request }: Pending, conversation: string | null, path: Step[]): boolean {
  if (request.type === 'say') return request.conversation_id === conversation
  return path.some((step) => step.siblings.includes(request.reply_id))
}

/** While an edit or another answer is on its way, what it replaces is not shown. */
function beforePending(path: Step[], pending: Pending | undefined, conversation: string | null): Step[] {
  if (!pending) return path
  const { request } = pending
  if (request.type !== 'say') {
    return path.slice(0, path.findIndex((step) => step.siblings.includes(request.reply_id)))
  }
  if (request.parent_id === conversation) return []
  const parent = path.findIndex((step) => step.id === request.parent_id)
  return parent === -1 ? path : path.slice(0, parent + 1)
}
