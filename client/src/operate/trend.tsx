/** Satisfaction and inflow by day, with a mark where a version went live. Each day says itself to a screen reader. */

import { useElementSize } from '@mantine/hooks'

import { percent } from './figures'
import type { Summary } from './shapes'
import { ShareAxis } from './share-axis'
import { useLocale } from './times'
import style from './trend.module.css'
import { byDay } from './trend-days'
import { useWords } from './words'

const HEIGHT = 110
const FLOW = 36
const GAP = 8
const TOP = 18
const LEFT = 38
const BOTTOM = 18

export function Trend({ summary }: { summary: Summary }) {
  const t = useWords()
  const locale = useLocale()
  const { ref, width } = useElementSize()
  const days = byDay(summary)
  const room = Math.max(width, 240)
  const slot = (room - LEFT) / days.length
  const x = (index: number) => LEFT + slot * (index + 0.5)
  const y = (value: number) => TOP + (1 - value) * HEIGHT
  const floor = TOP + HEIGHT + GAP + FLOW
  const most = Math.max(1, ...days.map((day) => day.given))
  const rated = days.flatMap((day, index) => (day.share === null ? [] : [`${x(index)} ${y(day.share)}`]))
  const shown = (day: string) => new Date(`${day}T12:00:00Z`).toLocaleDateString(locale, { month: 'short', day: 'numeric', timeZone: 'UTC' })
  return (
    <div ref={ref}>
      <svg viewBox={`0 0 ${room} ${floor + BOTTOM}`} width={room} height={floor + BOTTOM} className={style.plot} role="list" aria-label={t('summary.trend')}>
        <ShareAxis values={[0, 0.5, 1]} left={LEFT} right={room} y={y} />
        <g aria-hidden="true">
          {days.map((day, index) =>
            day.live.length === 0 ? null : (
              <g key={day.day}>
                <line x1={x(index)} x2={x(index)} y1={TOP} y2={TOP + HEIGHT} className={style.mark} />
                <text x={x(index)} y={TOP - 6} textAnchor="middle" className={style.version}>
                  {t('v', { number: day.live.at(-1) ?? 0 })}
                </text>
              </g>
            ),
          )}
          {rated.length > 1 && <path d={`M${rated.join('L')}`} className={style.line} />}
          {days.map((day, index) =>
            index % Math.ceil(days.length / (room < 480 ? 4 : 8)) === 0 ? (
              <text key={day.day} x={x(index)} y={floor + 14} textAnchor="middle" className={style.axis}>
                {shown(day.day)}
              </text>
            ) : null,
          )}
        </g>
        {days.map((day, index) => {
          const values = { day: shown(day.day), rated: day.rated, given: day.given, percent: percent(day.share ?? 0, locale) }
          const height = (day.given / most) * FLOW
          return (
            <g key={day.day} role="listitem" aria-label={t(day.share === null ? 'summary.trendNone' : 'summary.trendText', values)}>
              <title>{t(day.share === null ? 'summary.trendNone' : 'summary.trendText', values)}</title>
              <rect x={x(index) - slot / 2} width={slot} y={TOP} height={floor - TOP} className={style.hit} />
              <rect x={x(index) - Math.min(8, slot / 3)} width={Math.min(16, (slot * 2) / 3)} y={floor - height} height={height} className={style.flow} />
              {day.share !== null && <circle cx={x(index)} cy={y(day.share)} r={3.5} className={style.dot} />}
            </g>
          )
        })}
      </svg>
    </div>
  )
}
