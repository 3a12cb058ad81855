/** The version that some of the people have first: how far it is, what it has shown, and what speaks against it. */

import { useCanary } from './calls'
import style from './canary-panel.module.css'
import { Decide } from './decide'
import { percent, plain } from './figures'
import { Facts, Panel, Tag } from './parts'
import { Plot } from './plot'
import { useReason } from './reasons'
import type { Curve } from './series'
import { type CanaryContent, type CanaryCurve, isUnderWay, measures } from './shapes'
import tables from './table.module.css'
import { useLocale, When } from './times'
import { useWords } from './words'

const tones = { watching: 'accent', paused: 'warn', promoted: 'good', taken_back: 'bad', ended: 'quiet' } as const

/** The canary under way; one that has ended too, unless only the present is wanted. */
export function CanaryPanel({ onlyPresent = false }: { onlyPresent?: boolean }) {
  const t = useWords()
  const said = useReason()
  const canary = useCanary().data?.canary
  if (!canary || (onlyPresent && !isUnderWay(canary))) return null
  const underWay = isUnderWay(canary)
  return (
    <Panel
      title={t('canary.title', { number: canary.number })}
      hint={underWay ? t('canary.hint', { control: canary.control }) : undefined}
      actions={
        <div className={style.actions}>
          <Tag tone={tones[canary.state]}>{t(`canary.state.${canary.state}`)}</Tag>
          {underWay && (
            <>
              <Decide move="promote" number={canary.number} />
              <Decide move="rollback" number={canary.number} />
            </>
          )}
        </div>
      }
    >
      {canary.reason !== null && <p className={style.reason}>{said(canary.reason)}</p>}
      <Progress canary={canary} />
      {canary.last && <Measures last={canary.last} control={canary.control} number={canary.number} />}
      <Evidence canary={canary} />
    </Panel>
  )
}

function Progress({ canary }: { canary: CanaryCurve }) {
  const t = useWords()
  const locale = useLocale()
  const share = canary.shares[canary.step] ?? 0
  const { last } = canary
  return (
    <Facts
      items={[
        [t('canary.share'), `${percent(share, locale)} (${canary.shares.map((one) => percent(one, locale)).join(' → ')} → 100 %)`],
        [
          t('canary.people'),
          t('canary.peopleOf', { people: last?.people ?? 0, wanted: canary.people[canary.step] ?? 0, count: canary.replies }),
        ],
        [t('canary.replies'), `${plain(last?.replies ?? 0, locale)} / ${plain(last?.control_replies ?? 0, locale)}`],
        [
          t('canary.evidence'),
          t('canary.evidenceOf', { value: plain(last?.evidence ?? 1, locale), needed: plain(1 / canary.alpha, locale) }),
        ],
        [t('canary.began'), <When key="began" at={canary.began_at} />],
      ]}
    />
  )
}

function Measures({ last, control, number }: { last: CanaryContent; control: number; number: number }) {
  const t = useWords()
  const locale = useLocale()
  const shown = (rate: number | null, count: number) =>
    rate === null ? '–' : `${percent(rate, locale)} ${t('canary.of', { count: plain(count, locale) })}`
  return (
    <table className={tables.table}>
      <thead>
        <tr>
          <th scope="col">{t('canary.measure')}</th>
          <th scope="col" className={tables.number}>{t('v', { number })}</th>
          <th scope="col" className={tables.number}>{t('v', { number: control })}</th>
          <th scope="col" className={tables.number}>{t('canary.evidence')}</th>
        </tr>
      </thead>
      <tbody>
        {measures.map((name) => {
          const one = last.measures[name]
          return (
            <tr key={name}>
              <td data-name={t('canary.measure')}>{t(`canary.measures.${name}`)}</td>
              <td data-name={t('v', { number })} className={tables.number}>{shown(one.canary, one.canary_count)}</td>
              <td data-name={t('v', { number: control })} className={tables.number}>{shown(one.control, one.control_count)}</td>
              <td data-name={t('canary.evidence')} className={tables.number}>{plain(one.evidence, locale)}</td>
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}

function Evidence({ canary }: { canary: CanaryCurve }) {
  const t = useWords()
  if (canary.looks.length < 2) return null
  // One look a reply: what was known last at each number of replies.
  const byReplies = new Map(canary.looks.map((look) => [look.content.replies, look.content]))
  const steps = [...byReplies.keys()].sort((a, b) => a - b)
  const needed = 1 / canary.alpha
  const curves: Curve[] = [
    { measure: 'evidence', steps, values: steps.map((step) => Math.min(byReplies.get(step)?.evidence ?? 1, 2 * needed)) },
    { measure: 'needed', steps, values: steps.map(() => needed) },
  ]
  return (
    <Plot
      title={t('canary.curve')}
      meaning={t('canary.curveMeaning')}
      curves={curves}
      nameOf={(measure) => t(measure === 'needed' ? 'canary.needed' : 'canary.evidence')}
    />
  )
}
