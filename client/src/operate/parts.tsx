/** What all pages of the console are made of. */

import { Button, Loader } from '@mantine/core'
import { type ReactNode, useEffect, useId } from 'react'
import { useTranslation } from 'react-i18next'

import { HttpError, Offline } from '../http'
import { Again, Warning } from '../icons'
import style from './parts.module.css'
import { useReason } from './reasons'
import type { PolicyState, RunState } from './shapes'
import { isWord, useWords } from './words'

interface PageProps {
  title: string
  hint?: string
  actions?: ReactNode
  above?: ReactNode
  children: ReactNode
}

/** One page: its heading, what can be done with it as a whole, and its content. */
export function Page({ title, hint, actions, above, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Backtalk`
  }, [title])
  return (
    <div className={style.page}>
      {above}
      <header className={style.head}>
        <div>
          <h1 className={style.title}>{title}</h1>
          {hint !== undefined && <p className={style.hint}>{hint}</p>}
        </div>
        {actions !== undefined && <div className={style.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  )
}

interface PanelProps {
  title: string
  hint?: string | undefined
  actions?: ReactNode
  id?: string
  children: ReactNode
}

export function Panel({ title, hint, actions, id, children }: PanelProps) {
  const heading = useId()
  return (
    <section className={style.panel} aria-labelledby={heading} id={id}>
      <div className={style.panelHead}>
        <h2 id={heading} className={style.panelTitle}>
          {title}
        </h2>
        {actions}
      </div>
      {hint !== undefined && <p className={style.hint}>{hint}</p>}
      {children}
    </section>
  )
}

export function Empty({ title, text, children }: { title: string; text: string; children?: ReactNode }) {
  return (
    <div className={style.empty}>
      <p className={style.emptyTitle}>{title}</p>
      <p>{text}</p>
      {children}
    </div>
  )
}

export function Waiting() {
  const t = useWords()
  return (
    <div className={style.waiting} role="status">
      <Loader size="sm" />
      <span className="visually-hidden">{t('loading')}</span>
    </div>
  )
}

/** What the server said, or that it said nothing. */
export function useMessage(): (error: unknown) => string {
  const { t } = useTranslation()
  const said = useReason()
  return (error) => {
    if (error instanceof HttpError) return said(error.message)
    if (error instanceof Offline) return t('offline')
    return t('somethingWrong', { message: String(error) })
  }
}

export function Trouble({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const t = useWords()
  const message = useMessage()
  if (error === null || error === undefined) return null
  return (
    <div className={style.trouble} role="alert">
      <Warning size={18} />
      <p>{message(error)}</p>
      {onRetry && (
        <Button size="compact-sm" variant="default" leftSection={<Again size={14} />} onClick={onRetry}>
          {t('retry')}
        </Button>
      )}
    </div>
  )
}

const tones: Record<RunState | PolicyState, string | undefined> = {
  queued: style.quiet,
  running: style.accent,
  promoted: style.good,
  rejected: style.warn,
  failed: style.bad,
  cancelled: style.quiet,
  candidate: style.accent,
  canary: style.accent,
  live: style.good,
  retired: style.quiet,
  withdrawn: style.warn,
}

export function StateBadge({ state }: { state: RunState | PolicyState }) {
  const t = useWords()
  return <span className={`${style.badge} ${tones[state] ?? ''}`}>{t(`state.${state}`)}</span>
}

/** A small mark beside a name. */
export function Tag({ tone = 'quiet', children }: { tone?: 'quiet' | 'accent' | 'good' | 'warn' | 'bad'; children: ReactNode }) {
  return <span className={`${style.tag} ${style[tone] ?? ''}`}>{children}</span>
}

/** A name and what it is: rows of facts. */
export function Facts({ items }: { items: [name: string, value: ReactNode][] }) {
  return (
    <dl className={style.facts}>
      {items.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

export function Older({ has, isLoading, onMore }: { has: boolean; isLoading: boolean; onMore: () => void }) {
  const t = useWords()
  if (!has) return null
  return (
    <Button variant="default" onClick={onMore} loading={isLoading} className={style.older}>
      {t('older')}
    </Button>
  )
}

/** Counts that a run made of its data, in words where there are words for them. */
export function useCountWord(): (name: string) => string {
  const t = useWords()
  return (name) => {
    const word = `counts.${name}`
    return isWord(word) ? t(word) : name.replaceAll('_', ' ')
  }
}
