/** What the learner said about a run: the newest lines at the bottom, followed as they come unless somebody reads above. */

import { useEffect, useRef } from 'react'

import { useLog } from './calls'
import style from './log.module.css'
import { Panel, Trouble } from './parts'
import { isEnded, type Run } from './shapes'
import { useLocale } from './times'
import { useWords } from './words'

/** Pixels from the end within which the end is what is being read. */
const NEAR = 40

export function LogPanel({ run }: { run: Run }) {
  const t = useWords()
  const locale = useLocale()
  const log = useLog(run.id)
  const lines = log.data ?? []
  const box = useRef<HTMLOListElement>(null)
  const isFollowing = useRef(true)
  const last = lines.at(-1)?.number
  useEffect(() => {
    if (box.current && isFollowing.current) box.current.scrollTop = box.current.scrollHeight
  }, [last])
  return (
    <Panel title={t('run.log')} hint={t('run.logHint')}>
      {log.error && <Trouble error={log.error} onRetry={() => void log.refetch()} />}
      {lines.length === 0 ? (
        <p className={style.faint}>{isEnded(run) ? t('run.noLogEnded') : t('run.noLog')}</p>
      ) : (
        <ol
          ref={box}
          className={style.lines}
          tabIndex={0}
          aria-label={t('run.log')}
          onScroll={({ currentTarget: it }) => {
            isFollowing.current = it.scrollHeight - it.scrollTop - it.clientHeight < NEAR
          }}
        >
          {lines.map((line) => (
            <li key={line.number} data-level={line.level}>
              <time dateTime={line.at}>
                {new Date(line.at).toLocaleTimeString(locale, { hourCycle: 'h23' })}
              </time>{' '}
              <span dir="auto">{line.text}</span>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  )
}
