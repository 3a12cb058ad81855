/** One run: where it stands, its curves as they come, what it learned from, and what came of it. */

import { Button } from '@mantine/core'
import { type ReactNode, useCallback, useMemo, useState } from 'react'
import { Link } from 'wouter'

import { Left, Warning } from '../icons'
import { useCancelRun, useGivers, useMetrics, useNames, useRecipe, useRun, useSamples, useSchedules } from './calls'
import { Confirm } from './confirm'
import { difference, plain } from './figures'
import { Givers } from './givers'
import { LogPanel } from './log'
import { Facts, Page, Panel, StateBadge, Trouble, useCountWord, Waiting } from './parts'
import { Plot } from './plot'
import { RunProgress } from './progress'
import { useReason } from './reasons'
import { secondsTaken } from './reckon'
import { Raw, Report } from './report'
import style from './run.module.css'
import { FromTo } from './runs'
import { drawable, gather, type Panel as Plotted, panels, singles } from './series'
import { isEnded, type Metric, type Run, type Sample } from './shapes'
import { Duration, useLocale, useNow, When } from './times'
import { isWord, useWords } from './words'

export function RunPage({ id }: { id: string }) {
  const t = useWords()
  const run = useRun(id)
  const above = (
    <Link href="/operate/runs" className={style.up}>
      <Left size={14} />
      {t('run.all')}
    </Link>
  )
  if (run.data) return <Shown run={run.data} above={above} />
  return (
    <Page title={t('run.one')} above={above}>
      {run.error ? <Trouble error={run.error} onRetry={() => void run.refetch()} /> : <Waiting />}
    </Page>
  )
}

function Shown({ run, above }: { run: Run; above: ReactNode }) {
  const t = useWords()
  const locale = useLocale()
  const when = new Date(run.queued_at).toLocaleString(locale, {
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  })
  return (
    <Page title={t('run.title', { when })} above={above} actions={isEnded(run) ? undefined : <Cancel run={run} />}>
      <End run={run} />
      <Panel title={t('run.progress')} actions={<StateBadge state={run.state} />}>
        <RunProgress run={run} />
        <div className={style.facts}>
          <RunFacts run={run} />
        </div>
      </Panel>
      <Curves run={run} />
      <Data run={run} />
      <LogPanel run={run} />
      <Samples run={run} />
      <Panel title={t('run.report')}>
        {Object.keys(run.report).length > 0 ? <Report report={run.report} /> : <p className={style.faint}>{t('run.noReport')}</p>}
      </Panel>
      <Recipe run={run} />
    </Page>
  )
}

function Recipe({ run }: { run: Run }) {
  const t = useWords()
  const usual = useRecipe().data?.default
  if (!usual) return null
  const own = difference(run.recipe, usual)
  return (
    <Panel title={t('run.recipe')}>
      {Object.keys(own).length > 0 ? <Report report={own} hasRaw={false} /> : <p className={style.faint}>{t('run.usualRecipe')}</p>}
      <Raw value={run.recipe} />
    </Panel>
  )
}

/** Why a run did not end as hoped. */
function End({ run }: { run: Run }) {
  const t = useWords()
  const said = useReason()
  if (run.state !== 'failed' && run.state !== 'rejected' && run.state !== 'cancelled') return null
  const words = { failed: 'run.failed', rejected: 'run.rejected', cancelled: 'run.stopped' } as const
  return (
    <div className={style.end} data-state={run.state} role={run.state === 'failed' ? 'alert' : 'note'}>
      <Warning size={18} />
      <div>
        <p className={style.endTitle}>{t(words[run.state])}</p>
        {run.error !== null && <p className={style.endText}>{said(run.error)}</p>}
        {run.state === 'failed' && run.stage && <p>{t('run.failedWhere', { stage: t(`stage.${run.stage}`) })}</p>}
      </div>
    </div>
  )
}

function RunFacts({ run }: { run: Run }) {
  const t = useWords()
  const now = useNow(run.state === 'running')
  const seconds = secondsTaken(run, now)
  const items: [string, ReactNode][] = [
    [t('run.by'), <Asker key="by" run={run} />],
    [t('run.fromTo'), <FromTo key="versions" run={run} />],
    [t('run.queued'), <When key="queued" at={run.queued_at} />],
  ]
  if (run.started_at !== null) items.push([t('run.started'), <When key="started" at={run.started_at} />])
  if (run.ended_at !== null) items.push([t('run.ended'), <When key="ended" at={run.ended_at} />])
  if (seconds !== null) items.push([t('run.duration'), <Duration key="took" seconds={seconds} />])
  return <Facts items={items} />
}

function Asker({ run }: { run: Run }) {
  const t = useWords()
  const names = useNames()
  const schedules = useSchedules()
  if (run.requested_by !== null) return <bdi>{names.get(run.requested_by) ?? t('run.bySomeone')}</bdi>
  const schedule = schedules.data?.items.find((one) => one.id === run.schedule_id)
  return <>{schedule ? t('run.bySchedule', { name: schedule.name }) : t('run.byClock')}</>
}

function Cancel({ run }: { run: Run }) {
  const t = useWords()
  const [isAsking, setAsking] = useState(false)
  const cancel = useCancelRun(run.id)
  return (
    <>
      <Button variant="default" disabled={run.cancel_requested} onClick={() => setAsking(true)}>
        {run.cancel_requested ? t('run.cancelling') : t('run.cancel')}
      </Button>
      {isAsking && (
        <Confirm
          title={t('run.cancelTitle')}
          text={t('run.cancelText')}
          action={t('run.cancel')}
          isDanger
          isBusy={cancel.isPending}
          error={cancel.error}
          onConfirm={() => cancel.mutate(undefined, { onSuccess: () => setAsking(false) })}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  )
}

function Data({ run }: { run: Run }) {
  const t = useWords()
  const locale = useLocale()
  const word = useCountWord()
  const plainCounts = Object.entries(run.counts).filter((entry): entry is [string, number] => typeof entry[1] === 'number')
  const others = Object.fromEntries(Object.entries(run.counts).filter(([, value]) => typeof value !== 'number'))
  return (
    <Panel title={t('run.data')}>
      {Object.keys(run.counts).length === 0 ? (
        <p className={style.faint}>{t('run.noData')}</p>
      ) : (
        <>
          <ul className={style.counts}>
            {plainCounts.map(([name, count]) => (
              <li key={name}>
                <span className={style.count}>{plain(count, locale)}</span> {word(name)}
              </li>
            ))}
          </ul>
          {Object.keys(others).length > 0 && <Report report={others} hasRaw={false} />}
          <People id={run.id} />
        </>
      )}
    </Panel>
  )
}

function People({ id }: { id: string }) {
  const t = useWords()
  const givers = useGivers(id)
  if (givers.error) return <Trouble error={givers.error} onRetry={() => void givers.refetch()} />
  if (!givers.data || givers.data.items.length === 0) return null
  return (
    <div className={style.facts}>
      <p className={style.faint}>{t('givers.hint')}</p>
      <Givers givers={givers.data.items} />
    </div>
  )
}

const unmeasured: Metric[] = []

/** Panels that grow with the run; each message costs what it brings, not what is there. */
function usePanels(metrics: Metric[]): Plotted[] {
  const [gathered, setGathered] = useState(() => gather(metrics))
  if (gathered.of !== metrics) setGathered(gather(metrics, gathered))
  return useMemo(() => panels(gathered), [gathered])
}

function Curves({ run }: { run: Run }) {
  const t = useWords()
  const metrics = useMetrics(run.id)
  const locale = useLocale()
  const all = usePanels(metrics.data ?? unmeasured)
  const shown = useMemo(() => drawable(all), [all])
  const once = singles(all)
  const measure = useCallback(
    (name: string) => {
      const word = `metric.${name}`
      return isWord(word) ? t(word) : name.replaceAll('_', ' ')
    },
    [t],
  )
  const meaning = (name: string) => {
    const word = `metricMeaning.${name}`
    return isWord(word) ? t(word) : undefined
  }
  return (
    <Panel title={t('run.curves')} hint={shown.length > 0 ? t('plot.legend') : undefined}>
      {metrics.error && <Trouble error={metrics.error} onRetry={() => void metrics.refetch()} />}
      {shown.length > 0 ? (
        <div className={style.curves}>
          {shown.map((panel) => (
            <Plot
              key={panel.name}
              title={measure(panel.name)}
              meaning={meaning(panel.name)}
              curves={panel.curves}
              nameOf={measure}
            />
          ))}
        </div>
      ) : (
        <p className={style.faint}>{isEnded(run) ? t('run.noCurvesEnded') : t('run.noCurves')}</p>
      )}
      {once.length > 0 && (
        <div className={style.facts}>
          <Facts items={once.map(([name, value]) => [measure(name), plain(value, locale)])} />
        </div>
      )}
    </Panel>
  )
}

function Samples({ run }: { run: Run }) {
  const t = useWords()
  const samples = useSamples(run.id)
  const items = samples.data?.items ?? []
  return (
    <Panel title={t('run.samples')} hint={items.length > 0 ? t('run.samplesHint') : undefined}>
      {samples.error && <Trouble error={samples.error} onRetry={() => void samples.refetch()} />}
      {items.length > 0 ? (
        <ul className={style.samples}>
          {items.map((sample, index) => (
            <li key={index}>
              <SampleCard sample={sample} />
            </li>
          ))}
        </ul>
      ) : (
        <p className={style.faint}>{isEnded(run) ? t('run.noSamplesEnded') : t('run.noSamples')}</p>
      )}
    </Panel>
  )
}

function SampleCard({ sample }: { sample: Sample }) {
  const t = useWords()
  const locale = useLocale()
  const gain = sample.reward_after - sample.reward_before
  const size = plain(Math.abs(gain), locale)
  const isSame = Math.abs(gain) < 0.005
  const verdict = isSame ? t('run.same') : gain > 0 ? t('run.better', { value: size }) : t('run.worse', { value: size })
  return (
    <article className={style.sample}>
      <p className={style.prompt} dir="auto">
        <span className="visually-hidden">{t('run.prompt')}: </span>
        {sample.prompt}
      </p>
      <Answer title={t('run.before')} text={sample.before} reward={sample.reward_before} />
      <Answer
        title={t('run.after')}
        text={sample.after}
        reward={sample.reward_after}
        verdict={verdict}
        tone={isSame ? 'same' : gain > 0 ? 'better' : 'worse'}
      />
    </article>
  )
}

interface AnswerProps {
  title: string
  text: string
  reward: number
  verdict?: string
  tone?: string
}

function Answer({ title, text, reward, verdict, tone }: AnswerProps) {
  const t = useWords()
  const locale = useLocale()
  return (
    <div className={style.answer}>
      <p className={style.answerHead}>
        <strong>{title}</strong>
        <span>{t('run.reward', { value: plain(reward, locale) })}</span>
        {verdict !== undefined && <span data-tone={tone}>{verdict}</span>}
      </p>
      <p className={style.text} dir="auto">
        {text}
      </p>
    </div>
  )
}
