/** The audit log: who did what, when. */

import { Button } from '@mantine/core'
import { useState } from 'react'

import { useAudit, useNames } from './calls'
import style from './audit.module.css'
import { Empty, Older, Page, Panel, Trouble, Waiting } from './parts'
import type { Json } from './shapes'
import tables from './table.module.css'
import { When } from './times'
import { useWords } from './words'

const LONG = 40

export function AuditPage() {
  const t = useWords()
  const names = useNames()
  const [action, setAction] = useState('')
  const found = useAudit(action)
  const items = found.data?.pages.flatMap((page) => page.items)
  return (
    <Page
      title={t('audit')}
      hint={t('log.hint')}
      actions={
        action && (
          <Button variant="default" size="xs" onClick={() => setAction('')}>
            {t('log.all')}
          </Button>
        )
      }
    >
      {found.error && <Trouble error={found.error} onRetry={() => void found.refetch()} />}
      {found.isPending && <Waiting />}
      {items?.length === 0 && <Empty title={t('log.empty')} text={t('log.emptyText')} />}
      {items && items.length > 0 && (
        <Panel title={action || t('log.all')}>
          <table className={tables.table}>
            <thead>
              <tr>
                <th scope="col" className={tables.number}>{t('log.seq')}</th>
                <th scope="col">{t('log.at')}</th>
                <th scope="col">{t('log.actor')}</th>
                <th scope="col">{t('log.action')}</th>
                <th scope="col">{t('log.target')}</th>
                <th scope="col">{t('log.detail')}</th>
              </tr>
            </thead>
            <tbody>
              {items.map((row) => (
                <tr key={row.seq}>
                  <td data-name={t('log.seq')} className={tables.number} title={row.digest}>
                    {row.seq}
                  </td>
                  <td data-name={t('log.at')} className={style.at}>
                    <When at={row.at} />
                  </td>
                  <td data-name={t('log.actor')} title={row.actor}>
                    <bdi>{names.get(row.actor) ?? short(row.actor)}</bdi>
                  </td>
                  <td data-name={t('log.action')}>
                    <button type="button" className={style.action} title={t('log.filter')} onClick={() => setAction(row.action)}>
                      {row.action}
                    </button>
                  </td>
                  <td data-name={t('log.target')} title={row.target}>
                    <bdi>{names.get(row.target) ?? short(row.target)}</bdi>
                  </td>
                  <td data-name={t('log.detail')} className={style.detail}>
                    <Detail detail={row.detail} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Panel>
      )}
      <Older has={found.hasNextPage} isLoading={found.isFetchingNextPage} onMore={() => void found.fetchNextPage()} />
    </Page>
  )
}

/** Ids by their first part; the whole one is in the title. */
function short(id: string): string {
  return /^[0-9a-f]{8}-/.test(id) ? id.slice(0, 8) : id
}

function Detail({ detail }: { detail: Json }) {
  const told = Object.entries(detail)
    .filter(([, value]) => value !== null && value !== '')
    .map(([name, value]) => `${name.replaceAll('_', ' ')}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' · ')
  if (told.length <= LONG * 3) return <>{told}</>
  return (
    <details>
      <summary>{told.slice(0, LONG)}…</summary>
      {told}
    </details>
  )
}
