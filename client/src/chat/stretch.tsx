import { memo, type RefObject, startTransition, useEffect, useLayoutEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { shallow } from 'zustand/shallow'

import style from './chat.module.css'
import { Question } from './question'
import { Reply } from './reply'
import { useChat } from './session'
import type { Step } from './tree'

/** Turns of one stretch: the browser looks at each stretch whenever somebody scrolls, so they are not too short. */
export const STRETCH = 16
/** How far beyond the window a stretch is drawn, so that whoever scrolls finds it ready. */
const AHEAD = 1600
/** Browsers that do not keep what is read in its place when something above it changes its height. */
const isLeftToUs = !CSS.supports('overflow-anchor', 'auto')

interface StretchProps {
  steps: Step[]
  /** Draw it at once, without waiting until it comes near the window. */
  isNear: boolean
  view: RefObject<HTMLElement | null>
  conversation: string | null
  /** The last turn of all, if it is here. */
  last: string | null
  /** The turn that is being edited, if it is here. */
  editing: string | null
  onEdit: (id: string | null) => void
  onSayInstead: (step: Step, text: string) => void
}

/**
 * Some turns of a conversation that follow one another. Far from the window they are there as plain text: the browser's
 * search finds words in them, a screen reader reads them, and nothing is spent on drawing them. Once drawn they stay
 * drawn, with whatever is open in them.
 */
export const Stretch = memo(function Stretch({ steps, isNear, view, ...rest }: StretchProps) {
  const place = useRef<HTMLDivElement>(null)
  const heightBefore = useRef<number | null>(null)
  const [isDrawn, setDrawn] = useState(isNear)
  const [height] = useState(() => estimated(steps))

  useEffect(() => {
    const element = place.current
    if (isDrawn || !element) return
    const watch = new IntersectionObserver(
      ([entry]) => {
        if (!entry?.isIntersecting) return
        watch.disconnect()
        const isAbove = entry.boundingClientRect.bottom <= (entry.rootBounds?.top ?? 0) + AHEAD
        heightBefore.current = isAbove ? entry.boundingClientRect.height : null
        startTransition(() => setDrawn(true)) // typing and scrolling go first
      },
      { root: view.current, rootMargin: `${AHEAD}px 0px` },
    )
    watch.observe(element)
    return () => watch.disconnect()
  }, [isDrawn, view])

  useLayoutEffect(() => {
    if (!isDrawn || !isLeftToUs || heightBefore.current === null) return
    const grown = (place.current?.offsetHeight ?? 0) - heightBefore.current
    view.current?.scrollBy({ top: grown, behavior: 'instant' })
  }, [isDrawn, view])

  return (
    <div ref={place} className={style.stretch} style={{ containIntrinsicSize: `auto ${height}px` }}>
      {isDrawn ? steps.map((step) => <Turn key={step.id} step={step} {...rest} />) : steps.map((step) => <Afar key={step.id} step={step} />)}
    </div>
  )
}, isSame)

function isSame({ steps: before, ...a }: StretchProps, { steps: now, ...b }: StretchProps): boolean {
  return shallow(before, now) && shallow(a, b)
}

type TurnProps = { step: Step } & Pick<StretchProps, 'conversation' | 'last' | 'editing' | 'onEdit' | 'onSayInstead'>

function Turn({ step, conversation, last, editing, onEdit, onSayInstead }: TurnProps) {
  if (step.role === 'assistant') return <Reply step={step} isLast={step.id === last} />
  return (
    <Question
      step={step}
      conversation={conversation}
      isEditing={step.id === editing}
      onEdit={onEdit}
      onSayInstead={onSayInstead}
    />
  )
}

function Afar({ step }: { step: Step }) {
  const { t } = useTranslation()
  const text = useChat((state) => state.messages[step.id]?.content ?? '')
  const isQuestion = step.role === 'user'
  return (
    <article className={isQuestion ? style.question : style.reply}>
      <h2 className="visually-hidden">{t(isQuestion ? 'chat.said' : 'chat.replied')}</h2>
      <div className={isQuestion ? style.bubble : style.afar} dir="auto">
        {text}
      </div>
    </article>
  )
}

/** About how many pixels these turns will take; the browser remembers the true height once it has seen them. */
function estimated(steps: Step[]): number {
  const { messages } = useChat.getState()
  const lines = steps.map(({ id }) => 3.5 + (messages[id]?.content.length ?? 0) / 80)
  return Math.round(26 * lines.reduce((sum, it) => sum + it, 0))
}
