/** How each version is liked: a bar for the share of thumbs up, a whisker for its interval, and the counts. */

import { useElementSize } from '@mantine/hooks'

import { percent } from './figures'
import { Empty } from './parts'
import { share } from './reckon'
import style from './satisfaction.module.css'
import type { VersionCounts } from './shapes'
import { ShareAxis } from './share-axis'
import tables from './table.module.css'
import { useLocale } from './times'
import { useWords } from './words'

/** More than these do not fit beside each other. */
const MOST_BARS = 24
const HEIGHT = 150
const TOP = 22
const BOTTOM = 36
const LEFT = 36
/** Room for a bar and the numbers under it. */
const NARROWEST = 52
const WIDEST = 96

export function Satisfaction({ versions }: { versions: VersionCounts[] }) {
  const t = useWords()
  const locale = useLocale()
  const rated = versions.filter((version) => version.rated > 0).slice(-MOST_BARS)
  if (rated.length === 0) return <Empty title={t('summary.unrated')} text={t('summary.noThumbs')} />
  return (
    <>
      <Bars versions={rated} />
      <details className={style.details}>
        <summary>{t('summary.table')}</summary>
        <table className={tables.table}>
          <thead>
            <tr>
              <th scope="col">{t('desk.version')}</th>
              <th scope="col">{t('run.state')}</th>
              <th scope="col" className={tables.number}>{t('summary.replies')}</th>
              <th scope="col" className={tables.number}>{t('summary.rated')}</th>
              <th scope="col" className={tables.number}>{t('summary.likedShare')}</th>
              <th scope="col" className={tables.number}>{t('summary.interval')}</th>
            </tr>
          </thead>
          <tbody>
            {[...versions].reverse().map((version) => {
              const liked = share(version.liked, version.rated)
              return (
                <tr key={version.number}>
                  <td data-name={t('desk.version')}>{t('v', { number: version.number })}</td>
                  <td data-name={t('run.state')}>{t(`state.${version.state}`)}</td>
                  <td data-name={t('summary.replies')} className={tables.number}>{version.replies.toLocaleString(locale)}</td>
                  <td data-name={t('summary.rated')} className={tables.number}>{version.rated.toLocaleString(locale)}</td>
                  <td data-name={t('summary.likedShare')} className={tables.number}>{liked ? percent(liked.value, locale) : '–'}</td>
                  <td data-name={t('summary.interval')} className={tables.number}>
                    {liked ? `${percent(liked.low, locale)} – ${percent(liked.high, locale)}` : '–'}
                  </td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </details>
    </>
  )
}

function Bars({ versions }: { versions: VersionCounts[] }) {
  const t = useWords()
  const locale = useLocale()
  const { ref, width: room } = useElementSize()
  const slot = Math.max(NARROWEST, Math.min(WIDEST, (room - LEFT) / versions.length))
  const width = Math.max(room, LEFT + slot * versions.length)
  const y = (value: number) => TOP + (1 - value) * HEIGHT
  return (
    <div ref={ref} className={style.scroll} tabIndex={0} role="group" aria-label={t('summary.satisfaction')}>
      <svg viewBox={`0 0 ${width} ${TOP + HEIGHT + BOTTOM}`} width={width} height={TOP + HEIGHT + BOTTOM} role="list" className={style.plot}>
        <ShareAxis values={[0, 0.25, 0.5, 0.75, 1]} left={LEFT} right={width} y={y} />
        {versions.map((version, index) => {
          const liked = share(version.liked, version.rated)
          if (!liked) return null
          const middle = LEFT + slot * (index + 0.5)
          const half = Math.min(16, slot / 3)
          return (
            <g
              key={version.number}
              role="listitem"
              aria-label={t('summary.plotText', {
                number: version.number,
                state: t(`state.${version.state}`),
                percent: percent(liked.value, locale),
                rated: version.rated,
                replies: version.replies,
              })}
            >
              <rect
                x={middle - half}
                width={half * 2}
                y={y(liked.value)}
                height={Math.max(1, y(0) - y(liked.value))}
                rx={3}
                className={version.state === 'live' ? style.live : style.bar}
              />
              {/* Light below dark, so that it stands out on the bar as well as above it. */}
              <path d={whisker(middle, y(liked.low), y(liked.high))} className={style.halo} />
              <path d={whisker(middle, y(liked.low), y(liked.high))} className={style.whisker} />
              <text x={middle} y={y(liked.high) - 6} textAnchor="middle" className={style.share}>
                {percent(liked.value, locale)}
              </text>
              <text x={middle} y={TOP + HEIGHT + 15} textAnchor="middle" className={style.number}>
                {t('v', { number: version.number })}
              </text>
              <text x={middle} y={TOP + HEIGHT + 30} textAnchor="middle" className={style.axis}>
                {version.rated.toLocaleString(locale)}
              </text>
            </g>
          )
        })}
      </svg>
    </div>
  )
}

function whisker(middle: number, low: number, high: number): string {
  return `M${middle} ${low}V${high}M${middle - 5} ${low}h10M${middle - 5} ${high}h10`
}
