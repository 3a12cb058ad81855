/** What lies behind a version: its data and who gave it, its files, its recipe. Loaded when somebody opens it. */

import { type ReactNode, useState } from 'react'

import { Check, Warning } from '../icons'
import { useCard } from './calls'
import style from './card.module.css'
import { plain } from './figures'
import { Givers } from './givers'
import { Facts, Trouble, useCountWord, Waiting } from './parts'
import { useReason } from './reasons'
import { Report } from './report'
import type { Card } from './shapes'
import { useLocale } from './times'
import { useWords } from './words'

export function Origin({ number }: { number: number }) {
  const t = useWords()
  const [isOpen, setOpen] = useState(false)
  return (
    <details className={style.origin} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t('card.title')}</summary>
      {isOpen && <Loaded number={number} />}
    </details>
  )
}

function Loaded({ number }: { number: number }) {
  const card = useCard(number)
  if (card.isPending) return <Waiting />
  if (card.error) return <Trouble error={card.error} onRetry={() => void card.refetch()} />
  return <Whole card={card.data} />
}

function Whole({ card }: { card: Card }) {
  const t = useWords()
  const { snapshot } = card
  return (
    <div className={style.whole}>
      <Files files={card.files} />
      {snapshot ? <Data snapshot={snapshot} /> : <p className={style.faint}>{t('card.noRun')}</p>}
      {snapshot && snapshot.givers.length > 0 && (
        <div>
          <h3>{t('givers.title')}</h3>
          <p className={style.faint}>{t('givers.hint')}</p>
          <Givers givers={snapshot.givers} />
        </div>
      )}
      {Object.keys(card.recipe).length > 0 && (
        <details>
          <summary>{t('card.recipe')}</summary>
          <Report report={card.recipe} />
        </details>
      )}
    </div>
  )
}

function Files({ files }: { files: Card['files'] }) {
  const t = useWords()
  const said = useReason()
  const locale = useLocale()
  const isWhole = files.signature === 'valid'
  return (
    <p className={isWhole ? style.intact : style.broken}>
      {isWhole ? <Check size={16} /> : <Warning size={16} />}
      {t(`card.signature.${files.signature}`)}
      {isWhole && (
        <span className={style.faint}>
          {t('card.files', { count: files.count, megabytes: plain(files.bytes / 1e6, locale) })}
        </span>
      )}
      {files.problem !== null && <span>{said(files.problem)}</span>}
    </p>
  )
}

function Data({ snapshot }: { snapshot: NonNullable<Card['snapshot']> }) {
  const t = useWords()
  const locale = useLocale()
  const word = useCountWord()
  const facts: [string, ReactNode][] = Object.entries(snapshot.counts)
    .filter((entry): entry is [string, number] => typeof entry[1] === 'number')
    .map(([name, count]) => [word(name), plain(count, locale)])
  if (snapshot.digest !== null) facts.push([t('card.data'), <code key="digest">{snapshot.digest.slice(0, 12)}</code>])
  return <Facts items={facts} />
}
