/** How far a run is: its stages as steps, a bar, and the time that is left. */

import { Progress } from '@mantine/core'

import { Check, Close } from '../icons'
import { percent } from './figures'
import style from './progress.module.css'
import { secondsLeft } from './reckon'
import { isEnded, type Run, stages } from './shapes'
import { Duration, useLocale, useNow } from './times'
import { useWords } from './words'

export function RunProgress({ run }: { run: Run }) {
  const t = useWords()
  const locale = useLocale()
  const now = useNow(run.state === 'running')
  const left = secondsLeft(run, now)
  return (
    <div className={style.progress}>
      <Stages run={run} />
      {!isEnded(run) && (
        <>
          <Progress
            value={run.progress * 100}
            animated={run.state === 'running'}
            aria-label={t('run.progress')}
            color="var(--accent)"
            size="sm"
          />
          <p className={style.left}>
            <span className={style.share}>{percent(run.progress, locale)}</span>
            {run.cancel_requested ? (
              t('run.cancelling')
            ) : run.state === 'queued' ? (
              t('run.waitingForLearner')
            ) : left === null ? (
              t('run.leftUnknown')
            ) : (
              <Left seconds={left} />
            )}
          </p>
        </>
      )}
    </div>
  )
}

function Left({ seconds }: { seconds: number }) {
  const t = useWords()
  const [before, after] = t('run.left', { left: '\n' }).split('\n')
  return (
    <>
      {before}
      <Duration seconds={seconds} />
      {after}
    </>
  )
}

function Stages({ run }: { run: Run }) {
  const t = useWords()
  const at = run.stage === null ? -1 : stages.indexOf(run.stage)
  return (
    <ol className={style.stages}>
      {stages.map((stage, index) => {
        const how = howFar(run, index, at)
        return (
          <li key={stage} data-how={how} aria-current={how === 'now' ? 'step' : undefined} title={t(`stageMeaning.${stage}`)}>
            <span className={style.dot}>
              {how === 'done' ? <Check size={12} /> : how === 'broken' ? <Close size={12} /> : index + 1}
            </span>
            <span>{t(`stage.${stage}`)}</span>
            <span className="visually-hidden">{t(`stageState.${how}`)}</span>
          </li>
        )
      })}
    </ol>
  )
}

function howFar(run: Run, index: number, at: number): 'done' | 'now' | 'ahead' | 'broken' {
  if (run.state === 'promoted' || index < at) return 'done'
  if (index > at) return 'ahead'
  return isEnded(run) ? 'broken' : 'now'
}
