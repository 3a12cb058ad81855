/** What one says of a reply beyond the thumb: why, and how good it is in which respect. */

import { useTranslation } from 'react-i18next'

import { type Aspect, type Me, type Reason, useMe } from '../people/me'
import { currentLanguage } from '../words'
import style from './rate.module.css'

const SCORES = [1, 2, 3, 4, 5]

interface ReasonsProps {
  rating: 1 | -1 | null
  chosen: string[]
  onChoose: (chosen: string[]) => void
  /** Show the digit that chooses each. */
  isNumbered?: boolean
}

export function Reasons({ rating, chosen, onChoose, isNumbered = false }: ReasonsProps) {
  const { t } = useTranslation()
  const { data: me } = useMe()
  return (
    <div className={style.chips} role="group" aria-label={t('opinion.reasons')}>
      {reasonsFor(me, rating).map((reason, index) => (
        <button
          key={reason.id}
          type="button"
          className={style.chip}
          aria-pressed={chosen.includes(reason.id)}
          onClick={() => onChoose(toggled(chosen, reason.id))}
        >
          {isNumbered && index < 9 && (
            <kbd className={style.key} aria-hidden="true">
              {index + 1}
            </kbd>
          )}
          {labelOf(reason)}
        </button>
      ))}
    </div>
  )
}

interface ScoresProps {
  labels: Record<string, number>
  onScore: (labels: Record<string, number>) => void
  /** Letters that pick an aspect, one for each; a digit then scores the one that is picked. */
  letters?: string
  picked?: string | null
}

export function Scores({ labels, onScore, letters = '', picked = null }: ScoresProps) {
  const { data: me } = useMe()
  return (
    <div className={style.aspects}>
      {(me?.aspects ?? []).map((aspect, index) => (
        <Score
          key={aspect.name}
          aspect={aspect}
          letter={letters.charAt(index)}
          isPicked={aspect.name === picked}
          score={labels[aspect.name]}
          onScore={(score) => onScore(scored(labels, aspect.name, score))}
        />
      ))}
    </div>
  )
}

interface ScoreProps {
  aspect: Aspect
  letter: string
  isPicked: boolean
  score: number | undefined
  onScore: (score: number) => void
}

function Score({ aspect, letter, isPicked, score, onScore }: ScoreProps) {
  const { t } = useTranslation()
  const name = labelOf(aspect)
  return (
    <div className={style.aspect} role="group" aria-label={name} data-picked={isPicked}>
      {letter !== '' && (
        <kbd className={style.key} aria-hidden="true">
          {letter.toUpperCase()}
        </kbd>
      )}
      <span className={style.aspectName}>{name}</span>
      {SCORES.map((value) => (
        <button
          key={value}
          type="button"
          className={style.score}
          aria-label={t('opinion.score', { aspect: name, score: value })}
          aria-pressed={score === value}
          data-reached={score !== undefined && value <= score}
          onClick={() => onScore(value)}
        >
          {value}
        </button>
      ))}
    </div>
  )
}

export function reasonsFor(me: Me | null | undefined, rating: 1 | -1 | null): Reason[] {
  const side = rating === 1 ? 'up' : 'down'
  return (me?.reasons ?? []).filter((reason) => rating === null || reason.for === side || reason.for === 'both')
}

export function toggled(chosen: string[], id: string): string[] {
  return chosen.includes(id) ? chosen.filter((other) => other !== id) : [...chosen, id]
}

/** The same score again takes it back. */
export function scored(labels: Record<string, number>, name: string, score: number): Record<string, number> {
  const others = Object.fromEntries(Object.entries(labels).filter(([other]) => other !== name))
  return labels[name] === score ? others : { ...others, [name]: score }
}

function labelOf(item: Aspect | Reason): string {
  return currentLanguage() === 'zh' ? item.label_zh : item.label_en
}
