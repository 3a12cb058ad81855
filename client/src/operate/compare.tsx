/** Two versions asked the same, side by side, and where their gate reports differ. */

import { Button, Group, Select, Stack, Textarea } from '@mantine/core'
import { useState } from 'react'

import { useCompare } from './calls'
import style from './compare.module.css'
import { differences } from './difference'
import { plain } from './figures'
import { Panel, Trouble } from './parts'
import type { Compared, Policy } from './shapes'
import tables from './table.module.css'
import { useLocale } from './times'
import { isWord, useWords } from './words'

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
  const ask = () => {
    const prompts = text.split('\n').flatMap((line) => line.trim() || [])
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
            description={t('compare.promptsHint')}
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

function Metrics({ left, right }: { left: Policy; right: Policy }) {
  const t = useWords()
  const locale = useLocale()
  const rows = differences(left.report, right.report)
  if (rows.length === 0) return null
  const word = (path: string) =>
    path
      .split('.')
      .map((part) => (isWord(`report.${part}`) ? t(`report.${part}` as never) : part.replaceAll('_', ' ')))
      .join(' › ')
  const shown = (value: number | null) => (value === null ? '–' : plain(value, locale))
  return (
    <details>
      <summary>{t('compare.metrics', { count: rows.length })}</summary>
      <table className={tables.table}>
        <thead>
          <tr>
            <th scope="col">{t('canary.measure')}</th>
            <th scope="col" className={tables.number}>{t('v', { number: left.number })}</th>
            <th scope="col" className={tables.number}>{t('v', { number: right.number })}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.path}>
              <td data-name={t('canary.measure')}>{word(row.path)}</td>
              <td data-name={t('v', { number: left.number })} className={tables.number}>{shown(row.left)}</td>
              <td data-name={t('v', { number: right.number })} className={tables.number}>{shown(row.right)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  )
}
