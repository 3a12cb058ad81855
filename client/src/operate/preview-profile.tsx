/** What a profile would prefer, before anything is trained: today's replies beside the best of several tries. */

import { Button } from '@mantine/core'
import { useState } from 'react'

import { Warning } from '../icons'
import { usePreviewProfile } from './calls'
import { percent, plain } from './figures'
import { Trouble } from './parts'
import style from './preview-profile.module.css'
import { useRewardWord } from './reward-word'
import type { Previewed, ProfileContent } from './shapes'
import tables from './table.module.css'
import { useLocale } from './times'
import { useWords } from './words'

export function PreviewProfile({ content }: { content: ProfileContent }) {
  const t = useWords()
  const [seed, setSeed] = useState(0)
  const preview = usePreviewProfile()
  const ask = () => {
    preview.mutate({ ...content, seed })
    setSeed(seed + 1)
  }
  return (
    <section className={style.preview} aria-label={t('reward.preview')}>
      <div className={style.head}>
        <p className={style.hint}>{t('reward.previewHint')}</p>
        <Button size="sm" variant="default" loading={preview.isPending} onClick={ask}>
          {t('reward.preview')}
        </Button>
      </div>
      <Trouble error={preview.error} />
      <div aria-live="polite">{preview.data && <Outcome found={preview.data} />}</div>
    </section>
  )
}

function Outcome({ found }: { found: Previewed }) {
  const t = useWords()
  const locale = useLocale()
  const word = useRewardWord()
  const rewards = Object.keys(found.correlation)
  return (
    <div className={style.outcome}>
      {found.clashes.map((clash) => (
        <p key={`${clash.left} ${clash.right}`} className={style.clash}>
          <Warning size={16} />
          {t('reward.clash', { left: word(clash.left), right: word(clash.right), value: plain(clash.correlation, locale) })}
        </p>
      ))}
      {found.forbidden > 0 && <p className={style.hint}>{t('reward.holdForbidden', { share: percent(found.forbidden, locale) })}</p>}
      {found.missing.length > 0 && <p className={style.hint}>{t('reward.missing', { names: found.missing.map(word).join(', ') })}</p>}
      <p className={style.shift}>
        <span className={style.hint}>{t('reward.shift')}</span>
        {Object.entries(found.shift).map(([name, value]) => (
          <span key={name}>
            {word(name)} <strong data-up={value > 0}>{value > 0 ? '+' : ''}{plain(value, locale)}</strong>
          </span>
        ))}
      </p>
      <ul className={style.choices}>
        {found.items.map((item, index) => (
          <li key={index}>
            <p className={style.prompt} dir="auto">
              {item.prompt}
            </p>
            <div className={style.sides}>
              <Said title={t('reward.today')} text={item.today} reward={item.reward_today} />
              <Said title={t('reward.best')} text={item.best} reward={item.reward_best} isSame={item.best === item.today} />
            </div>
          </li>
        ))}
      </ul>
      <details>
        <summary>{t('reward.validation')}</summary>
        <ul className={style.validation}>
          {Object.entries(found.validation).map(([name, one]) => (
            <li key={name}>
              {one.value === null
                ? t('reward.unvalidated', { name: word(name) })
                : t('reward.validated', {
                    name: word(name),
                    measure: t(one.measure === 'auc' ? 'reward.auc' : 'reward.rank'),
                    value: plain(one.value, locale),
                    people: one.people,
                    opinions: one.opinions,
                  })}
            </li>
          ))}
        </ul>
      </details>
      {rewards.length > 1 && (
        <details>
          <summary>{t('reward.correlation')}</summary>
          <table className={tables.table}>
            <thead>
              <tr>
                <td />
                {rewards.map((name) => (
                  <th key={name} scope="col" className={tables.number}>
                    {word(name)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rewards.map((name) => (
                <tr key={name}>
                  <th scope="row">{word(name)}</th>
                  {rewards.map((other) => {
                    const value = found.correlation[name]?.[other]
                    return (
                      <td key={other} data-name={word(other)} className={tables.number}>
                        {typeof value === 'number' ? plain(value, locale) : '–'}
                      </td>
                    )
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      )}
    </div>
  )
}

function Said({ title, text, reward, isSame = false }: { title: string; text: string; reward: number; isSame?: boolean }) {
  const t = useWords()
  const locale = useLocale()
  return (
    <div className={style.said}>
      <p className={style.hint}>
        {title} · {t('run.reward', { value: plain(reward, locale) })}
      </p>
      <p dir="auto">{isSame ? <em>{t('reward.kept')}</em> : text}</p>
    </div>
  )
}
