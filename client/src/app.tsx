import { MantineProvider } from '@mantine/core'
import { QueryClientProvider } from '@tanstack/react-query'
import { lazy, Suspense } from 'react'
import { useTranslation } from 'react-i18next'
import { Route, Switch } from 'wouter'

import { ChatPage } from './chat/chat-page'
import { useToasts } from './parts/toast'
import { queries } from './people/me'
import { theme } from './theme'

const Console = lazy(async () => {
  await import('@mantine/core/styles.layer.css')
  return await import('./operate/console')
})
const Toasts = lazy(() => import('./parts/toasts'))
const ReceiptsPage = lazy(() => import('./rate/receipts-page'))
const RaterPage = lazy(() => import('./rate/rater-page'))
const SharedPage = lazy(() => import('./chat/shared-page'))

export function App() {
  const areToastsWanted = useToasts((state) => state.areWanted)
  return (
    // Variables and classes come from the style sheets: a <style> element would not pass a strict security policy.
    <MantineProvider theme={theme} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
      <QueryClientProvider client={queries}>
        <Suspense>{areToastsWanted && <Toasts />}</Suspense>
        <Suspense fallback={<Waiting />}>
          <Switch>
            <Route path="/operate/*?">
              <Console />
            </Route>
            <Route path="/receipts">
              <ReceiptsPage />
            </Route>
            <Route path="/rate">
              <RaterPage />
            </Route>
            <Route path="/s/:token">{({ token }) => <SharedPage token={token} />}</Route>
            <Route>
              <ChatPage />
            </Route>
          </Switch>
        </Suspense>
      </QueryClientProvider>
    </MantineProvider>
  )
}

function Waiting() {
  const { t } = useTranslation()
  return (
    <p role="status" className="visually-hidden">
      {t('loading')}
    </p>
  )
}
