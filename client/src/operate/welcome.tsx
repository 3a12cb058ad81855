/** What follows the one-time link: three steps to a Backtalk that is one's own. Each can be left for later. */

import { Button } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { type ReactNode, type SubmitEvent, useEffect, useRef, useState } from 'react'
import { useLocation } from 'wouter'

import { call, type Items } from '../http'
import { Mark } from '../icons'
import { CopyButton } from '../parts/copy-button'
import type { Model } from '../wire/http'
import { useChooseEntrance, useEntranceRules, useSaveSchedule, useSchedules } from './calls'
import { Choice } from './choice'
import choices from './choice.module.css'
import claimStyle from './claim.module.css'
import { EntranceChoices } from './entrance'
import { keys } from './keys'
import { Facts, Tag, Trouble, Waiting } from './parts'
import type { EntranceMode, Policy } from './shapes'
import { useLocale } from './times'
import style from './welcome.module.css'
import { useWords } from './words'

const PLANS = ['nightly', 'weekly', 'after', 'never'] as const
type Plan = (typeof PLANS)[number]
const CRON: Record<Plan, string> = { nightly: '0 3 * * *', weekly: '0 3 * * 0', after: '', never: '' }
const FEEDBACK = 50

const STEPS = [ModelStep, EntranceStep, ScheduleStep]

export function WelcomePage() {
  const t = useWords()
  const [, navigate] = useLocation()
  const [step, setStep] = useState(0)
  useEffect(() => {
    document.title = `${t('welcome.title')} · Backtalk`
  }, [t])
  const Step = STEPS[step] ?? ModelStep
  const leave = () => navigate('/operate', { replace: true })
  return (
    <main className={claimStyle.page}>
      <Step
        key={step}
        number={step + 1}
        onDone={() => (step + 1 < STEPS.length ? setStep(step + 1) : leave())}
        onBack={step > 0 ? () => setStep(step - 1) : undefined}
        onSkip={leave}
      />
    </main>
  )
}

interface StepProps {
  number: number
  onDone: () => void
  onBack: (() => void) | undefined
  onSkip: () => void
}

interface FrameProps extends StepProps {
  title: string
  text: string
  error: unknown
  isBusy: boolean
  onSubmit: () => void
  children: ReactNode
}

/** What all steps look like. Enter goes on; the heading takes the focus, so that a screen reader begins with it. */
function Frame({ number, title, text, error, isBusy, onSubmit, onBack, onSkip, children }: FrameProps) {
  const t = useWords()
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [])
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    onSubmit()
  }
  return (
    <form className={`${claimStyle.card} ${style.card}`} onSubmit={submit}>
      <header className={style.head}>
        <Mark size={28} />
        <span className={style.count}>{t('welcome.step', { n: number, of: STEPS.length })}</span>
        <span className={style.dots} aria-hidden="true">
          {STEPS.map((_, index) => (
            <i key={index} data-reached={index < number} />
          ))}
        </span>
      </header>
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      <p>{text}</p>
      {children}
      <Trouble error={error} />
      <footer className={style.foot}>
        <Button variant="subtle" color="gray" onClick={onSkip}>
          {t('welcome.skip')}
        </Button>
        <span className={style.ways}>
          {onBack && (
            <Button variant="default" onClick={onBack}>
              {t('welcome.before')}
            </Button>
          )}
          <Button type="submit" loading={isBusy}>
            {t(number < STEPS.length ? 'welcome.next' : 'welcome.done')}
          </Button>
        </span>
      </footer>
    </form>
  )
}

function ModelStep(props: StepProps) {
  const t = useWords()
  const locale = useLocale()
  const client = useQueryClient()
  const model = useQuery({ queryKey: [...keys.all, 'model'], queryFn: () => call<Model | null>('GET', '/api/operate/model') })
  // Imports on the command line are not told of on the socket.
  const policies = useQuery({
    queryKey: keys.policies,
    queryFn: () => call<Items<Policy>>('GET', '/api/operate/policies'),
    refetchInterval: 3_000,
  })
  const [chosen, setChosen] = useState<number | null>(null)
  const promote = useMutation({
    mutationFn: (number: number) => call('POST', `/api/operate/policies/${number}/promote`, {}),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.all }),
  })
  const offered = (policies.data?.items ?? []).filter((policy) => ['live', 'candidate', 'retired'].includes(policy.state))
  const live = offered.find((policy) => policy.state === 'live')
  const number = chosen ?? live?.number
  const submit = () => {
    if (number === undefined || number === live?.number) props.onDone()
    else promote.mutate(number, { onSuccess: props.onDone })
  }
  const { data } = model
  return (
    <Frame
      {...props}
      title={t('welcome.model')}
      text={t('welcome.modelText')}
      error={model.error ?? policies.error ?? promote.error}
      isBusy={promote.isPending}
      onSubmit={submit}
    >
      {model.isPending && <Waiting />}
      {data && (
        <div className={style.facts}>
          <Facts
            items={[
              [t('welcome.source'), data.source],
              [t('welcome.architecture'), data.architecture],
              [t('welcome.parameters'), compact(data.parameters, locale)],
              [t('welcome.context'), data.context === null ? '–' : t('welcome.tokens', { count: data.context })],
              [t('welcome.device'), data.device ?? '–'],
            ]}
          />
          {data.source === 'starter' && <p className={style.note}>{t('welcome.starter')}</p>}
        </div>
      )}
      {offered.length > 1 && (
        <fieldset className={choices.choices}>
          <legend>{t('welcome.which')}</legend>
          {offered.map((policy) => (
            <Choice
              key={policy.number}
              group="version"
              name={String(policy.number)}
              title={t('welcome.version', { number: policy.number })}
              isChosen={policy.number === number}
              onChoose={() => setChosen(policy.number)}
            >
              {policy.state === 'live' && <Tag tone="good">{t('welcome.live')}</Tag>}
            </Choice>
          ))}
        </fieldset>
      )}
      <p className={style.note}>{t('welcome.bring')}</p>
      <Command text="backtalk policy import /path/to/model" />
    </Frame>
  )
}

function Command({ text }: { text: string }) {
  return (
    <div className={style.command}>
      <code>{text}</code>
      <CopyButton text={text} />
    </div>
  )
}

function EntranceStep(props: StepProps) {
  const t = useWords()
  const entrance = useEntranceRules()
  const [chosen, setChosen] = useState<EntranceMode | null>(null)
  const choose = useChooseEntrance()
  const mode = chosen ?? entrance.data?.signup
  const submit = () => {
    if (mode === undefined || mode === entrance.data?.signup) props.onDone()
    else choose.mutate(mode, { onSuccess: props.onDone })
  }
  return (
    <Frame
      {...props}
      title={t('entrance.title')}
      text={t(entrance.data?.fixed ? 'entrance.fixed' : 'entrance.text')}
      error={entrance.error ?? choose.error}
      isBusy={choose.isPending}
      onSubmit={submit}
    >
      <EntranceChoices mode={mode} isDisabled={entrance.data?.fixed === true} onChoose={setChosen} />
    </Frame>
  )
}

function ScheduleStep(props: StepProps) {
  const t = useWords()
  const schedules = useSchedules()
  const save = useSaveSchedule(null)
  const [plan, setPlan] = useState<Plan>('nightly')
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC'
  const present = schedules.data?.items[0]
  const submit = () => {
    if (plan === 'never' || present) {
      props.onDone()
      return
    }
    const values = {
      name: t(`welcome.planNames.${plan}`),
      cron: CRON[plan],
      time_zone: zone,
      minimum_feedback: FEEDBACK,
      after_feedback: plan === 'after' ? FEEDBACK : null,
      enabled: true,
    }
    save.mutate(values, { onSuccess: props.onDone })
  }
  return (
    <Frame
      {...props}
      title={t('welcome.schedule')}
      text={t('welcome.scheduleText')}
      error={schedules.error ?? save.error}
      isBusy={save.isPending}
      onSubmit={submit}
    >
      {present ? (
        <p className={style.note}>{t('welcome.exists', { name: present.name })}</p>
      ) : (
        <fieldset className={choices.choices}>
          <legend className="visually-hidden">{t('welcome.schedule')}</legend>
          {PLANS.map((it) => (
            <Choice
              key={it}
              group="plan"
              name={it}
              title={t(`welcome.plans.${it}`)}
              text={t(`welcome.plans.${it}Text`, { zone })}
              isChosen={it === plan}
              onChoose={() => setPlan(it)}
            />
          ))}
        </fieldset>
      )}
    </Frame>
  )
}

/** 2.1M, 7B. */
function compact(count: number, locale: string): string {
  return new Intl.NumberFormat(locale, { notation: 'compact', maximumSignificantDigits: 3 }).format(count)
}
