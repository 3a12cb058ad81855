/** What happened lately without the operator: what was announced, and times of schedules that brought no run. */

import style from './news.module.css'
import { Panel } from './parts'
import { useReason } from './reasons'
import type { Summary } from './shapes'
import { When } from './times'
import { isWord, useWords } from './words'

export function News({ news }: { news: Summary['news'] }) {
  const t = useWords()
  const said = useReason()
  return (
    <Panel title={t('summary.news')}>
      {news.length === 0 ? (
        <p className={style.none}>{t('summary.noNews')}</p>
      ) : (
        <ul className={style.list}>
          {news.map((one, index) => {
            const word = `summary.newsKind.${one.kind}`
            const values = one.content as Record<string, string | number>
            return (
              <li key={index} data-kind={one.kind}>
                <span className={style.when}>
                  <When at={one.at} />
                </span>
                <span>{isWord(word) ? t(word, { ...values, reason: said(String(values.reason ?? '–')) }) : one.kind}</span>
              </li>
            )
          })}
        </ul>
      )}
    </Panel>
  )
}
