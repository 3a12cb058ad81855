/** The loop's own service level: how long opinions were on their way into a live version, and where the time went. */

import { useDelays } from './calls'
import style from './delays.module.css'
import { Panel, Trouble } from './parts'
import { parts } from './reckon'
import { type Deployed, wayParts } from './shapes'
import { useLocale } from './times'
import { useWords } from './words'

const MOST = 8

export function DelaysPanel() {
  const t = useWords()
  const locale = useLocale()
  const span = useSpan()
  const delays = useDelays()
  const items = (delays.data?.items ?? []).filter((one) => one.opinions > 0).slice(-MOST).reverse()
  if (delays.error) return <Trouble error={delays.error} onRetry={() => void delays.refetch()} />
  if (!delays.data || items.length === 0) return null
  const longest = Math.max(...items.map((one) => one.p50 ?? 0), 1)
  return (
    <Panel title={t('summary.delays')} hint={t('summary.delaysHint')}>
      <p className={style.all}>
        {t('summary.delaysAll', { p50: span(delays.data.p50), p95: span(delays.data.p95), count: delays.data.opinions.toLocaleString(locale) })}
      </p>
      <ul className={style.rows}>
        {items.map((one) => (
          <li
            key={one.version}
            aria-label={t('summary.delaysRow', { number: one.version, p50: span(one.p50), p95: span(one.p95), count: one.opinions })}
          >
            <span className={style.version}>{t('v', { number: one.version })}</span>
            <Bar one={one} longest={longest} />
            <span className={style.numbers}>
              {span(one.p50)} <span className={style.faint}>/ {span(one.p95)}</span>
            </span>
          </li>
        ))}
      </ul>
      <ul className={style.legend}>
        {wayParts.map((part) => (
          <li key={part} data-part={part}>
            {t(`summary.part.${part}`)}
          </li>
        ))}
      </ul>
    </Panel>
  )
}

function Bar({ one, longest }: { one: Deployed; longest: number }) {
  const t = useWords()
  const span = useSpan()
  return (
    <span className={style.bar} aria-hidden="true">
      {wayParts.map((part) => {
        const seconds = one.parts[part] ?? 0
        return (
          <span
            key={part}
            data-part={part}
            title={`${t(`summary.part.${part}`)}: ${span(seconds)}`}
            style={{ width: `${(seconds / longest) * 100}%` }}
          />
        )
      })}
    </span>
  )
}

function useSpan(): (seconds: number | null) => string {
  const t = useWords()
  return (value) => {
    if (value === null) return '–'
    const { hours, minutes, seconds } = parts(value)
    if (hours > 0) return t('time.hours', { hours, minutes })
    return minutes > 0 ? t('time.minutes', { minutes, seconds }) : t('time.seconds', { seconds })
  }
}
