/** All runs, newest first. */

import { Progress } from '@mantine/core'
import { Link } from 'wouter'

import { MOST_RUNS, useRuns, useSummary } from './calls'
import { percent, plain } from './figures'
import { Empty, Page, Panel, StateBadge, Trouble, useCountWord, Waiting } from './parts'
import { useReason } from './reasons'
import { secondsTaken } from './reckon'
import style from './runs.module.css'
import { isEnded, type Json, type Run } from './shapes'
import tables from './table.module.css'
import { Duration, useLocale, useNow, When } from './times'
import { TrainButton } from './train'
import { useWords } from './words'

export function RunsPage() {
  const t = useWords()
  const runs = useRuns()
  const summary = useSummary()
  const items = runs.data?.items
  return (
    <Page title={t('runs')} actions={<TrainButton running={summary.data?.running_run ?? null} />}>
      {runs.error && <Trouble error={runs.error} onRetry={() => void runs.refetch()} />}
      {runs.isPending && <Waiting />}
      {items?.length === 0 && <Empty title={t('run.empty')} text={t('run.emptyText')} />}
      {items && items.length > 0 && (
        <Panel
          title={t('run.all')}
          hint={items.length >= MOST_RUNS ? t('run.onlyNewest', { count: MOST_RUNS }) : undefined}
        >
          <RunTable runs={items} />
        </Panel>
      )}
    </Page>
  )
}

function RunTable({ runs }: { runs: Run[] }) {
  const t = useWords()
  const now = useNow(runs.some((run) => run.state === 'running'))
  return (
    <table className={tables.table}>
      <thead>
        <tr>
          <th scope="col">{t('run.queued')}</th>
          <th scope="col">{t('run.state')}</th>
          <th scope="col">{t('run.stage')}</th>
          <th scope="col">{t('run.progress')}</th>
          <th scope="col">{t('run.fromTo')}</th>
          <th scope="col">{t('run.counts')}</th>
          <th scope="col" className={tables.number}>{t('run.duration')}</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.id}>
            <td data-name={t('run.queued')}>
              <Link href={`/operate/runs/${run.id}`} className={style.link}>
                <When at={run.queued_at} />
              </Link>
            </td>
            <td data-name={t('run.state')}>
              <span>
                <StateBadge state={run.state} />
              </span>
            </td>
            <td data-name={t('run.stage')}>{run.stage ? t(`stage.${run.stage}`) : '–'}</td>
            <td data-name={t('run.progress')}>
              <Share run={run} />
            </td>
            <td data-name={t('run.fromTo')}>
              <FromTo run={run} />
            </td>
            <td data-name={t('run.counts')} className={style.counts}>
              <Counts counts={run.counts} />
            </td>
            <td data-name={t('run.duration')} className={tables.number}>
              <Taken run={run} now={now} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function Share({ run }: { run: Run }) {
  const t = useWords()
  const locale = useLocale()
  if (isEnded(run)) return <>{percent(run.progress, locale)}</>
  return (
    <span className={style.share}>
      <Progress value={run.progress * 100} aria-label={t('run.progress')} color="var(--accent)" size="sm" />
      {percent(run.progress, locale)}
    </span>
  )
}

export function FromTo({ run }: { run: Run }) {
  const t = useWords()
  const from = run.from_version === null ? '–' : t('v', { number: run.from_version })
  if (run.to_version === null) return <>{from}</>
  return (
    <>
      {from} → <Link href={`/operate/versions#v${run.to_version}`}>{t('v', { number: run.to_version })}</Link>
    </>
  )
}

function Taken({ run, now }: { run: Run; now: number }) {
  const seconds = secondsTaken(run, now)
  return seconds === null ? <>–</> : <Duration seconds={seconds} />
}

/** The largest counts in words: "120 opinions, 8 people". */
export function Counts({ counts }: { counts: Json }) {
  const word = useCountWord()
  const locale = useLocale()
  const numbers = Object.entries(counts).filter((entry): entry is [string, number] => typeof entry[1] === 'number')
  const first = ['opinions', 'comparisons', 'people']
  const shown = first.flatMap((name) => numbers.filter((entry) => entry[0] === name && entry[1] > 0))
  const rest = (shown.length > 0 ? shown : numbers).slice(0, 3)
  return <>{rest.map(([name, count]) => `${plain(count, locale)} ${word(name)}`).join(', ') || '–'}</>
}

/** One run in a line, for the overview. */
export function RunLine({ run }: { run: Run }) {
  const said = useReason()
  const now = useNow(!isEnded(run))
  return (
    <div className={style.line}>
      <StateBadge state={run.state} />
      <Link href={`/operate/runs/${run.id}`} className={style.link}>
        <When at={run.ended_at ?? run.queued_at} />
      </Link>
      <span>
        <FromTo run={run} />
      </span>
      <span className={style.counts}>
        <Counts counts={run.counts} />
      </span>
      <span className={style.counts}>
        <Taken run={run} now={now} />
      </span>
      {run.error !== null && <p className={style.error}>{said(run.error)}</p>}
    </div>
  )
}
