/** What people are asked for beyond the thumb: reasons, aspects, and how often to compare two answers. */

import { Button, Group, Slider, TextInput } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'

import { call } from '../http'
import { Bin, Plus, Up } from '../icons'
import { IconButton } from '../parts/icon-button'
import { toast } from '../parts/toast'
import type { Aspect, Reason } from '../people/me'
import style from './asking.module.css'
import { keys } from './keys'
import { Page, Panel, Trouble, Waiting } from './parts'
import { useLocale } from './times'
import { useWords } from './words'

interface Asking {
  compare_share: number
  aspects: Aspect[]
  reasons: Reason[]
}

const PLACE = '/api/operate/asking'
const KEY = [...keys.all, 'asking']
const MOST_ASPECTS = 8
const MOST_REASONS = 24
const SIDES = ['up', 'down', 'both'] as const

export function AskingPage() {
  const t = useWords()
  const asking = useQuery({ queryKey: KEY, queryFn: () => call<Asking>('GET', PLACE) })
  return (
    <Page title={t('asking.title')} hint={t('asking.hint')}>
      {asking.error && <Trouble error={asking.error} onRetry={() => void asking.refetch()} />}
      {asking.isPending && <Waiting />}
      {asking.data && <Editor key={asking.dataUpdatedAt} known={asking.data} />}
    </Page>
  )
}

function Editor({ known }: { known: Asking }) {
  const t = useWords()
  const locale = useLocale()
  const client = useQueryClient()
  const [draft, setDraft] = useState(known)
  const save = useMutation({
    mutationFn: () => call<Asking>('PUT', PLACE, draft),
    onSuccess: (kept) => {
      client.setQueryData(KEY, kept)
      void client.invalidateQueries({ queryKey: ['me'] })
      void toast({ message: t('asking.saved') })
    },
  })
  const set = (change: Partial<Asking>) => {
    save.reset()
    setDraft((old) => ({ ...old, ...change }))
  }
  const percent = draft.compare_share.toLocaleString(locale, { style: 'percent' })
  const shown = draft.compare_share === 0 ? t('asking.never') : percent
  return (
    <form
      className={style.form}
      onSubmit={(event) => {
        event.preventDefault()
        save.mutate()
      }}
    >
      <Panel title={t('asking.compare')} hint={t('asking.compareHint')}>
        <div className={style.share}>
          <Slider
            className={style.slider ?? ''}
            thumbLabel={t('asking.share')}
            value={Math.round(100 * draft.compare_share)}
            onChange={(share) => set({ compare_share: share / 100 })}
            max={50}
            label={null}
            thumbValueText={shown}
          />
          <output>{shown}</output>
        </div>
      </Panel>
      <Panel title={t('asking.reasons')} hint={t('asking.reasonsHint')}>
        <Rows
          items={draft.reasons.map((reason) => ({ ...reason, name: reason.id }))}
          onChange={(rows) => set({ reasons: rows.map(({ name, ...row }) => ({ ...row, id: name })) })}
          onAdd={() => ({ name: '', id: '', label_en: '', label_zh: '', for: 'down' as const })}
          add={t('asking.addReason')}
          most={MOST_REASONS}
        >
          {(reason, change) => (
            <label className={style.side}>
              <span>{t('asking.for')}</span>
              <select value={reason.for} onChange={(event) => change({ for: sideOf(event.currentTarget.value) })}>
                {SIDES.map((side) => (
                  <option key={side} value={side}>
                    {t(`asking.${side}`)}
                  </option>
                ))}
              </select>
            </label>
          )}
        </Rows>
      </Panel>
      <Panel title={t('asking.aspects')} hint={t('asking.aspectsHint')}>
        <Rows
          items={draft.aspects}
          onChange={(aspects) => set({ aspects })}
          onAdd={() => ({ name: '', label_en: '', label_zh: '' })}
          add={t('asking.addAspect')}
          most={MOST_ASPECTS}
        />
      </Panel>
      <Trouble error={save.error} />
      <Group gap="sm">
        <Button type="submit" disabled={draft === known} loading={save.isPending}>
          {t('save')}
        </Button>
        <Button variant="default" disabled={draft === known} onClick={() => setDraft(known)}>
          {t('asking.reset')}
        </Button>
      </Group>
    </form>
  )
}

interface RowsProps<T extends Aspect> {
  items: T[]
  onChange: (items: T[]) => void
  onAdd: () => T
  add: string
  most: number
  children?: (item: T, change: (change: Partial<T>) => void) => React.ReactNode
}

function Rows<T extends Aspect>({ items, onChange, onAdd, add, most, children }: RowsProps<T>) {
  const t = useWords()
  const put = (index: number, change: Partial<T>) =>
    onChange(items.map((item, at) => (at === index ? { ...item, ...change } : item)))
  const raise = (index: number) => {
    const [item] = items.slice(index, index + 1)
    if (item) onChange([...items.slice(0, index - 1), item, ...items.slice(index - 1, index), ...items.slice(index + 1)])
  }
  return (
    <>
      {items.length === 0 && <p className={style.none}>{t('asking.none')}</p>}
      <ul className={style.rows}>
        {items.map((item, index) => (
          <li key={index}>
            <TextInput
              size="xs"
              label={t('asking.id')}
              value={item.name}
              maxLength={32}
              pattern="[a-z][a-z0-9_]*"
              spellCheck={false}
              required
              onChange={(event) => put(index, { name: event.currentTarget.value } as Partial<T>)}
            />
            <TextInput
              size="xs"
              label={t('asking.en')}
              value={item.label_en}
              maxLength={40}
              required
              onChange={(event) => put(index, { label_en: event.currentTarget.value } as Partial<T>)}
            />
            <TextInput
              size="xs"
              label={t('asking.zh')}
              value={item.label_zh}
              maxLength={40}
              lang="zh"
              required
              onChange={(event) => put(index, { label_zh: event.currentTarget.value } as Partial<T>)}
            />
            {children?.(item, (change) => put(index, change))}
            <span className={style.tools}>
              <IconButton label={t('asking.upwards', { name: item.name })} disabled={index === 0} onClick={() => raise(index)}>
                <Up size={15} />
              </IconButton>
              <IconButton
                label={t('asking.remove', { name: item.name })}
                onClick={() => onChange(items.filter((_, at) => at !== index))}
              >
                <Bin size={15} />
              </IconButton>
            </span>
          </li>
        ))}
      </ul>
      <Button
        size="xs"
        variant="default"
        leftSection={<Plus size={14} />}
        disabled={items.length >= most}
        onClick={() => onChange([...items, onAdd()])}
      >
        {add}
      </Button>
    </>
  )
}

function sideOf(value: string): Reason['for'] {
  return SIDES.find((side) => side === value) ?? 'both'
}
