/** A schedule made or changed: what it means and when it comes stand beside the cron text as it is typed. */

import { Button, Group, Modal, NumberInput, Select, Stack, Switch, Textarea, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useState } from 'react'

import { HttpError } from '../http'
import { usePreview, useSaveSchedule } from './calls'
import { DryRunOutcome } from './dry-run'
import { type Learning, LearningFields } from './learning'
import { Trouble } from './parts'
import { useExplained, useReason } from './reasons'
import { recipeOf, written } from './recipe'
import { fieldOf } from './reckon'
import { NextTimes } from './schedules'
import style from './schedules.module.css'
import type { Schedule, ScheduleValues } from './shapes'
import { useWords } from './words'

const presets = { nightly: '0 3 * * *', sixHours: '0 */6 * * *', hourly: '0 * * * *', weekly: '0 3 * * 0', never: '' } as const
type Preset = keyof typeof presets
const presetNames = Object.keys(presets) as Preset[]

const PREVIEW_MILLISECONDS = 300

export function ScheduleForm({ schedule, onClose }: { schedule: Schedule | null; onClose: () => void }) {
  const t = useWords()
  const [values, setValues] = useState<ScheduleValues>(() => schedule ?? fresh())
  const [windows, setWindows] = useState(() => values.blackouts.join('\n'))
  const [recipe, setRecipe] = useState(() => written(values.recipe))
  const save = useSaveSchedule(schedule?.id ?? null)
  const explained = useExplained()
  const [cron] = useDebouncedValue(values.cron.trim(), PREVIEW_MILLISECONDS)
  const [typedWindows] = useDebouncedValue(windows, PREVIEW_MILLISECONDS)
  const preview = usePreview(cron, values.time_zone, lines(typedWindows))
  const set = (change: Partial<ScheduleValues>) => {
    save.reset()
    setValues((old) => ({ ...old, ...change }))
  }

  const setLearning = (change: Partial<Learning>) => {
    if (change.recipe) setRecipe(change.recipe)
    set(change.reward_profile === undefined ? {} : { reward_profile: change.reward_profile })
  }

  const said = useReason()
  const refusal = save.error ?? preview.error
  const field = refusal instanceof HttpError ? fieldOf(refusal.message) : null
  const errorOf = (name: keyof ScheduleValues) => (field === name && refusal instanceof HttpError ? said(refusal.message) : null)

  const submit = () => {
    const asked = recipeOf(recipe)
    if (asked === null) return
    const { name, time_zone, minimum_feedback, reward_profile, after_feedback, on_drift, enabled } = values
    const rest = { time_zone, minimum_feedback, reward_profile, after_feedback, on_drift, enabled }
    const times = { cron: values.cron.trim(), blackouts: lines(windows) }
    save.mutate({ name, ...times, recipe: asked, ...rest }, { onSuccess: onClose })
  }
  return (
    <Modal
      opened
      onClose={onClose}
      title={schedule ? t('schedule.editTitle', { name: schedule.name }) : t('schedule.add')}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault()
          submit()
        }}
      >
        <Stack gap="sm">
          <TextInput
            label={t('schedule.name')}
            placeholder={t('schedule.nameHint')}
            value={values.name}
            onChange={(event) => set({ name: event.currentTarget.value })}
            error={errorOf('name')}
            maxLength={128}
            required
            data-autofocus
          />
          <Select
            label={t('schedule.often')}
            data={[...presetNames, 'own' as const].map((value) => ({ value, label: t(`schedule.presets.${value}`) }))}
            value={presetNames.find((name) => presets[name] === values.cron) ?? 'own'}
            onChange={(name) => isPreset(name) && set({ cron: presets[name] })}
            allowDeselect={false}
          />
          <TextInput
            label={t('schedule.cron')}
            description={t('schedule.cronHint')}
            value={values.cron}
            onChange={(event) => set({ cron: event.currentTarget.value })}
            error={errorOf('cron')}
            maxLength={128}
            spellCheck={false}
          />
          <Select
            label={t('schedule.zone')}
            data={zones(values.time_zone)}
            value={values.time_zone}
            onChange={(zone) => zone !== null && set({ time_zone: zone })}
            error={errorOf('time_zone')}
            nothingFoundMessage={t('schedule.unknownZone')}
            limit={60}
            searchable
            allowDeselect={false}
          />
          <NumberInput
            label={t('schedule.minimum')}
            description={t('schedule.minimumHint')}
            value={values.minimum_feedback}
            onChange={(value) => set({ minimum_feedback: Number(value) || 0 })}
            error={errorOf('minimum_feedback')}
            min={0}
            max={1_000_000_000}
            allowDecimal={false}
          />
          <Further
            values={values}
            windows={windows}
            errorOf={errorOf}
            onChange={set}
            onWindows={(text) => {
              save.reset()
              setWindows(text)
            }}
          />
          <How
            learning={{ recipe, reward_profile: values.reward_profile }}
            minimum={values.minimum_feedback}
            errorOf={errorOf}
            onChange={setLearning}
          />
          <Switch
            label={t('schedule.enabled')}
            checked={values.enabled}
            onChange={(event) => set({ enabled: event.currentTarget.checked })}
          />
          {cron !== '' && preview.data && (
            <div className={style.preview} aria-live="polite">
              <p className={style.explain}>{explained(cron, preview.data.explain)}</p>
              {preview.data.next.length > 0 && <NextTimes times={preview.data.next} zone={values.time_zone} />}
            </div>
          )}
          {field === null && <Trouble error={save.error} />}
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={onClose}>
              {t('cancel')}
            </Button>
            <Button type="submit" loading={save.isPending}>
              {t('save')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}

interface FurtherProps {
  values: ScheduleValues
  windows: string
  errorOf: (name: keyof ScheduleValues) => string | null
  onChange: (change: Partial<ScheduleValues>) => void
  onWindows: (text: string) => void
}

/** What most schedules do without: other triggers, windows without learning. */
function Further({ values, windows, errorOf, onChange, onWindows }: FurtherProps) {
  const t = useWords()
  const [startsOpen] = useState(() => isUsed(values))
  return (
    <details className={style.further} open={startsOpen}>
      <summary>{t('schedule.further')}</summary>
      <Stack gap="sm" mt="xs">
        <NumberInput
          label={t('schedule.afterFeedback')}
          description={t('schedule.afterFeedbackHint')}
          value={values.after_feedback ?? ''}
          onChange={(value) => onChange({ after_feedback: value === '' ? null : Number(value) })}
          error={errorOf('after_feedback')}
          min={1}
          max={1_000_000_000}
          allowDecimal={false}
        />
        <NumberInput
          label={t('schedule.onDrift')}
          description={t('schedule.onDriftHint')}
          value={values.on_drift === null ? '' : Math.round(values.on_drift * 1000) / 10}
          onChange={(value) => onChange({ on_drift: value === '' ? null : Number(value) / 100 })}
          error={errorOf('on_drift')}
          min={1}
          max={99}
          decimalScale={1}
        />
        <Textarea
          label={t('schedule.blackouts')}
          description={t('schedule.blackoutsHint')}
          value={windows}
          onChange={(event) => onWindows(event.currentTarget.value)}
          error={errorOf('blackouts')}
          spellCheck={false}
          autosize
          minRows={2}
        />
      </Stack>
    </details>
  )
}

interface HowProps {
  learning: Learning
  minimum: number
  errorOf: (name: keyof Learning) => string | null
  onChange: (change: Partial<Learning>) => void
}

/** How its runs learn, and what one would learn from if it began now. */
function How({ learning, minimum, errorOf, onChange }: HowProps) {
  const t = useWords()
  const { recipe: text, reward_profile } = learning
  const [isOpen, setOpen] = useState(() => reward_profile !== null || text.algorithm !== null || text.rest !== '')
  const [typed] = useDebouncedValue(text, PREVIEW_MILLISECONDS)
  const [minimum_feedback] = useDebouncedValue(minimum, PREVIEW_MILLISECONDS)
  const recipe = recipeOf(typed)
  return (
    <details className={style.further} open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t('schedule.how')}</summary>
      <Stack gap="sm" mt="xs">
        <LearningFields learning={learning} errorOf={errorOf} onChange={onChange} />
        {isOpen && recipe !== null && <DryRunOutcome asked={{ recipe, reward_profile, minimum_feedback }} />}
      </Stack>
    </details>
  )
}

function isUsed({ after_feedback, on_drift, blackouts }: ScheduleValues): boolean {
  return after_feedback !== null || on_drift !== null || blackouts.length > 0
}

function lines(text: string): string[] {
  return text.split('\n').flatMap((line) => line.trim() || [])
}

function fresh(): ScheduleValues {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  return {
    name: '',
    cron: presets.nightly,
    time_zone: zone || 'UTC',
    minimum_feedback: 50,
    recipe: {},
    reward_profile: null,
    blackouts: [],
    after_feedback: null,
    on_drift: null,
    enabled: true,
  }
}

function isPreset(name: string | null): name is Preset {
  return name !== null && name in presets
}

/** All zones the browser knows, and the present one even if it does not. */
function zones(present: string): string[] {
  return [...new Set(['UTC', present, ...Intl.supportedValuesOf('timeZone')])]
}
