import '@fontsource-variable/inter/wght.css'
import './mantine.css'
import './theme.css'

import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'

import { App } from './app'
import { startOutbox } from './rate/outbox'
import { startWords } from './words'

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no element with the id "root"')

startOutbox()
void startWords().then(() =>
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  ),
)
