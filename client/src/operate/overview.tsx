/** How it goes: what an operator who opens the console in the morning sees first. */

import type { ReactNode } from 'react'
import { Link } from 'wouter'

import { Warning } from '../icons'
import { useSummary } from './calls'
import { CanaryPanel } from './canary-panel'
import { DelaysPanel } from './delays'
import { percent } from './figures'
import { News } from './news'
import style from './overview.module.css'
import { Empty, Page, Panel, Trouble, Waiting } from './parts'
import { RunProgress } from './progress'
import { useReason } from './reasons'
import { RunLine } from './runs'
import { Satisfaction } from './satisfaction'
import type { Summary } from './shapes'
import { useLocale, When } from './times'
import { TrainButton } from './train'
import { Trend } from './trend'
import { WaitingVersions } from './waiting'
import { useWords } from './words'

export function OverviewPage() {
  const t = useWords()
  const summary = useSummary()
  return (
    <Page title={t('overview')} actions={<TrainButton running={summary.data?.running_run ?? null} />}>
      {summary.error && <Trouble error={summary.error} onRetry={() => void summary.refetch()} />}
      {summary.data ? <Overview summary={summary.data} /> : summary.isPending && <Waiting />}
    </Page>
  )
}

function Overview({ summary }: { summary: Summary }) {
  const t = useWords()
  const said = useReason()
  const locale = useLocale()
  const { running_run: running, last_run: last } = summary
  return (
    <>
      {summary.engine.problem && (
        <div className={style.problem} role="alert">
          <Warning size={18} />
          <p>{said(summary.engine.problem)}</p>
        </div>
      )}
      <div className={style.cards}>
        <LiveCard summary={summary} />
        <Card name={t('summary.opinions')} note={t('summary.opinionsHint')} href="/operate/feedback">
          {summary.opinions_since_last_run.toLocaleString(locale)}
        </Card>
        <NextCard summary={summary} />
        <EngineCard summary={summary} />
      </div>
      <WaitingVersions />
      <CanaryPanel onlyPresent />
      {running && (
        <Panel
          title={t('summary.running')}
          actions={
            <Link href={`/operate/runs/${running.id}`} className={style.link}>
              {t('more')}
            </Link>
          }
        >
          <RunProgress run={running} />
        </Panel>
      )}
      <News news={summary.news} />
      <Panel title={t('summary.trend')} hint={t('summary.trendHint')}>
        <Trend summary={summary} />
      </Panel>
      <Panel title={t('summary.satisfaction')} hint={t('summary.satisfactionHint')}>
        <Satisfaction versions={summary.policies} />
      </Panel>
      <DelaysPanel />
      <Panel title={t('summary.last')}>
        {last ? <RunLine run={last} /> : <Empty title={t('summary.noRuns')} text={t('summary.noRunsText')} />}
      </Panel>
    </>
  )
}

interface CardProps {
  name: string
  note: ReactNode
  href?: string
  children: ReactNode
}

function Card({ name, note, href, children }: CardProps) {
  return (
    <div className={style.card}>
      <div className={style.name}>{name}</div>
      <div className={style.value}>{href === undefined ? children : <Link href={href}>{children}</Link>}</div>
      <div className={style.note}>{note}</div>
    </div>
  )
}

function LiveCard({ summary }: { summary: Summary }) {
  const t = useWords()
  const locale = useLocale()
  const { live } = summary
  if (!live) return <Card name={t('summary.live')} note="">{t('summary.noLive')}</Card>
  const counts = summary.policies.find((policy) => policy.number === live.number)
  const note =
    counts && counts.rated > 0
      ? `${t('summary.liked', { percent: percent(counts.liked / counts.rated, locale) })} ${t('summary.ratedOf', { count: counts.rated })}`
      : t('summary.unrated')
  return (
    <Card
      name={t('summary.live')}
      href={`/operate/versions#v${live.number}`}
      note={
        <>
          {note}
          {live.live_at !== null && (
            <>
              {' · '}
              {t('summary.since')} <When at={live.live_at} />
            </>
          )}
        </>
      }
    >
      {t('v', { number: live.number })}
    </Card>
  )
}

function NextCard({ summary }: { summary: Summary }) {
  const t = useWords()
  const next = summary.next_schedule
  if (next) {
    return (
      <Card name={t('summary.next')} href="/operate/schedules" note={<bdi>{next.name}</bdi>}>
        <When at={next.at} />
      </Card>
    )
  }
  return (
    <Card
      name={t('summary.next')}
      note={
        <Link href="/operate/schedules" className={style.link}>
          {t('summary.plan')}
        </Link>
      }
    >
      {t('summary.noNext')}
    </Card>
  )
}

function EngineCard({ summary }: { summary: Summary }) {
  const t = useWords()
  const { connected, problem, running = 0, waiting = 0, versions = [], device, kind, logprobs } = summary.engine
  const held = versions.map((number) => t('v', { number })).join(', ')
  const details = [
    t('summary.engineBusy', { running, waiting }),
    ...(held ? [t('summary.engineVersions', { versions: held })] : []),
    ...(device === undefined ? [] : [device]),
    ...(kind === undefined ? [] : [kind]),
    ...(logprobs === false ? [t('summary.engineNoLogprobs')] : []),
  ]
  const state = !connected ? 'engineDown' : problem ? 'engineProblem' : 'engineUp'
  return (
    <Card name={t('summary.engine')} note={connected ? details.join(' · ') : ''}>
      <span className={state === 'engineUp' ? style.up : style.down}>{t(`summary.${state}`)}</span>
    </Card>
  )
}
