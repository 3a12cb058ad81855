/** What a run would learn from if it began now. Nothing is trained. */

import { Modal } from '@mantine/core'
import type { ReactNode } from 'react'

import { type DryRunAsked, useDryRun } from './calls'
import style from './dry-run.module.css'
import { plain } from './figures'
import { Facts, Trouble, useCountWord, Waiting } from './parts'
import { useReason } from './reasons'
import type { DryRun, Schedule } from './shapes'
import { useLocale } from './times'
import { useWords } from './words'

export function DryRunDialog({ schedule, onClose }: { schedule: Schedule; onClose: () => void }) {
  const t = useWords()
  const { recipe, reward_profile, minimum_feedback } = schedule
  return (
    <Modal
      opened
      onClose={onClose}
      title={t('schedule.dryRunTitle', { name: schedule.name })}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <DryRunOutcome asked={{ recipe, reward_profile, minimum_feedback }} />
    </Modal>
  )
}

/** Asked anew whenever what is asked changes; what was found before stays until the new is there. */
export function DryRunOutcome({ asked }: { asked: DryRunAsked }) {
  const tried = useDryRun(asked)
  return (
    <div className={style.outcome} aria-live="polite" aria-busy={tried.isFetching}>
      {tried.error ? <Trouble error={tried.error} /> : tried.data ? <Found found={tried.data} /> : <Waiting />}
    </div>
  )
}

function Found({ found }: { found: DryRun }) {
  const t = useWords()
  const locale = useLocale()
  const word = useCountWord()
  const said = useReason()
  const facts: [string, ReactNode][] = [
    [t('schedule.people'), plain(found.people, locale)],
    ...Object.entries(found.counts).map(([name, count]): [string, ReactNode] => [word(name), plain(count, locale)]),
    [t('schedule.fresh'), plain(found.new_feedback, locale)],
    [t('schedule.minutes'), t('schedule.minutesValue', { minutes: plain(found.minutes, locale) })],
  ]
  return (
    <>
      <p>
        {found.reason === null ? t('schedule.wouldRun') : t('schedule.wouldNot', { reason: said(found.reason) })}{' '}
        {t('schedule.dryRunHint')}
      </p>
      <Facts items={facts} />
    </>
  )
}
