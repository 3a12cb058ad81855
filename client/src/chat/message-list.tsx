import { type ReactNode, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { Up } from '../icons'
import { IconButton } from '../parts/icon-button'
import style from './chat.module.css'
import { ReplyAnnouncer } from './reply-announcer'
import { Stretch, STRETCH } from './stretch'
import type { Step } from './tree'
import { Busy } from './turn-button'

interface MessageListProps {
  path: Step[]
  conversation: string | null
  editing: string | null
  onEdit: (id: string | null) => void
  onSayInstead: (step: Step, text: string) => void
  isBusy: boolean
  children: ReactNode
}

/** How near to the end counts as reading along. */
const NEAR = 64
/** A conversation of so many turns is drawn whole; of a longer one the end, and the rest when it comes near. */
const FEW = 60

export function MessageList({ path, conversation, editing, onEdit, onSayInstead, isBusy, children }: MessageListProps) {
  const { t } = useTranslation()
  const { view, content, isAtEnd, goToEnd } = useFollowing(path.length, Boolean(children))
  // Always the same function, so that no turn is drawn anew because another one came.
  const latest = useRef(onSayInstead)
  useLayoutEffect(() => {
    latest.current = onSayInstead
  })
  const sayInstead = useCallback((step: Step, text: string) => latest.current(step, text), [])
  return (
    <div className={style.scroller}>
      <div className={style.view} ref={view}>
        <div className={style.thread} ref={content}>
          <Busy value={isBusy}>
            {stretches(path).map((steps, index, all) => (
              <Stretch
                key={index}
                steps={steps}
                isNear={path.length <= FEW || index >= all.length - 2}
                view={view}
                conversation={conversation}
                last={index === all.length - 1 ? (path.at(-1)?.id ?? null) : null}
                editing={steps.some((step) => step.id === editing) ? editing : null}
                onEdit={onEdit}
                onSayInstead={sayInstead}
              />
            ))}
          </Busy>
          {children}
        </div>
      </div>
      <ReplyAnnouncer reply={path.at(-1)?.id ?? null} />
      {!isAtEnd && (
        <div className={style.latest}>
          <IconButton label={t('chat.latest')} onClick={goToEnd}>
            <Up size={16} />
          </IconButton>
        </div>
      )}
    </div>
  )
}

function stretches(path: Step[]): Step[][] {
  const count = Math.ceil(path.length / STRETCH)
  return Array.from({ length: count }, (_, index) => path.slice(index * STRETCH, (index + 1) * STRETCH))
}

/** Keeps the end in sight while text grows, unless the person has scrolled up to read. */
function useFollowing(length: number, isSending: boolean) {
  const view = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const isPinned = useRef(true)
  const [isAtEnd, setAtEnd] = useState(true)

  const goToEnd = useCallback(() => {
    isPinned.current = true
    const element = view.current
    if (element) element.scrollTop = element.scrollHeight
  }, [])

  useLayoutEffect(goToEnd, [goToEnd, length, isSending])

  useEffect(() => {
    const element = view.current
    if (!element || !content.current) return
    let lastTop = element.scrollTop
    const scrolled = () => {
      const isNear = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR
      // Only a move upwards lets go: growing text also changes the distance, without anybody having scrolled.
      if (isNear) isPinned.current = true
      else if (element.scrollTop < lastTop) isPinned.current = false
      lastTop = element.scrollTop
      setAtEnd(isNear)
    }
    const grown = new ResizeObserver(() => {
      if (isPinned.current) element.scrollTop = element.scrollHeight
      scrolled()
    })
    element.addEventListener('scroll', scrolled, { passive: true })
    grown.observe(content.current)
    grown.observe(element)
    return () => {
      element.removeEventListener('scroll', scrolled)
      grown.disconnect()
    }
  }, [])
  return { view, content, isAtEnd, goToEnd }
}
