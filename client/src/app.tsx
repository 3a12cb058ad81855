import { MantineProvider } from '@mantine/core'
import { QueryClientProvider } from '@tanstack/react-query'
import { Route, Switch } from 'wouter'

import { ChatPage } from './chat/chat-page'
import { lazily, lazyPage } from './parts/lazily'
import { useToasts } from './parts/toast'
import { queries } from './people/me'
import { theme } from './theme'

const Console = lazyPage(async () => {
  await import('@mantine/core/styles.layer.css')
  return await import('./operate/console')
})
const Toasts = lazily(() => import('./parts/toasts'), () => null)
const ReceiptsPage = lazyPage(() => import('./rate/receipts-page'))
const RaterPage = lazyPage(() => import('./rate/rater-page'))
const SharedPage = lazyPage(() => import('./chat/shared-page'))

export function App() {
  const areToastsWanted = useToasts((state) => state.areWanted)
  return (
    // Variables and classes come from the style sheets: a <style> element would not pass a strict security policy.
    <MantineProvider theme={theme} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
      <QueryClientProvider client={queries}>
        {areToastsWanted && <Toasts />}
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
      </QueryClientProvider>
    </MantineProvider>
  )
}
