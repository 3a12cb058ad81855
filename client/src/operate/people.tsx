/** Who there is, and what each may do. */

import { Button, Select, Switch, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useState } from 'react'
import { Link } from 'wouter'

import { Bin, Plus } from '../icons'
import { IconButton } from '../parts/icon-button'
import { toast } from '../parts/toast'
import { useMe } from '../people/me'
import { type PeopleFilters, useErasePerson, useInvite, usePeople, useSetRole } from './calls'
import { Confirm } from './confirm'
import { EntrancePanel } from './entrance'
import { Empty, Older, Page, Panel, Trouble, useMessage, Waiting } from './parts'
import { AddPerson, Secret } from './people-add'
import style from './people.module.css'
import { type Listed, type Role, roles } from './shapes'
import tables from './table.module.css'
import { useLocale, When } from './times'
import { useWords } from './words'

const TYPING_MILLISECONDS = 250

export function PeoplePage() {
  const t = useWords()
  const [filters, setFilters] = useState<PeopleFilters>({ query: '', role: null, guests: false })
  const [typed] = useDebouncedValue(filters, TYPING_MILLISECONDS)
  const found = usePeople(typed)
  const [isAdding, setAdding] = useState(false)
  const invite = useInvite()
  const items = found.data?.pages.flatMap((page) => page.items)
  const set = (change: Partial<PeopleFilters>) => setFilters((old) => ({ ...old, ...change }))
  return (
    <Page
      title={t('people')}
      actions={
        <>
          <Button variant="default" loading={invite.isPending} onClick={() => invite.mutate()}>
            {t('person.invite')}
          </Button>
          <Button leftSection={<Plus size={16} />} onClick={() => setAdding(true)}>
            {t('person.add')}
          </Button>
        </>
      }
    >
      <Trouble error={invite.error} />
      <EntrancePanel />
      <form className={style.filters} role="search" onSubmit={(event) => event.preventDefault()}>
        <TextInput
          size="sm"
          aria-label={t('person.search')}
          placeholder={t('person.search')}
          value={filters.query}
          onChange={(event) => set({ query: event.currentTarget.value })}
          maxLength={128}
        />
        <Select
          size="sm"
          aria-label={t('person.role')}
          placeholder={t('person.anyRole')}
          data={roles.map((role) => ({ value: role, label: t(`person.roles.${role}`) }))}
          value={filters.role}
          onChange={(role) => set({ role })}
          clearable
        />
        <Switch
          label={t('person.guests')}
          checked={filters.guests}
          onChange={(event) => set({ guests: event.currentTarget.checked })}
        />
      </form>
      {found.error && <Trouble error={found.error} onRetry={() => void found.refetch()} />}
      {found.isPending && <Waiting />}
      {items?.length === 0 && <Empty title={t('person.empty')} text={t('person.emptyText')} />}
      {items && items.length > 0 && (
        <Panel title={t('people')}>
          <Table people={items} />
        </Panel>
      )}
      <Older has={found.hasNextPage} isLoading={found.isFetchingNextPage} onMore={() => void found.fetchNextPage()} />
      {isAdding && <AddPerson onClose={() => setAdding(false)} />}
      {invite.data && (
        <Secret
          title={t('person.inviteTitle')}
          text={t('person.inviteText')}
          secret={`${window.location.origin}/join#${invite.data.invite}`}
          copy={t('person.copyInvite')}
          onClose={() => invite.reset()}
        />
      )}
    </Page>
  )
}

function Table({ people }: { people: Listed[] }) {
  const t = useWords()
  return (
    <table className={tables.table}>
      <thead>
        <tr>
          <th scope="col">{t('person.name')}</th>
          <th scope="col">{t('person.role')}</th>
          <th scope="col" className={tables.number}>{t('person.questions')}</th>
          <th scope="col" className={tables.number}>{t('person.opinions')}</th>
          <th scope="col">{t('person.consent')}</th>
          <th scope="col">{t('person.since')}</th>
          <th scope="col">
            <span className="visually-hidden">{t('person.actions')}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {people.map((person) => (
          <Row key={person.id} person={person} />
        ))}
      </tbody>
    </table>
  )
}

function Row({ person }: { person: Listed }) {
  const t = useWords()
  const locale = useLocale()
  const name = person.name ?? t('person.guest')
  const consent = { true: 'person.consentYes', false: 'person.consentNo', null: 'person.consentUnknown' } as const
  return (
    <tr>
      <td data-name={t('person.name')}>
        <bdi className={person.guest ? style.guest : style.name}>{name}</bdi>
      </td>
      <td data-name={t('person.role')}>
        <RoleCell person={person} name={name} />
      </td>
      <td data-name={t('person.questions')} className={tables.number}>
        {person.questions.toLocaleString(locale)}
      </td>
      <td data-name={t('person.opinions')} className={tables.number}>
        {person.opinions > 0 ? (
          <Link href={`/operate/feedback?person=${person.id}`} className={style.link}>
            {person.opinions.toLocaleString(locale)}
            <span className="visually-hidden"> {t('person.seeFeedback', { name })}</span>
          </Link>
        ) : (
          0
        )}
      </td>
      <td data-name={t('person.consent')}>{t(consent[`${person.consent_train ?? 'null'}`])}</td>
      <td data-name={t('person.since')}>
        <When at={person.created_at} />
      </td>
      <td>
        <Erase person={person} name={name} />
      </td>
    </tr>
  )
}

function RoleCell({ person, name }: { person: Listed; name: string }) {
  const t = useWords()
  const message = useMessage()
  const me = useMe().data
  const setRole = useSetRole()
  if (me?.role !== 'admin' || person.guest) return <>{t(`person.roles.${person.role}`)}</>
  const change = (role: Role) =>
    setRole.mutate(
      { id: person.id, role },
      {
        onSuccess: () =>
          void toast({ message: t('person.roleSaved', { name, role: t(`person.roles.${role}`) }) }),
        onError: (error) => void toast({ message: message(error), color: 'red', autoClose: 10_000 }),
      },
    )
  return (
    <Select
      size="xs"
      className={style.role ?? ''}
      aria-label={t('person.roleOf', { name })}
      data={roles.map((role) => ({ value: role, label: t(`person.roles.${role}`) }))}
      value={person.role}
      onChange={(role) => role !== null && role !== person.role && change(role)}
      disabled={setRole.isPending}
      allowDeselect={false}
    />
  )
}

function Erase({ person, name }: { person: Listed; name: string }) {
  const t = useWords()
  const me = useMe().data
  const [isAsking, setAsking] = useState(false)
  const erase = useErasePerson()
  if (me?.role !== 'admin' || me.id === person.id) return null
  return (
    <>
      <IconButton label={t('person.eraseTitle', { name })} onClick={() => setAsking(true)}>
        <Bin size={16} />
      </IconButton>
      {isAsking && (
        <Confirm
          title={t('person.eraseTitle', { name })}
          text={t('person.eraseText')}
          action={t('person.erase')}
          isDanger
          isBusy={erase.isPending}
          error={erase.error}
          onConfirm={() => erase.mutate(person.id, { onSuccess: () => setAsking(false) })}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  )
}
