/** How far raters can be relied on: gold items, agreement with each other and with themselves; and how items are handed out. */

import { Button, NumberInput } from '@mantine/core'
import { useState } from 'react'

import { useLabelling, useSetLabelling } from './calls'
import { percent, plain } from './figures'
import { Facts, Panel, Trouble } from './parts'
import style from './raters.module.css'
import type { Labelling, Rater } from './shapes'
import tables from './table.module.css'
import { useLocale } from './times'
import { useWords } from './words'

export function RatersPanel() {
  const t = useWords()
  const locale = useLocale()
  const labelling = useLabelling()
  if (labelling.error) return <Trouble error={labelling.error} onRetry={() => void labelling.refetch()} />
  if (!labelling.data) return null
  const { answered, items, doubled, gold, kappa, alpha, raters, rules } = labelling.data
  return (
    <details className={style.raters}>
      <summary>{t('raters.title')}</summary>
      <Panel title={t('raters.agreement')} hint={t('raters.hint')}>
        <Facts
          items={[
            [t('raters.answered'), t('raters.ofItems', { answered: plain(answered, locale), items: plain(items, locale) })],
            [t('raters.doubled'), plain(doubled, locale)],
            [t('raters.gold'), plain(gold, locale)],
            [t('raters.kappa'), kappa === null ? '–' : plain(kappa, locale)],
            [t('raters.alpha'), alpha === null ? '–' : plain(alpha, locale)],
          ]}
        />
        {raters.length > 0 ? <Table raters={raters} /> : <p className={style.faint}>{t('raters.none')}</p>}
      </Panel>
      <Rules key={JSON.stringify(rules)} rules={rules} />
    </details>
  )
}

function Table({ raters }: { raters: Rater[] }) {
  const t = useWords()
  const locale = useLocale()
  const share = (part: number, whole: number) =>
    whole === 0 ? '–' : t('raters.share', { share: percent(part / whole, locale), part, whole })
  return (
    <table className={tables.table}>
      <thead>
        <tr>
          <th scope="col">{t('raters.who')}</th>
          <th scope="col" className={tables.number}>{t('raters.answered')}</th>
          <th scope="col">{t('raters.goldRight')}</th>
          <th scope="col">{t('raters.likeOthers')}</th>
          <th scope="col" className={tables.number}>{t('raters.kappa')}</th>
          <th scope="col">{t('raters.likeBefore')}</th>
        </tr>
      </thead>
      <tbody>
        {raters.map((one) => (
          <tr key={one.person_id}>
            <td data-name={t('raters.who')}>
              <bdi>{one.name ?? t('desk.anonymous')}</bdi>
            </td>
            <td data-name={t('raters.answered')} className={tables.number}>
              {plain(one.answered, locale)}
            </td>
            <td data-name={t('raters.goldRight')}>
              <span>
                {share(one.gold_right, one.gold)}
                {one.gold > 0 && (
                  <span className={style.faint}>
                    {' '}
                    {t('raters.interval', { low: percent(one.gold_low, locale), high: percent(one.gold_high, locale) })}
                  </span>
                )}
              </span>
            </td>
            <td data-name={t('raters.likeOthers')}>{share(one.shared_same, one.shared)}</td>
            <td data-name={t('raters.kappa')} className={tables.number}>
              {one.kappa === null ? '–' : plain(one.kappa, locale)}
            </td>
            <td data-name={t('raters.likeBefore')}>{share(one.repeated_same, one.repeated)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

const SHARES = ['gold_share', 'double_share', 'pair_share'] as const

function Rules({ rules }: { rules: Labelling['rules'] }) {
  const t = useWords()
  const [shares, setShares] = useState(rules)
  const save = useSetLabelling()
  return (
    <Panel title={t('raters.rules')}>
      <form
        className={style.rules}
        onSubmit={(event) => {
          event.preventDefault()
          save.mutate(shares)
        }}
      >
        {SHARES.map((name) => (
          <NumberInput
            key={name}
            size="xs"
            label={t(`raters.${name}`)}
            suffix=" %"
            min={0}
            max={100}
            value={Math.round(shares[name] * 100)}
            onChange={(value) => setShares({ ...shares, [name]: Number(value) / 100 })}
          />
        ))}
        <Button type="submit" size="xs" loading={save.isPending}>
          {t('save')}
        </Button>
      </form>
      <Trouble error={save.error} />
    </Panel>
  )
}
