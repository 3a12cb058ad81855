/** How versions become live, and who is told. */

import { Button, Group, NumberInput, Select, Stack, Switch, TextInput } from '@mantine/core'
import { useState } from 'react'

import { CopyButton } from '../parts/copy-button'
import { toast } from '../parts/toast'
import { useAnnouncements, useRelease, useSaveRelease, useTestWebhook } from './calls'
import { Empty, Page, Panel, Tag, Trouble, useMessage, Waiting } from './parts'
import { useReason } from './reasons'
import style from './release.module.css'
import { type Announcement, approvals, type ReleaseRules } from './shapes'
import tables from './table.module.css'
import { When } from './times'
import { isWord, useWords } from './words'

export function ReleasePage() {
  const t = useWords()
  const rules = useRelease()
  return (
    <Page title={t('release')} hint={t('rules.hint')}>
      {rules.error && <Trouble error={rules.error} onRetry={() => void rules.refetch()} />}
      {rules.isPending && <Waiting />}
      {rules.data && (
        <>
          <Rules key={`rules ${rules.data.updated_at}`} rules={rules.data} />
          <Webhook key={`webhook ${rules.data.updated_at}`} rules={rules.data} />
        </>
      )}
      <Announced />
    </Page>
  )
}

function Rules({ rules }: { rules: ReleaseRules }) {
  const t = useWords()
  const save = useSaveRelease()
  const [values, setValues] = useState(rules)
  const [shares, setShares] = useState(() => rules.canary_shares.map((share) => percentOf(share)).join(', '))
  const set = (change: Partial<ReleaseRules>) => setValues((old) => ({ ...old, ...change }))
  const submit = () => {
    const { approval, canary, canary_people, canary_replies, alpha } = values
    const canary_shares = shares.split(',').map((part) => Number(part.replace('%', '').trim()) / 100)
    save.mutate(
      { approval, canary, canary_shares, canary_people, canary_replies, alpha },
      { onSuccess: () => void toast({ message: t('reward.saved') }) },
    )
  }
  return (
    <Panel title={t('rules.title')}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          submit()
        }}
      >
        <Stack gap="sm" className={style.form ?? ''}>
          <Select
            label={t('rules.approval')}
            data={approvals.map((value) => ({ value, label: t(`rules.approvals.${value}`) }))}
            value={values.approval}
            onChange={(approval) => approval !== null && set({ approval })}
            allowDeselect={false}
          />
          <Switch
            label={t('rules.canary')}
            description={t('rules.canaryHint')}
            checked={values.canary}
            onChange={(event) => set({ canary: event.currentTarget.checked })}
          />
          {values.canary && (
            <>
              <TextInput
                label={t('rules.shares')}
                description={t('rules.sharesHint')}
                value={shares}
                onChange={(event) => setShares(event.currentTarget.value)}
              />
              <NumberInput
                label={t('rules.people')}
                description={t('rules.peopleHint')}
                value={values.canary_people}
                onChange={(value) => set({ canary_people: Number(value) })}
                min={1}
                allowDecimal={false}
              />
              <NumberInput
                label={t('rules.replies')}
                value={values.canary_replies}
                onChange={(value) => set({ canary_replies: Number(value) })}
                min={1}
                allowDecimal={false}
              />
              <NumberInput
                label={t('rules.alpha')}
                description={t('rules.alphaHint')}
                value={percentOf(values.alpha)}
                onChange={(value) => set({ alpha: Number(value) / 100 })}
                min={0.1}
                max={50}
                suffix=" %"
              />
            </>
          )}
          <Trouble error={save.error} />
          <Group justify="flex-end">
            <Button type="submit" loading={save.isPending}>
              {t('save')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Panel>
  )
}

function Webhook({ rules }: { rules: ReleaseRules }) {
  const t = useWords()
  const message = useMessage()
  const save = useSaveRelease()
  const test = useTestWebhook()
  const [url, setUrl] = useState(rules.webhook_url ?? '')
  const [isPrivate, setPrivate] = useState(rules.webhook_private)
  const submit = () =>
    save.mutate(
      { webhook_url: url.trim() || null, webhook_private: isPrivate },
      { onSuccess: () => void toast({ message: t('reward.saved') }) },
    )
  return (
    <Panel title={t('rules.webhook')} hint={t('rules.webhookHint')}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          submit()
        }}
      >
        <Stack gap="sm" className={style.form ?? ''}>
          <TextInput
            type="url"
            label={t('rules.address')}
            placeholder="https://hooks.example.org/backtalk"
            value={url}
            onChange={(event) => setUrl(event.currentTarget.value)}
            maxLength={2000}
          />
          <Switch
            label={t('rules.private')}
            description={t('rules.privateHint')}
            checked={isPrivate}
            onChange={(event) => setPrivate(event.currentTarget.checked)}
          />
          {rules.webhook_secret !== null && (
            <p className={style.secret}>
              {t('rules.secret')} <code>{rules.webhook_secret.slice(0, 10)}…</code>
              <CopyButton text={rules.webhook_secret} label={t('rules.copySecret')} />
            </p>
          )}
          <Trouble error={save.error} />
          <Group justify="flex-end" gap="sm">
            {rules.webhook_url !== null && (
              <Button
                variant="default"
                loading={test.isPending}
                onClick={() =>
                  test.mutate(undefined, {
                    onSuccess: () => void toast({ message: t('rules.tested') }),
                    onError: (error) => void toast({ message: message(error), color: 'red' }),
                  })
                }
              >
                {t('rules.test')}
              </Button>
            )}
            <Button type="submit" loading={save.isPending}>
              {t('save')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Panel>
  )
}

function Announced() {
  const t = useWords()
  const found = useAnnouncements()
  const items = found.data?.items
  return (
    <Panel title={t('rules.announced')}>
      {found.error && <Trouble error={found.error} onRetry={() => void found.refetch()} />}
      {items?.length === 0 && <Empty title={t('rules.nothing')} text={t('rules.nothingText')} />}
      {items && items.length > 0 && (
        <table className={tables.table}>
          <thead>
            <tr>
              <th scope="col">{t('rules.when')}</th>
              <th scope="col">{t('rules.what')}</th>
              <th scope="col">{t('rules.sent')}</th>
            </tr>
          </thead>
          <tbody>
            {items.map((item) => (
              <tr key={item.id}>
                <td data-name={t('rules.when')}>
                  <When at={item.at} />
                </td>
                <td data-name={t('rules.what')}>
                  <What item={item} />
                </td>
                <td data-name={t('rules.sent')}>
                  <Sent item={item} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  )
}

function What({ item }: { item: Announcement }) {
  const t = useWords()
  const said = useReason()
  const word = `rules.kinds.${item.kind}`
  const { policy, reason } = item.content
  return (
    <span>
      {isWord(word) ? t(word) : item.kind}
      {typeof policy === 'number' && ` · ${t('v', { number: policy })}`}
      {typeof reason === 'string' && reason !== '' && <span className={tables.faint}> · {said(reason)}</span>}
    </span>
  )
}

function Sent({ item }: { item: Announcement }) {
  const t = useWords()
  const said = useReason()
  if (item.delivered_at !== null) return <Tag tone="good">{t('rules.taken')}</Tag>
  if (item.next_at !== null) {
    return (
      <span>
        <Tag tone="warn">{t('rules.waits')}</Tag> <span className={tables.faint}>{said(item.error ?? '')}</span>
      </span>
    )
  }
  if (item.attempts === 0) return <span className={tables.faint}>{t('rules.noWebhook')}</span>
  return (
    <span>
      <Tag tone="bad">{t('rules.givenUp')}</Tag> <span className={tables.faint}>{said(item.error ?? '')}</span>
    </span>
  )
}

/** 0.05 as 5, without the dust of binary fractions. */
function percentOf(share: number): number {
  return Math.round(share * 100_000) / 1000
}
