/** The operator console: everything under `/operate`, with its own way around and one socket for all its pages. */

import { Button, useComputedColorScheme, useMantineColorScheme } from '@mantine/core'
import type { ComponentType } from 'react'
import { Link, Redirect, Route, Switch, useLocation } from 'wouter'

import { Check, Clock, Columns, Gauge, Globe, Left, Mark, Pencil, Person, Play, Receipt, Spark, Sun, ThumbUp } from '../icons'
import { IconButton } from '../parts/icon-button'
import { isOperator, useChooseLanguage, useMe } from '../people/me'
import { currentLanguage } from '../words'
import { AskingPage } from './asking'
import { AuditPage } from './audit'
import { useSummary } from './calls'
import { ClaimPage } from './claim'
import style from './console.module.css'
import { FeedbackPage } from './feedback'
import { OverviewPage } from './overview'
import { Empty, Page, Trouble, Waiting } from './parts'
import { PeoplePage } from './people'
import { ReleasePage } from './release'
import { RewardsPage } from './rewards'
import { RunPage } from './run'
import { RunsPage } from './runs'
import { SchedulesPage } from './schedules'
import { VersionsPage } from './versions'
import { useLive } from './watch'
import { WelcomePage } from './welcome'
import { useWords, type Word } from './words'

const pages: { path: string; word: Word; Icon: ComponentType<{ size?: number }> }[] = [
  { path: '/operate', word: 'overview', Icon: Gauge },
  { path: '/operate/runs', word: 'runs', Icon: Play },
  { path: '/operate/versions', word: 'versions', Icon: Spark },
  { path: '/operate/release', word: 'release', Icon: Check },
  { path: '/operate/schedules', word: 'schedules', Icon: Clock },
  { path: '/operate/rewards', word: 'rewards', Icon: Columns },
  { path: '/operate/asking', word: 'asking.title', Icon: Pencil },
  { path: '/operate/feedback', word: 'feedback', Icon: ThumbUp },
  { path: '/operate/people', word: 'people', Icon: Person },
  { path: '/operate/audit', word: 'audit', Icon: Receipt },
]

export default function Console() {
  return (
    <Switch>
      <Route path="/operate/claim" component={ClaimPage} />
      <Route component={ForOperators} />
    </Switch>
  )
}

function ForOperators() {
  const t = useWords()
  const me = useMe()
  if (me.isPending) return <Waiting />
  if (me.error) return <Trouble error={me.error} onRetry={() => void me.refetch()} />
  if (isOperator(me.data)) {
    return (
      <Switch>
        <Route path="/operate/welcome" component={WelcomePage} />
        <Route component={Shell} />
      </Switch>
    )
  }
  return (
    <main className={style.alone}>
      <Empty title={t('notOperator.title')} text={t('notOperator.text')}>
        <Button component={Link} href="/">
          {t('notOperator.signIn')}
        </Button>
      </Empty>
    </main>
  )
}

function Shell() {
  const t = useWords()
  const connection = useLive()
  const isOpen = connection === 'open'
  return (
    <div className={style.shell}>
      <a href="#page" className={style.skip}>
        {t('skip')}
      </a>
      <header className={style.bar}>
        <Link href="/operate" className={style.brand}>
          <Mark size={22} />
          <span>{t('title')}</span>
        </Link>
        <span className={style.live} data-open={isOpen} role="status">
          {t(`live.${connection}`)}
        </span>
        <Look />
        <Link href="/" className={style.back} title={t('back')}>
          <Left size={16} />
          <span>{t('back')}</span>
        </Link>
      </header>
      <Ways />
      <main id="page" className={style.main} tabIndex={-1}>
        <Switch>
          <Route path="/operate" component={OverviewPage} />
          <Route path="/operate/runs" component={RunsPage} />
          <Route path="/operate/runs/:id">{({ id }) => <RunPage key={id} id={id} />}</Route>
          <Route path="/operate/versions" component={VersionsPage} />
          <Route path="/operate/versions/:number">{({ number }) => <Redirect to={`/operate/versions#v${number}`} replace />}</Route>
          <Route path="/operate/release" component={ReleasePage} />
          <Route path="/operate/schedules" component={SchedulesPage} />
          <Route path="/operate/rewards" component={RewardsPage} />
          <Route path="/operate/asking" component={AskingPage} />
          <Route path="/operate/feedback" component={FeedbackPage} />
          <Route path="/operate/people" component={PeoplePage} />
          <Route path="/operate/audit" component={AuditPage} />
          <Route>
            <Page title={t('notFound.title')}>
              <p>{t('notFound.text')}</p>
            </Page>
          </Route>
        </Switch>
      </main>
    </div>
  )
}

function Ways() {
  const t = useWords()
  const waiting = useSummary().data?.waiting.length ?? 0
  const [location] = useLocation()
  return (
    <nav className={style.ways} aria-label={t('sections')}>
      <ul>
        {pages.map(({ path, word, Icon }) => {
          const isHere = path === '/operate' ? location === path : location.startsWith(path)
          return (
            <li key={path}>
              <Link
                href={path}
                aria-current={isHere ? 'page' : undefined}
                ref={(link: HTMLAnchorElement | null) => {
                  // On a phone the sections are one line that scrolls; the present one must be seen.
                  if (isHere) link?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
                }}
              >
                <Icon size={16} />
                {t(word)}
                {word === 'versions' && waiting > 0 && (
                  <>
                    <span className={style.badge} aria-hidden="true">
                      {waiting}
                    </span>
                    <span className="visually-hidden">{t('waiting.badge', { count: waiting })}</span>
                  </>
                )}
              </Link>
            </li>
          )
        })}
      </ul>
    </nav>
  )
}

function Look() {
  const t = useWords()
  const isDark = useComputedColorScheme('light') === 'dark'
  const { setColorScheme } = useMantineColorScheme()
  const chooseLanguage = useChooseLanguage()
  return (
    <>
      <IconButton label={t('look.language')} onClick={() => chooseLanguage(currentLanguage() === 'en' ? 'zh' : 'en')}>
        <Globe size={18} />
      </IconButton>
      <IconButton
        label={isDark ? t('look.light') : t('look.dark')}
        onClick={() => setColorScheme(isDark ? 'light' : 'dark')}
      >
        <Sun size={18} />
      </IconButton>
    </>
  )
}
