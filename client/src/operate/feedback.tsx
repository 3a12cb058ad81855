/** The feedback desk: what people said of replies, and what shall never train. */

import { Button, Menu, Select, TextInput } from '@mantine/core'
import { type ReactNode, useState } from 'react'
import { useSearchParams } from 'wouter'

import { Download } from '../icons'
import { useMe } from '../people/me'
import { currentLanguage } from '../words'
import { exportAddress, type FeedbackFilters, trainingAddress, trainingFormats, useFeedback, usePolicies } from './calls'
import style from './feedback.module.css'
import { FeedbackCard } from './feedback-card'
import { GiverPanel } from './giver'
import { PersonFilter } from './person-filter'
import { Empty, Older, Page, Trouble, Waiting } from './parts'
import { RatersPanel } from './raters'
import { useWords } from './words'

const unfiltered: FeedbackFilters = {
  kind: 'opinion',
  version: null,
  rating: null,
  reason: null,
  aspect: null,
  rewritten: null,
  excluded: null,
  gold: null,
  person_id: null,
  since: null,
  until: null,
}

export function FeedbackPage() {
  const t = useWords()
  const [search, setSearch] = useSearchParams()
  const person = search.get('person')
  const [own, setOwn] = useState(unfiltered)
  const filters = { ...own, person_id: person }
  const found = useFeedback(filters)
  const items = found.data?.pages.flatMap((page) => page.items)
  const isFiltered = person !== null || Object.entries(own).some(([name, value]) => name !== 'kind' && value !== null)
  // The person stands in the address: other pages lead here with one.
  const choose = (id: string | null) => setSearch(id === null ? {} : { person: id }, { replace: true })
  const clear = () => {
    setOwn({ ...unfiltered, kind: own.kind })
    choose(null)
  }
  return (
    <Page
      title={t('feedback')}
      actions={
        items && items.length > 0 ? (
          <>
            <Button component="a" variant="default" href={exportAddress(filters)} download>
              {t('desk.export')}
            </Button>
            <Menu position="bottom-end">
              <Menu.Target>
                <Button variant="default" leftSection={<Download size={16} />}>
                  {t('desk.forTraining')}
                </Button>
              </Menu.Target>
              <Menu.Dropdown>
                <Menu.Label>{t('desk.forTrainingHint')}</Menu.Label>
                {trainingFormats.map((format) => (
                  <Menu.Item key={format} component="a" href={trainingAddress(format)} download>
                    {t(`desk.format.${format}`)}
                  </Menu.Item>
                ))}
              </Menu.Dropdown>
            </Menu>
          </>
        ) : undefined
      }
    >
      <Filters filters={filters} onChange={setOwn} onPerson={choose}>
        {isFiltered && (
          <Button variant="default" size="xs" onClick={clear}>
            {t('desk.clear')}
          </Button>
        )}
      </Filters>
      {person !== null && <GiverPanel id={person} />}
      {person === null && <RatersPanel />}
      {found.error && <Trouble error={found.error} onRetry={() => void found.refetch()} />}
      {found.isPending && <Waiting />}
      {items?.length === 0 && (
        <Empty
          title={isFiltered ? t('desk.nothing') : t('desk.empty')}
          text={isFiltered ? t('desk.nothingText') : t('desk.emptyText')}
        />
      )}
      {items && items.length > 0 && (
        <ul className={style.list}>
          {items.map((item) => (
            <li key={item.id}>
              <FeedbackCard item={item} />
            </li>
          ))}
        </ul>
      )}
      <Older
        has={found.hasNextPage}
        isLoading={found.isFetchingNextPage}
        onMore={() => void found.fetchNextPage()}
      />
    </Page>
  )
}

interface FiltersProps {
  filters: FeedbackFilters
  onChange: (filters: FeedbackFilters) => void
  onPerson: (id: string | null) => void
  children: ReactNode
}

function Filters({ filters, onChange, onPerson, children }: FiltersProps) {
  const t = useWords()
  const me = useMe().data
  const policies = usePolicies().data?.items ?? []
  const isOfOpinions = filters.kind === 'opinion'
  const label = (one: { label_en: string; label_zh: string }) => (currentLanguage() === 'zh' ? one.label_zh : one.label_en)
  const set = (change: Partial<FeedbackFilters>) => onChange({ ...filters, ...change })
  const common = { size: 'xs', clearable: true, placeholder: t('desk.any') } as const
  return (
    <form className={style.filters} role="search" aria-label={t('desk.filters')} onSubmit={(event) => event.preventDefault()}>
      <Select
        size="xs"
        label={t('desk.kind')}
        data={(['opinion', 'comparison'] as const).map((value) => ({ value, label: t(`desk.${value}`) }))}
        value={filters.kind}
        onChange={(kind) =>
          kind === 'comparison'
            ? onChange({ ...unfiltered, kind, version: filters.version, excluded: filters.excluded, gold: filters.gold, since: filters.since, until: filters.until })
            : set({ kind: 'opinion' })
        }
        allowDeselect={false}
      />
      <PersonFilter person={filters.person_id} onChoose={onPerson} />
      <Select
        {...common}
        label={t('desk.version')}
        data={policies.map(({ number }) => ({ value: String(number), label: t('v', { number }) }))}
        value={filters.version === null ? null : String(filters.version)}
        onChange={(version) => set({ version: version === null ? null : Number(version) })}
      />
      {isOfOpinions && (
        <>
          <Select
            {...common}
            label={t('desk.rating')}
            data={[
              { value: '1', label: t('desk.up') },
              { value: '-1', label: t('desk.down') },
            ]}
            value={filters.rating}
            onChange={(rating) => set({ rating })}
          />
          <Select
            {...common}
            label={t('desk.withReason')}
            data={(me?.reasons ?? []).map((reason) => ({ value: reason.id, label: label(reason) }))}
            value={filters.reason}
            onChange={(reason) => set({ reason })}
          />
          <Select
            {...common}
            label={t('desk.aspect')}
            data={(me?.aspects ?? []).map((aspect) => ({ value: aspect.name, label: label(aspect) }))}
            value={filters.aspect}
            onChange={(aspect) => set({ aspect })}
          />
          <Select
            {...common}
            label={t('desk.rewritten')}
            data={[
              { value: 'true', label: t('desk.with') },
              { value: 'false', label: t('desk.without') },
            ]}
            value={filters.rewritten}
            onChange={(rewritten) => set({ rewritten })}
          />
        </>
      )}
      <Select
        {...common}
        label={t('desk.training')}
        data={[
          { value: 'false', label: t('desk.trains') },
          { value: 'true', label: t('desk.excluded') },
        ]}
        value={filters.excluded}
        onChange={(excluded) => set({ excluded })}
      />
      <Select
        {...common}
        label={t('gold.title')}
        data={[
          { value: 'true', label: t('gold.yes') },
          { value: 'false', label: t('gold.no') },
        ]}
        value={filters.gold}
        onChange={(gold) => set({ gold })}
      />
      {(['since', 'until'] as const).map((name) => (
        <TextInput
          key={name}
          type="date"
          size="xs"
          label={t(`desk.${name}`)}
          value={filters[name] ?? ''}
          onChange={(event) => set({ [name]: event.currentTarget.value || null })}
        />
      ))}
      {children}
    </form>
  )
}
