/** All versions: what descends from what, what each has shown, and which one answers. */

import { type ReactNode, useEffect } from 'react'
import { Link } from 'wouter'

import { CopyButton } from '../parts/copy-button'
import { usePolicies, useRuns, useSummary } from './calls'
import { CanaryPanel } from './canary-panel'
import { Origin } from './card'
import { ComparePanel } from './compare'
import { Decide } from './decide'
import { percent } from './figures'
import { LineageView } from './lineage-view'
import { Empty, Facts, Page, Panel, StateBadge, Trouble, Waiting } from './parts'
import { useReason } from './reasons'
import { share } from './reckon'
import { Report } from './report'
import type { Policy, VersionCounts } from './shapes'
import { useLocale, When } from './times'
import style from './versions.module.css'
import { WaitingVersions } from './waiting'
import { useWords } from './words'

export function VersionsPage() {
  const t = useWords()
  const policies = usePolicies()
  const summary = useSummary()
  const runs = useRuns()
  const items = policies.data?.items
  useEffect(() => {
    if (items) document.getElementById(window.location.hash.slice(1))?.scrollIntoView({ block: 'start' })
    // Only once they are there: later changes must not move the page.
  }, [items === undefined]) // eslint-disable-line react-hooks/exhaustive-deps
  return (
    <Page title={t('versions')}>
      {policies.error && <Trouble error={policies.error} onRetry={() => void policies.refetch()} />}
      {policies.isPending && <Waiting />}
      {items?.length === 0 && <Empty title={t('policy.empty')} text={t('policy.emptyText')} />}
      {items && items.length > 0 && (
        <>
          <WaitingVersions />
          <CanaryPanel />
          <Panel title={t('lineage.title')}>
            <LineageView policies={items} runs={runs.data?.items ?? []} />
          </Panel>
          {items.map((policy) => (
            <Card
              key={policy.number}
              policy={policy}
              counts={summary.data?.policies.find((one) => one.number === policy.number)}
              canRollBack={items.some((other) => other.state === 'retired' && other.live_at !== null)}
            />
          ))}
          <ComparePanel policies={items} />
        </>
      )}
    </Page>
  )
}

interface CardProps {
  policy: Policy
  counts: VersionCounts | undefined
  canRollBack: boolean
}

function Card({ policy, counts, canRollBack }: CardProps) {
  const t = useWords()
  const said = useReason()
  const isLive = policy.state === 'live'
  const facts: [string, ReactNode][] = [
    [t('policy.thumbs'), <Thumbs key="thumbs" counts={counts} />],
    [t('policy.parent'), policy.parent === null ? t('policy.firstOne') : <VersionLink key="parent" number={policy.parent} />],
    [t('policy.made'), <When key="made" at={policy.created_at} />],
  ]
  if (policy.live_at !== null) {
    facts.push([isLive ? t('policy.wentLive') : t('policy.wasLive'), <When key="live" at={policy.live_at} />])
  }
  if (policy.run_id !== null) {
    facts.push([
      t('policy.run'),
      <Link key="run" href={`/operate/runs/${policy.run_id}`}>
        <When at={policy.created_at} />
      </Link>,
    ])
  }
  facts.push([t('policy.digest'), <Digest key="digest" digest={policy.digest} />])
  return (
    <Panel
      id={`v${policy.number}`}
      title={t('policy.card', { number: policy.number })}
      actions={
        <div className={style.actions}>
          <StateBadge state={policy.state} />
          <Moves policy={policy} canRollBack={canRollBack} />
        </div>
      }
    >
      <div className={style.facts}>
        {policy.reason !== null && <p className={style.reason}>{said(policy.reason)}</p>}
        <Facts items={facts} />
      </div>
      {Object.keys(policy.report).length > 0 && (
        <details className={style.report} open={isLive}>
          <summary>{t('policy.reportTitle')}</summary>
          <Report report={policy.report} />
        </details>
      )}
      <Origin number={policy.number} />
    </Panel>
  )
}

/** What can be done with a version as it stands. */
function Moves({ policy, canRollBack }: { policy: Policy; canRollBack: boolean }) {
  const { number, state, run_id: run } = policy
  if (state === 'live') return canRollBack ? <Decide move="rollback" number={number} /> : null
  if (state === 'canary') {
    return (
      <>
        <Decide move="promote" number={number} />
        <Decide move="rollback" number={number} />
      </>
    )
  }
  return (
    <>
      {state === 'candidate' && run !== null && <Decide move="approve" number={number} isMain />}
      <Decide move="promote" number={number} />
      <Decide move="canary" number={number} />
      {state === 'candidate' && <Decide move="reject" number={number} />}
    </>
  )
}

function Thumbs({ counts }: { counts: VersionCounts | undefined }) {
  const t = useWords()
  const locale = useLocale()
  const liked = counts && share(counts.liked, counts.rated)
  if (!counts || !liked) return <>{t('summary.unrated')}</>
  return (
    <span title={`${percent(liked.low, locale)} – ${percent(liked.high, locale)}`}>
      {t('summary.liked', { percent: percent(liked.value, locale) })} {t('summary.ratedOf', { count: counts.rated })}
    </span>
  )
}

function VersionLink({ number }: { number: number }) {
  const t = useWords()
  return <a href={`#v${number}`}>{t('v', { number })}</a>
}

function Digest({ digest }: { digest: string }) {
  const t = useWords()
  return (
    <span className={style.digest}>
      <code title={digest}>{digest.slice(0, 12)}</code>
      <CopyButton text={digest} label={t('policy.copyDigest')} />
    </span>
  )
}
