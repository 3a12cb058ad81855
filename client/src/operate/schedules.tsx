/** When Backtalk learns by itself. */

import { Button, Switch } from '@mantine/core'
import { useState } from 'react'
import { Link } from 'wouter'

import { Bin, Pencil, Plus } from '../icons'
import { IconButton } from '../parts/icon-button'
import { useRemoveSchedule, useSaveSchedule, useSchedules } from './calls'
import { Confirm } from './confirm'
import { DryRunDialog } from './dry-run'
import { Empty, Page, Panel, Tag, Trouble, Waiting } from './parts'
import { useExplained, useReason } from './reasons'
import { told } from './recipe'
import { ScheduleForm } from './schedule-form'
import style from './schedules.module.css'
import type { Schedule } from './shapes'
import { Slots } from './slots'
import { When } from './times'
import { useWords } from './words'

export function SchedulesPage() {
  const t = useWords()
  const schedules = useSchedules()
  const [isAdding, setAdding] = useState(false)
  const items = schedules.data?.items
  const add = (
    <Button leftSection={<Plus size={16} />} onClick={() => setAdding(true)}>
      {t('schedule.add')}
    </Button>
  )
  return (
    <Page title={t('schedules')} actions={items && items.length > 0 ? add : undefined}>
      {schedules.error && <Trouble error={schedules.error} onRetry={() => void schedules.refetch()} />}
      {schedules.isPending && <Waiting />}
      {items?.length === 0 && (
        <Empty title={t('schedule.empty')} text={t('schedule.emptyText')}>
          {add}
        </Empty>
      )}
      {items?.map((schedule) => <Card key={schedule.id} schedule={schedule} />)}
      {isAdding && <ScheduleForm schedule={null} onClose={() => setAdding(false)} />}
    </Page>
  )
}

function Card({ schedule }: { schedule: Schedule }) {
  const t = useWords()
  const [isEditing, setEditing] = useState(false)
  const [isRemoving, setRemoving] = useState(false)
  const [isTrying, setTrying] = useState(false)
  const explained = useExplained()
  const save = useSaveSchedule(schedule.id)
  const remove = useRemoveSchedule(schedule.id)
  const { name, enabled, time_zone: zone } = schedule
  return (
    <Panel
      title={name}
      actions={
        <div className={style.actions}>
          <Switch
            size="sm"
            checked={enabled}
            disabled={save.isPending}
            onChange={(event) => save.mutate({ enabled: event.currentTarget.checked })}
            label={enabled ? t('schedule.active') : t('schedule.paused')}
            aria-label={`${name}: ${enabled ? t('schedule.pause') : t('schedule.resume')}`}
          />
          <Button size="xs" variant="default" onClick={() => setTrying(true)}>
            {t('schedule.dryRun')}
            <span className="visually-hidden"> {name}</span>
          </Button>
          <IconButton label={t('schedule.editTitle', { name })} onClick={() => setEditing(true)}>
            <Pencil size={16} />
          </IconButton>
          <IconButton label={t('schedule.deleteTitle', { name })} onClick={() => setRemoving(true)}>
            <Bin size={16} />
          </IconButton>
        </div>
      }
    >
      <div className={style.body}>
        <div>
          <p className={style.explain}>{schedule.cron === '' ? t('schedule.presets.never') : explained(schedule.cron, schedule.explain)}</p>
          <p className={style.meta}>
            {schedule.cron !== '' && <code>{schedule.cron}</code>}
            <span>{zone}</span>
            <Triggers schedule={schedule} />
            <span>{t('schedule.atLeast', { count: schedule.minimum_feedback })}</span>
            {!enabled && <Tag>{t('schedule.paused')}</Tag>}
          </p>
          <Last schedule={schedule} />
        </div>
        {schedule.next.length > 0 && <NextTimes times={schedule.next} zone={zone} />}
      </div>
      <Slots id={schedule.id} />
      <Trouble error={save.error} />
      {isEditing && <ScheduleForm schedule={schedule} onClose={() => setEditing(false)} />}
      {isTrying && <DryRunDialog schedule={schedule} onClose={() => setTrying(false)} />}
      {isRemoving && (
        <Confirm
          title={t('schedule.deleteTitle', { name })}
          text={t('schedule.deleteText')}
          action={t('schedule.delete')}
          isDanger
          isBusy={remove.isPending}
          error={remove.error}
          onConfirm={() => remove.mutate()}
          onClose={() => setRemoving(false)}
        />
      )}
    </Panel>
  )
}

function Triggers({ schedule }: { schedule: Schedule }) {
  const t = useWords()
  const { after_feedback: after, on_drift: drift, blackouts, reward_profile: profile } = schedule
  const recipe = told(schedule.recipe)
  return (
    <>
      {after !== null && <span>{t('schedule.afterCount', { count: after })}</span>}
      {drift !== null && <span>{t('schedule.driftBy', { points: Math.round(drift * 1000) / 10 })}</span>}
      {blackouts.length > 0 && <span>{t('schedule.resting', { windows: blackouts.join(', ') })}</span>}
      {recipe.length > 0 && <span>{t('schedule.withRecipe', { fields: recipe.join(', ') })}</span>}
      {profile !== null && <span>{t('schedule.withProfile', { name: profile })}</span>}
    </>
  )
}

function Last({ schedule }: { schedule: Schedule }) {
  const t = useWords()
  const said = useReason()
  const last = schedule.last_run
  return (
    <p className={style.last}>
      {t('schedule.last')}:{' '}
      {last === null ? (
        t('schedule.noLast')
      ) : (
        <>
          <When at={last.planned_at} />,{' '}
          {last.run_id !== null ? (
            <Link href={`/operate/runs/${last.run_id}`}>{t('schedule.ran')}</Link>
          ) : (
            t('schedule.missed', { reason: said(last.missed ?? '–') })
          )}
        </>
      )}
    </p>
  )
}

export function NextTimes({ times, zone }: { times: string[]; zone: string }) {
  const t = useWords()
  return (
    <div className={style.next}>
      <p>{t('schedule.nextIn', { zone })}</p>
      <ol>
        {times.map((at) => (
          <li key={at}>
            <When at={at} zone={zone} />
          </li>
        ))}
      </ol>
    </div>
  )
}
