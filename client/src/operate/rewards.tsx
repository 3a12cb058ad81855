/** Reward profiles: what counts, and how much; the active one goes into every next run. */

import { Button, Group, Modal, NumberInput, Slider, Stack, Textarea, TextInput } from '@mantine/core'
import { useState } from 'react'

import { Plus } from '../icons'
import { toast } from '../parts/toast'
import { useProfiles, useRecipe, useRemoveProfile, useRevisions, useSaveProfile } from './calls'
import { Confirm } from './confirm'
import { plain, spaced } from './figures'
import { OwnRules, wordsIn } from './own-rules'
import { Empty, Page, Panel, Tag, Trouble, Waiting } from './parts'
import { PreviewProfile } from './preview-profile'
import { useRewardWord } from './reward-word'
import style from './rewards.module.css'
import type { Profile, ProfileContent, Profiles, Revision } from './shapes'
import { useLocale, When } from './times'
import { useWords } from './words'

const HIGHEST = 3

export function RewardsPage() {
  const t = useWords()
  const profiles = useProfiles()
  const [isAdding, setAdding] = useState(false)
  const data = profiles.data
  const add = (
    <Button leftSection={<Plus size={16} />} onClick={() => setAdding(true)}>
      {t('reward.add')}
    </Button>
  )
  return (
    <Page title={t('rewards')} hint={t('reward.hint')} actions={data && data.items.length > 0 ? add : undefined}>
      {profiles.error && <Trouble error={profiles.error} onRetry={() => void profiles.refetch()} />}
      {profiles.isPending && <Waiting />}
      {data?.items.length === 0 && (
        <Empty title={t('reward.empty')} text={t('reward.emptyText')}>
          {add}
        </Empty>
      )}
      {data && data.items.length > 0 && !data.items.some((profile) => profile.active) && (
        <p className={style.none}>{t('reward.none')}</p>
      )}
      {data?.items.map((profile) => (
        <Editor key={`${profile.name} ${profile.updated_at}`} profile={profile} known={data} />
      ))}
      {data && isAdding && <Add known={data} onClose={() => setAdding(false)} />}
    </Page>
  )
}

function Editor({ profile, known }: { profile: Profile; known: Profiles }) {
  const t = useWords()
  const [content, setContent] = useState<ProfileContent>(profile)
  const { weights, rules, limits, forbidden } = content
  const [loaded, setLoaded] = useState(0)
  const set = (change: Partial<ProfileContent>) => setContent((old) => ({ ...old, ...change }))
  const save = useSaveProfile()
  const isChanged = content !== profile
  const put = (active: boolean) =>
    save.mutate(
      { name: profile.name, weights, rules, limits, forbidden, active },
      { onSuccess: () => void toast({ message: t('reward.saved') }) },
    )
  const styles = Object.keys(known.styles)
  const weigh = (reward: string, value: number) => set({ weights: { ...weights, [reward]: value } })
  return (
    <Panel
      title={profile.name}
      actions={
        <span className={style.state}>
          {profile.active && <Tag tone="good">{t('reward.active')}</Tag>}
          <span>
            {t('reward.revision', { number: profile.revision })} · <When at={profile.updated_at} />
          </span>
        </span>
      }
    >
      <div className={style.columns}>
        <fieldset className={style.group}>
          <legend>{t('reward.weights')}</legend>
          {known.rewards
            .filter((reward) => !styles.includes(reward))
            .map((reward) => (
              <Weight key={reward} reward={reward} value={weights[reward] ?? 0} onChange={(value) => weigh(reward, value)} />
            ))}
        </fieldset>
        <fieldset className={style.group}>
          <legend>{t('reward.styles')}</legend>
          <p className={style.hint}>{t('reward.stylesHint')}</p>
          {styles.map((reward) => (
            <Weight
              key={reward}
              reward={reward}
              title={known.styles[reward]}
              value={weights[reward] ?? 0}
              isSigned
              onChange={(value) => weigh(reward, value)}
            />
          ))}
        </fieldset>
      </div>
      <OwnRules content={content} measures={known.measures} onChange={set}>
        {(name) => <Weight reward={name} value={weights[name] ?? 0} isSigned onChange={(value) => weigh(name, value)} />}
      </OwnRules>
      <details className={style.more}>
        <summary>{t('reward.limits')}</summary>
        <Forbidden key={loaded} words={forbidden} onChange={(words) => set({ forbidden: words })} />
        <Limits names={known.limits} limits={limits} onChange={(changed) => set({ limits: changed })} />
      </details>
      <History
        name={profile.name}
        onLoad={(old) => {
          set({ weights: old.weights, rules: old.rules, limits: old.limits, forbidden: old.forbidden })
          setLoaded(loaded + 1)
        }}
      />
      <Trouble error={save.error} />
      <Group gap="sm" mt="md">
        {profile.active ? (
          <>
            <Button size="sm" disabled={!isChanged} loading={save.isPending} onClick={() => put(true)}>
              {t('save')}
            </Button>
            <Button size="sm" variant="default" disabled={save.isPending} onClick={() => put(false)}>
              {t('reward.deactivate')}
            </Button>
          </>
        ) : (
          <>
            <Button size="sm" loading={save.isPending} onClick={() => put(true)}>
              {t('reward.activate')}
            </Button>
            <Button size="sm" variant="default" disabled={!isChanged || save.isPending} onClick={() => put(false)}>
              {t('save')}
            </Button>
            <Remove name={profile.name} />
          </>
        )}
      </Group>
      <PreviewProfile content={{ weights, rules, limits, forbidden }} />
    </Panel>
  )
}

function Remove({ name }: { name: string }) {
  const t = useWords()
  const [isAsking, setAsking] = useState(false)
  const remove = useRemoveProfile()
  return (
    <>
      <Button size="sm" variant="default" onClick={() => setAsking(true)}>
        {t('reward.remove')}
      </Button>
      {isAsking && (
        <Confirm
          title={t('reward.removeTitle')}
          text={t('reward.removeText')}
          action={t('reward.remove')}
          isDanger
          isBusy={remove.isPending}
          error={remove.error}
          onConfirm={() => remove.mutate(name, { onSuccess: () => setAsking(false) })}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  )
}

/** What the profile once was; a revision is loaded into the editor, and counts once it is saved. */
function History({ name, onLoad }: { name: string; onLoad: (old: Revision) => void }) {
  const t = useWords()
  const [isOpen, setOpen] = useState(false)
  return (
    <details className={style.more} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t('reward.history')}</summary>
      {isOpen && <Revisions name={name} onLoad={onLoad} />}
    </details>
  )
}

function Revisions({ name, onLoad }: { name: string; onLoad: (old: Revision) => void }) {
  const t = useWords()
  const word = useRewardWord()
  const revisions = useRevisions(name)
  if (revisions.isPending) return <Waiting />
  if (revisions.error) return <Trouble error={revisions.error} />
  return (
    <ul className={style.revisions}>
      {revisions.data.items.map((one) => (
        <li key={one.revision}>
          <span>
            {t('reward.revision', { number: one.revision })} · <When at={one.at} />
          </span>
          <span className={style.hint}>
            {Object.entries(one.weights)
              .filter(([, weight]) => weight !== 0)
              .map(([reward, weight]) => `${word(reward)} ${weight}`)
              .join(', ')}
          </span>
          <Button size="compact-xs" variant="default" onClick={() => onLoad(one)}>
            {t('reward.restore')}
          </Button>
        </li>
      ))}
    </ul>
  )
}

interface WeightProps {
  reward: string
  value: number
  title?: string | undefined
  /** Whether it may also be below 0. */
  isSigned?: boolean
  onChange: (value: number) => void
}

function Weight({ reward, value, title, isSigned = false, onChange }: WeightProps) {
  const locale = useLocale()
  const name = useRewardWord()(reward)
  return (
    <div className={style.weight} title={title}>
      <span className={style.name}>{name}</span>
      <Slider
        className={style.slider ?? ''}
        thumbLabel={name}
        value={value}
        onChange={onChange}
        min={isSigned ? -Math.max(HIGHEST, Math.ceil(-value)) : 0}
        max={Math.max(HIGHEST, Math.ceil(value))}
        step={0.05}
        label={null}
        thumbValueText={plain(value, locale)}
      />
      <output>{value.toLocaleString(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 })}</output>
    </div>
  )
}

function Forbidden({ words, onChange }: { words: string[]; onChange: (words: string[]) => void }) {
  const t = useWords()
  return (
    <Textarea
      size="xs"
      autosize
      mt="sm"
      label={t('reward.forbidden')}
      description={t('reward.forbiddenHint')}
      defaultValue={words.join(', ')}
      onChange={(event) => onChange(wordsIn(event.currentTarget.value))}
    />
  )
}

interface LimitsProps {
  names: string[]
  limits: Record<string, number>
  onChange: (limits: Record<string, number>) => void
}

function Limits({ names, limits, onChange }: LimitsProps) {
  const t = useWords()
  const locale = useLocale()
  const gate = useGate()
  const set = (name: string, value: number | string) => {
    const others = Object.fromEntries(Object.entries(limits).filter(([other]) => other !== name))
    onChange(typeof value === 'number' ? { ...others, [name]: value } : others)
  }
  return (
    <fieldset className={style.group}>
      <legend className="visually-hidden">{t('reward.limits')}</legend>
      <p className={style.hint}>{t('reward.limitsHint')}</p>
      <div className={style.limits}>
        {names.map((name) => {
          const usual = gate.defaults[name]
          return (
            <NumberInput
              key={name}
              size="xs"
              label={spaced(name)}
              description={gate.meanings[name]}
              placeholder={usual === undefined ? '' : t('reward.limitDefault', { value: plain(usual, locale) })}
              value={limits[name] ?? ''}
              onChange={(value) => set(name, value)}
              step={0.01}
            />
          )
        })}
      </div>
    </fieldset>
  )
}

/** What the recipe says of the gate: defaults and meanings, by the names of the limits. */
function useGate(): { defaults: Record<string, number>; meanings: Record<string, string> } {
  const recipe = useRecipe().data
  const schema = recipe?.json_schema as
    | { $defs?: { Gate?: { properties?: Record<string, { description?: string }> } } }
    | undefined
  const properties = schema?.$defs?.Gate?.properties ?? {}
  return {
    defaults: (recipe?.default.gate ?? {}) as Record<string, number>,
    meanings: Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, property.description ?? ''])),
  }
}

function Add({ known, onClose }: { known: Profiles; onClose: () => void }) {
  const t = useWords()
  const [name, setName] = useState('')
  const save = useSaveProfile()
  const submit = () => {
    const weights = Object.fromEntries(known.rewards.map((reward, index) => [reward, index === 0 ? 1 : 0]))
    save.mutate({ name: name.trim(), weights, rules: {}, limits: {}, forbidden: [], active: false }, { onSuccess: onClose })
  }
  return (
    <Modal opened onClose={onClose} title={t('reward.add')} closeButtonProps={{ 'aria-label': t('close') }}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          submit()
        }}
      >
        <Stack gap="md">
          <TextInput
            label={t('reward.name')}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            maxLength={128}
            required
            data-autofocus
          />
          <Trouble error={save.error} />
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={onClose}>
              {t('cancel')}
            </Button>
            <Button type="submit" loading={save.isPending}>
              {t('add')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
