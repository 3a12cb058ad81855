/** One of a few ways that shut each other out, with a word on what it means. They stand in a `fieldset`. */

import type { ReactNode } from 'react'

import style from './choice.module.css'

interface ChoiceProps {
  group: string
  name: string
  title: string
  text?: string | undefined
  isChosen: boolean
  isDisabled?: boolean
  onChoose: () => void
  children?: ReactNode
}

export function Choice({ group, name, title, text, isChosen, isDisabled = false, onChoose, children }: ChoiceProps) {
  return (
    <label className={style.choice}>
      <input type="radio" name={group} value={name} checked={isChosen} disabled={isDisabled} onChange={onChoose} />
      <span>
        <strong>
          {title} {children}
        </strong>
        {text !== undefined && <small>{text}</small>}
      </span>
    </label>
  )
}
