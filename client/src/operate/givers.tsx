/** Whose opinions a version learned from: how many of each counted, and how far its reward hangs on them. */

import { Link } from 'wouter'

import { percent, plain } from './figures'
import style from './givers.module.css'
import type { RunGiver } from './shapes'
import tables from './table.module.css'
import { useLocale } from './times'
import { useWords } from './words'

export function Givers({ givers }: { givers: RunGiver[] }) {
  const t = useWords()
  const locale = useLocale()
  const isWeighed = givers.some((one) => one.influence !== null)
  const most = Math.max(...givers.map((one) => one.influence ?? 0), Number.MIN_VALUE)
  return (
    <table className={tables.table}>
      <thead>
        <tr>
          <th scope="col">{t('givers.who')}</th>
          <th scope="col" className={tables.number}>{t('givers.used')}</th>
          <th scope="col" className={tables.number}>{t('givers.share')}</th>
          <th scope="col">{t('givers.influence')}</th>
          <th scope="col" className={tables.number}>{t('givers.leaning')}</th>
        </tr>
      </thead>
      <tbody>
        {givers.map((one) => (
          <tr key={one.person_id}>
            <td data-name={t('givers.who')}>
              <Link href={`/operate/feedback?person=${one.person_id}`}>
                <bdi>{one.name ?? t('desk.anonymous')}</bdi>
              </Link>
            </td>
            <td data-name={t('givers.used')} className={tables.number}>
              {one.used === 0 && one.contrary !== null
                ? t('givers.contrary', { given: plain(one.given, locale), chance: percent(one.contrary, locale) })
                : one.used < one.given
                ? t('givers.capped', { used: plain(one.used, locale), given: plain(one.given, locale) })
                : plain(one.used, locale)}
            </td>
            <td data-name={t('givers.share')} className={tables.number}>
              {percent(one.share, locale)}
            </td>
            <td data-name={t('givers.influence')}>
              {one.influence === null ? (
                <span className={tables.faint}>{isWeighed ? t('givers.judged') : '–'}</span>
              ) : (
                <span className={style.influence}>
                  <span className={style.bar} style={{ inlineSize: `${(4 * one.influence) / most}rem` }} aria-hidden />
                  {plain(one.influence, locale)}
                </span>
              )}
            </td>
            <td data-name={t('givers.leaning')} className={tables.number}>
              {one.leaning === null ? '–' : signed(one.leaning, locale)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function signed(value: number, locale: string): string {
  return `${value > 0 ? '+' : ''}${plain(value, locale)}`
}
