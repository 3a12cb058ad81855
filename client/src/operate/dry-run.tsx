/** What a run of a schedule would learn from if it began now. Nothing is trained. */

import { Modal } from '@mantine/core'
import type { ReactNode } from 'react'

import { useDryRun } from './calls'
import { plain } from './figures'
import { Facts, Trouble, useCountWord, Waiting } from './parts'
import type { DryRun, Schedule } from './shapes'
import { useLocale } from './times'
import { useWords } from './words'

export function DryRunDialog({ schedule, onClose }: { schedule: Schedule; onClose: () => void }) {
  const t = useWords()
  const tried = useDryRun(schedule.id)
  return (
    <Modal
      opened
      onClose={onClose}
      title={t('schedule.dryRunTitle', { name: schedule.name })}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      {tried.data && !tried.isFetching ? <Outcome found={tried.data} /> : tried.error ? <Trouble error={tried.error} /> : <Waiting />}
    </Modal>
  )
}

function Outcome({ found }: { found: DryRun }) {
  const t = useWords()
  const locale = useLocale()
  const word = useCountWord()
  const facts: [string, ReactNode][] = [
    [t('schedule.people'), plain(found.people, locale)],
    ...Object.entries(found.counts).map(([name, count]): [string, ReactNode] => [word(name), plain(count, locale)]),
    [t('schedule.fresh'), plain(found.new_feedback, locale)],
    [t('schedule.minutes'), t('schedule.minutesValue', { minutes: plain(found.minutes, locale) })],
  ]
  return (
    <>
      <p>
        {found.reason === null ? t('schedule.wouldRun') : t('schedule.wouldNot', { reason: found.reason })}{' '}
        {t('schedule.dryRunHint')}
      </p>
      <Facts items={facts} />
    </>
  )
}
