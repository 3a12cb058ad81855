/** The times of a schedule that have come: each with its run, or the reason why there was none. */

import { useState } from 'react'
import { Link } from 'wouter'

import { useSlots } from './calls'
import { Tag, Trouble, Waiting } from './parts'
import { useReason } from './reasons'
import style from './schedules.module.css'
import { When } from './times'
import { useWords } from './words'

export function Slots({ id }: { id: string }) {
  const t = useWords()
  const [isOpen, setOpen] = useState(false)
  return (
    <details className={style.slots} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t('schedule.slots')}</summary>
      {isOpen && <List id={id} />}
    </details>
  )
}

function List({ id }: { id: string }) {
  const t = useWords()
  const said = useReason()
  const slots = useSlots(id)
  if (slots.isPending) return <Waiting />
  if (slots.error) return <Trouble error={slots.error} onRetry={() => void slots.refetch()} />
  if (slots.data.items.length === 0) return <p>{t('schedule.noSlots')}</p>
  return (
    <ul>
      {slots.data.items.map((slot) => (
        <li key={slot.planned_at}>
          <When at={slot.planned_at} /> <Tag>{t(`schedule.trigger.${slot.trigger}`)}</Tag>{' '}
          {slot.run_id !== null ? (
            <Link href={`/operate/runs/${slot.run_id}`}>{t('schedule.ran')}</Link>
          ) : (
            t('schedule.missed', { reason: said(slot.missed ?? '–') })
          )}
        </li>
      ))}
    </ul>
  )
}
