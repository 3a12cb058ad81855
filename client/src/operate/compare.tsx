/** Two versions asked the same, side by side, and where their gate reports differ. */

import { Button, Group, Select, Stack, Textarea } from '@mantine/core'
import { useState } from 'react'

import { useCompare, useSummary } from './calls'
import style from './compare.module.css'
import { between, type Difference, differences, type Measured } from './difference'
import { plain, spaced } from './figures'
import { Panel, Tag, Trouble } from './parts'
import { share } from './reckon'
import type { Compared, Policy } from './shapes'
import tables from './table.module.css'
import { useLocale } from './times'
import { isWord, useWords, type Word } from './words'

const MOST = 20

export function ComparePanel({ policies }: { policies: Policy[] }) {
  const t = useWords()
  const live = policies.find((policy) => policy.state === 'live')
  const other = policies.find((policy) => policy.state === 'canary') ?? policies.find((policy) => policy !== live)
  const [left, setLeft] = useState(live?.number ?? policies[0]?.number ?? 0)
  const [right, setRight] = useState(other?.number ?? left)
  const [text, setText] = useState('')
  const [seed, setSeed] = useState(0)
  const compare = useCompare()
  const choices = policies.map(({ number, state }) => ({
    value: String(number),
    label: `${t('v', { number })} · ${t(`state.${state}`)}`,
  }))
  const prompts = text.split('\n').flatMap((line) => line.trim() || [])
  const ask = () => {
    compare.mutate({ left, right, prompts: prompts.length > 0 ? prompts.slice(0, MOST) : null, seed })
    setSeed(seed + 1)
  }
  return (
    <Panel title={t('compare.title')} hint={t('compare.hint')}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          ask()
        }}
      >
        <Stack gap="sm">
          <div className={style.sides}>
            <Select
              label={t('compare.left')}
              data={choices}
              value={String(left)}
              onChange={(value) => value !== null && setLeft(Number(value))}
              allowDeselect={false}
            />
            <Select
              label={t('compare.right')}
              data={choices}
              value={String(right)}
              onChange={(value) => value !== null && setRight(Number(value))}
              allowDeselect={false}
            />
          </div>
          <Textarea
            label={t('compare.prompts')}
            description={
              prompts.length > MOST
                ? t('compare.tooMany', { most: MOST, count: prompts.length })
                : t('compare.promptsHint')
            }
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            autosize
            minRows={2}
            maxRows={8}
          />
          <Trouble error={compare.error} />
          <Group justify="flex-end">
            <Button type="submit" loading={compare.isPending}>
              {t('compare.ask')}
            </Button>
          </Group>
        </Stack>
      </form>
      {compare.data && <Outcome found={compare.data} />}
    </Panel>
  )
}

function Outcome({ found }: { found: Compared }) {
  const t = useWords()
  return (
    <div aria-live="polite" className={style.outcome}>
      <ul className={style.pairs}>
        {found.items.map((item, index) => (
          <li key={index}>
            <p className={style.prompt} dir="auto">
              {item.prompt}
            </p>
            <div className={style.sides}>
              <Said title={t('version', { number: found.left.number })} text={item.left} />
              <Said title={t('version', { number: found.right.number })} text={item.right} />
            </div>
          </li>
        ))}
      </ul>
      <Metrics left={found.left} right={found.right} />
    </div>
  )
}

function Said({ title, text }: { title: string; text: string }) {
  const t = useWords()
  return (
    <div className={style.said}>
      <strong>{title}</strong>
      <p dir="auto">{text === '' ? <em>{t('compare.nothing')}</em> : text}</p>
    </div>
  )
}

/** More rows than these are folded. */
const LONG = 24

function Metrics({ left, right }: { left: Policy; right: Policy }) {
  const t = useWords()
  const counts = useSummary().data?.policies
  const likedBy = ({ number }: Policy): Measured | null => {
    const one = counts?.find((version) => version.number === number)
    return one ? share(one.liked, one.rated) : null
  }
  const thumbs = between('liked_share', likedBy(left), likedBy(right))
  const rows = [...(thumbs.left || thumbs.right ? [thumbs] : []), ...differences(left.report, right.report)]
  if (rows.length === 0) return null
  return (
    <details open={rows.length <= LONG}>
      <summary>{t('compare.metrics', { count: rows.length })}</summary>
      <p className={style.hint}>{t('compare.metricsHint')}</p>
      <table className={tables.table}>
        <thead>
          <tr>
            <th scope="col">{t('canary.measure')}</th>
            <th scope="col" className={tables.number}>{t('v', { number: left.number })}</th>
            <th scope="col" className={tables.number}>{t('v', { number: right.number })}</th>
            <th scope="col" className={tables.number}>{t('compare.difference')}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={row.path} row={row} left={t('v', { number: left.number })} right={t('v', { number: right.number })} />
          ))}
        </tbody>
      </table>
    </details>
  )
}

const tones = { better: 'good', worse: 'bad', unsure: 'quiet' } as const

function Row({ row, left, right }: { row: Difference; left: string; right: string }) {
  const t = useWords()
  const locale = useLocale()
  const word = row.path
    .split('.')
    .map((part) => (isWord(`report.${part}`) ? t(`report.${part}` as Word) : spaced(part)))
    .join(' › ')
  return (
    <tr>
      <td data-name={t('canary.measure')}>{word}</td>
      <td data-name={left} className={tables.number}>
        <Value of={row.left} />
      </td>
      <td data-name={right} className={tables.number}>
        <Value of={row.right} />
      </td>
      <td data-name={t('compare.difference')} className={tables.number}>
        <span className={style.difference}>
          {row.by !== null && (
            <span>
              {row.by > 0 ? '+' : row.by < 0 ? '−' : '±'}
              {plain(Math.abs(row.by), locale)}
            </span>
          )}
          {row.verdict !== null && <Tag tone={tones[row.verdict]}>{t(`compare.verdict.${row.verdict}`)}</Tag>}
        </span>
      </td>
    </tr>
  )
}

function Value({ of }: { of: Measured | null }) {
  const locale = useLocale()
  if (of === null) return <>–</>
  return (
    <span>
      {plain(of.value, locale)}
      {of.low !== null && of.high !== null && (
        <span className={tables.faint}>
          {' '}
          ({plain(of.low, locale)} – {plain(of.high, locale)})
        </span>
      )}
    </span>
  )
}
