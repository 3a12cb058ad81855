import { useDisclosure, useMediaQuery } from '@mantine/hooks'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { useLocation } from 'wouter'
import { create } from 'zustand'

import { Panel, Plus } from '../icons'
import { IconButton } from '../parts/icon-button'
import { lazyDialog } from '../parts/lazily'
import { isStranger, useMe, usePersonChanged } from '../people/me'
import style from './chat.module.css'
import { useConversations } from './conversations'
import { ConversationView } from './conversation-view'
import { Notices } from './notices'
import { session, useChat } from './session'
import { Sidebar } from './sidebar'

const SidebarDrawer = lazyDialog(() => import('./sidebar-drawer'))
const SignInDialog = lazyDialog(() => import('../people/sign-in'))

export function ChatPage() {
  const { t } = useTranslation()
  const { data: me, isError, isPending, refetch } = useMe()
  const [conversation, open] = useOpenConversation()
  const viewKey = useViewKey(conversation)
  const isNarrow = useMediaQuery('(max-width: 800px)', undefined, { getInitialValueInEffect: false })
  const [isDrawerOpen, drawer] = useDisclosure(false)
  const [isSidebarShown, sidebar] = useDisclosure(true)
  const [path, navigate] = useLocation()
  const isJoining = path === '/join' && (me === null || me?.guest === true)
  useSession(Boolean(me))

  const goTo = (id: string | null) => {
    drawer.close()
    open(id)
  }
  const list = me && <Sidebar me={me} open={conversation} onOpen={goTo} onHide={isNarrow ? drawer.close : sidebar.close} />
  return (
    <div className={style.page}>
      <a className={style.skip} href="#composer">
        {t('skip')}
      </a>
      {isNarrow ? (
        <SidebarDrawer isOpen={isDrawerOpen} onClose={drawer.close}>
          {list}
        </SidebarDrawer>
      ) : (
        isSidebarShown && <aside className={style.sidebar}>{list}</aside>
      )}
      <div className={style.main}>
        {(isNarrow || !isSidebarShown) && (
          <header className={style.topBar}>
            <IconButton label={t('sidebar.show')} onClick={isNarrow ? drawer.open : sidebar.open}>
              <Panel />
            </IconButton>
            <span className={style.topTitle}>{me && <Title conversation={conversation} />}</span>
            <IconButton label={t('sidebar.new')} onClick={() => goTo(null)}>
              <Plus />
            </IconButton>
          </header>
        )}
        <Notices />
        {isError && (
          <div className={style.fault} role="alert">
            {t('offline')}{' '}
            <button type="button" className="as-link" onClick={() => void refetch()}>
              {t('retry')}
            </button>
          </div>
        )}
        {isPending ? null : <ConversationView key={`${me?.id}/${viewKey}`} conversation={conversation} />}
      </div>
      {(me === null || isJoining) && (
        <SignInDialog isForced={me === null} onClose={() => navigate('/', { replace: true })} />
      )}
    </div>
  )
}

function Title({ conversation }: { conversation: string | null }) {
  const { data } = useConversations('', true)
  return data?.items.find((item) => item.id === conversation)?.title ?? 'Backtalk'
}

/**
 * React's key of the view of each conversation. A new conversation keeps the key it had before it got its address:
 * nothing is drawn anew, and whoever is typing types on.
 */
const useViewKeys = create<{ fresh: number; adopted: Record<string, string> }>(() => ({ fresh: 0, adopted: {} }))

function adopt(conversation: string): void {
  useViewKeys.setState(({ fresh, adopted }) => ({
    fresh: fresh + 1,
    adopted: { ...adopted, [conversation]: `new-${fresh}` },
  }))
}

function useViewKey(conversation: string | null): string {
  return useViewKeys(({ fresh, adopted }) => (conversation === null ? `new-${fresh}` : (adopted[conversation] ?? conversation)))
}

/** Which conversation the address names, and the way to another. A new one gets its address with its first reply. */
function useOpenConversation(): [string | null, (id: string | null) => void] {
  const [path, navigate] = useLocation()
  const conversation = /^\/c\/([^/]+)$/.exec(path)?.[1] ?? null
  const opened = useChat((state) => state.opened)
  useEffect(() => {
    if (opened === null) return
    if (conversation === null) {
      adopt(opened)
      navigate(`/c/${opened}`, { replace: true })
    }
    session.dispatch({ type: 'arrived' })
  }, [opened, conversation, navigate])
  return [conversation, (id) => navigate(id === null ? '/' : `/c/${id}`)]
}

/** The socket lives as long as the page, and lets the list beside know when something changed. */
function useSession(isKnown: boolean): void {
  const client = useQueryClient()
  const personChanged = usePersonChanged()
  useEffect(() => {
    session.onConversationChanged = () => {
      for (const key of ['conversations', 'share', 'shares']) void client.invalidateQueries({ queryKey: [key] })
    }
    session.onTurnedAway = () => void isStranger().then((isIt) => (isIt ? personChanged() : undefined))
    if (isKnown) session.open()
  }, [client, isKnown, personChanged])
}
