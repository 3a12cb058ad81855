import { Menu } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'wouter'

import { Archive, Bin, Check, Dots, Download, Globe, Mark, Panel, Pencil, Plus, Search, Shut } from '../icons'
import { IconButton } from '../parts/icon-button'
import { lazyDialog } from '../parts/lazily'
import { undoable } from '../parts/undoable'
import { AccountMenu } from '../people/account-menu'
import type { Me } from '../people/me'
import style from './sidebar.module.css'
import { deleteSoon, spare, useChangeConversation, useConversations, useDoomed, useExport } from './conversations'
import type { Conversation } from './message'

const ShareDialog = lazyDialog(() => import('./share-dialog'))

interface SidebarProps {
  me: Me
  open: string | null
  onOpen: (id: string | null) => void
  onHide: () => void
}

export function Sidebar({ me, open, onOpen, onHide }: SidebarProps) {
  const { t } = useTranslation()
  const [query, setQuery] = useState('')
  const [settledQuery] = useDebouncedValue(query.trim(), 200)
  const list = useConversations(settledQuery, true)
  const doomed = useDoomed((state) => state.ids)
  const items = (list.data?.items ?? []).filter((item) => !(item.id in doomed))
  const current = items.filter((item) => !item.archived || settledQuery !== '')
  const archived = settledQuery === '' ? items.filter((item) => item.archived) : []
  const row = (item: Conversation) => <Row key={item.id} item={item} isOpen={item.id === open} onOpen={onOpen} />
  return (
    <nav className={style.sidebar} aria-label={t('sidebar.label')}>
      <div className={style.head}>
        <Link
          href="/"
          className={style.name}
          onClick={(event) => {
            event.preventDefault()
            onOpen(null)
          }}
        >
          <Mark size={26} /> Backtalk
        </Link>
        <IconButton label={t('sidebar.hide')} onClick={onHide}>
          <Panel />
        </IconButton>
      </div>
      <button type="button" className={style.new} onClick={() => onOpen(null)}>
        <Plus size={16} /> {t('sidebar.new')}
      </button>
      <label className={style.search}>
        <Search size={16} />
        <input
          type="search"
          value={query}
          placeholder={t('sidebar.search')}
          aria-label={t('sidebar.search')}
          onChange={(event) => setQuery(event.currentTarget.value)}
        />
      </label>
      <div className={style.list}>
        {list.isSuccess && items.length === 0 && (
          <p className={style.empty}>{settledQuery ? t('sidebar.nothing', { query: settledQuery }) : t('sidebar.none')}</p>
        )}
        {grouped(current).map(([group, members]) => (
          <section key={group}>
            <h2>{t(`sidebar.${group}`)}</h2>
            <ul>{members.map(row)}</ul>
          </section>
        ))}
        {archived.length > 0 && (
          <details>
            <summary>
              {t('sidebar.archived')} ({archived.length})
            </summary>
            <ul>{archived.map(row)}</ul>
          </details>
        )}
      </div>
      <AccountMenu me={me} />
    </nav>
  )
}

interface RowProps {
  item: Conversation
  isOpen: boolean
  onOpen: (id: string | null) => void
}

function Row({ item, isOpen, onOpen }: RowProps) {
  const { t } = useTranslation()
  const { mutate } = useChangeConversation()
  const save = useExport()
  const [isRenaming, setRenaming] = useState(false)
  const [isSharing, setSharing] = useState(false)
  const title = item.title || t('sidebar.untitled')

  const archive = (archived: boolean) => {
    mutate({ id: item.id, archived })
    if (archived) undoable(t('sidebar.archivedToast', { title }), t('undo'), () => mutate({ id: item.id, archived: false }))
  }
  const keepOut = (isKeptOut: boolean) => {
    mutate({ id: item.id, train: !isKeptOut })
    if (isKeptOut) undoable(t('sidebar.keptOutToast', { title }), t('undo'), () => mutate({ id: item.id, train: true }))
  }
  const remove = () => {
    deleteSoon(item.id)
    if (isOpen) onOpen(null)
    undoable(t('sidebar.deletedToast', { title }), t('undo'), () => spare(item.id))
  }
  if (isRenaming) {
    return (
      <li>
        <Renaming
          title={item.title}
          onDone={(next) => {
            setRenaming(false)
            if (next && next !== item.title) mutate({ id: item.id, title: next })
          }}
        />
      </li>
    )
  }
  return (
    <li className={style.row} data-open={isOpen}>
      <Link
        href={`/c/${item.id}`}
        aria-current={isOpen ? 'page' : undefined}
        title={title}
        onClick={(event) => {
          event.preventDefault() // `onOpen` goes there; twice would be two steps back
          onOpen(item.id)
        }}
        onDoubleClick={() => setRenaming(true)}
      >
        {title}
      </Link>
      <Menu position="bottom-end" withinPortal shadow="md" width={230}>
        <Menu.Target>
          <IconButton label={t('sidebar.more', { title })} className={style.dots}>
            <Dots size={16} />
          </IconButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<Pencil size={16} />} onClick={() => setRenaming(true)}>
            {t('sidebar.rename')}
          </Menu.Item>
          <Menu.Item leftSection={<Archive size={16} />} onClick={() => archive(!item.archived)}>
            {t(item.archived ? 'sidebar.unarchive' : 'sidebar.archive')}
          </Menu.Item>
          <Menu.Item leftSection={<Globe size={16} />} onClick={() => setSharing(true)}>
            {t('sidebar.share')}
          </Menu.Item>
          <Menu.Item
            leftSection={item.train ? <Shut size={16} /> : <Check size={16} />}
            onClick={() => keepOut(item.train)}
          >
            {t(item.train ? 'sidebar.keepOut' : 'sidebar.letIn')}
          </Menu.Item>
          <Menu.Item leftSection={<Download size={16} />} onClick={() => save.mutate({ conversation: item, form: 'md' })}>
            {t('sidebar.exportMarkdown')}
          </Menu.Item>
          <Menu.Item leftSection={<Download size={16} />} onClick={() => save.mutate({ conversation: item, form: 'json' })}>
            {t('sidebar.exportJson')}
          </Menu.Item>
          <Menu.Item leftSection={<Bin size={16} />} color="red" onClick={remove}>
            {t('sidebar.delete')}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {isSharing && <ShareDialog conversation={item} onClose={() => setSharing(false)} />}
    </li>
  )
}

function Renaming({ title, onDone }: { title: string; onDone: (title: string | null) => void }) {
  const { t } = useTranslation()
  const [text, setText] = useState(title)
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => input.current?.select(), [])
  return (
    <input
      ref={input}
      className={style.renaming}
      value={text}
      maxLength={200}
      aria-label={t('sidebar.title')}
      onChange={(event) => setText(event.currentTarget.value)}
      onBlur={() => onDone(text.trim())}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && !event.nativeEvent.isComposing) onDone(text.trim())
        if (event.key === 'Escape') {
          event.preventDefault()
          onDone(null)
        }
      }}
    />
  )
}

type Group = 'today' | 'week' | 'earlier'

function grouped(items: Conversation[]): [Group, Conversation[]][] {
  const midnight = new Date().setHours(0, 0, 0, 0)
  const groups: Record<Group, Conversation[]> = { today: [], week: [], earlier: [] }
  for (const item of items) {
    const at = new Date(item.updated_at).getTime()
    groups[at >= midnight ? 'today' : at >= midnight - 6 * 86_400_000 ? 'week' : 'earlier'].push(item)
  }
  return (Object.entries(groups) as [Group, Conversation[]][]).filter(([, members]) => members.length > 0)
}
