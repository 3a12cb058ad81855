/** Versions that passed the gate and wait for an operator's word. */

import { Link } from 'wouter'

import { useSummary } from './calls'
import { Decide } from './decide'
import { Panel } from './parts'
import { When } from './times'
import style from './waiting.module.css'
import { useWords } from './words'

export function WaitingVersions() {
  const t = useWords()
  const waiting = useSummary().data?.waiting ?? []
  if (waiting.length === 0) return null
  return (
    <Panel title={t('waiting.title')} hint={t('waiting.hint')}>
      <ul className={style.list}>
        {waiting.map(({ number, run_id: run, created_at: at }) => (
          <li key={number}>
            <span>
              <Link href={`/operate/versions#v${number}`}>{t('version', { number })}</Link>, <When at={at} />
              {run !== null && (
                <>
                  {' · '}
                  <Link href={`/operate/runs/${run}`}>{t('run.one')}</Link>
                </>
              )}
            </span>
            <span className={style.actions}>
              <Decide move="approve" number={number} isMain />
              <Decide move="reject" number={number} />
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  )
}
