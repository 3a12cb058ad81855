import { useTranslation } from 'react-i18next'

import { Left, Right } from '../icons'
import { IconButton } from '../parts/icon-button'
import style from './chat.module.css'
import { session } from './session'
import type { Step } from './tree'

/** "2/3": which of several versions of one turn is shown, and the way to the others. */
export function BranchPager({ step, place }: { step: Step; place: string }) {
  const { t } = useTranslation()
  const { siblings } = step
  if (siblings.length < 2) return null
  const index = siblings.indexOf(step.id)
  const show = (id: string | undefined) => id && session.dispatch({ type: 'chosen', place, id })
  return (
    <span className={style.pager}>
      <IconButton label={t('chat.previousBranch')} disabled={index === 0} onClick={() => show(siblings[index - 1])}>
        <Left size={15} />
      </IconButton>
      <span aria-label={t('chat.branch', { n: index + 1, of: siblings.length })} role="img">
        {index + 1}/{siblings.length}
      </span>
      <IconButton
        label={t('chat.nextBranch')}
        disabled={index === siblings.length - 1}
        onClick={() => show(siblings[index + 1])}
      >
        <Right size={15} />
      </IconButton>
    </span>
  )
}
