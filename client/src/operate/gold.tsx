/** Makes what an opinion is about a gold item: raters meet it unmarked, and are known by how they answer it. */

import { Button } from '@mantine/core'

import { useMarkGold } from './calls'
import style from './feedback.module.css'
import { Trouble } from './parts'
import type { Feedback } from './shapes'
import { useWords } from './words'

export function Gold({ item }: { item: Feedback }) {
  const t = useWords()
  const mark = useMarkGold()
  const answers = item.kind === 'opinion' ? (['up', 'down'] as const) : (['left', 'right'] as const)
  return (
    <details className={style.thread}>
      <summary>{t('gold.title')}</summary>
      <div className={style.gold} role="group" aria-label={t('gold.title')}>
        <p className={style.hidden}>{t('gold.hint')}</p>
        {answers.map((answer) => (
          <Button
            key={answer}
            size="xs"
            variant={item.gold === answer ? 'filled' : 'default'}
            aria-pressed={item.gold === answer}
            disabled={mark.isPending}
            onClick={() => mark.mutate({ item, answer: item.gold === answer ? null : answer })}
          >
            {t(`gold.answer.${answer}`)}
          </Button>
        ))}
        <Trouble error={mark.error} />
      </div>
    </details>
  )
}
