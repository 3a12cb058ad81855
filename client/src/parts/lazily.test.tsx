import { act, render, screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { useState } from 'react'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { useConnection } from '../chat/session'
import { speak, startWords } from '../words'
import { extra } from './fetched'
import { lazyDialog, lazyPage } from './lazily'

await startWords()

const EN = 'This part could not be loaded: there is no connection, or Backtalk was updated meanwhile.'

let isServerThere: boolean
let isThere: boolean
const load = vi.fn(() =>
  isThere ? Promise.resolve({ default: () => <h1>Here it is</h1> }) : Promise.reject(new TypeError('Failed to fetch')),
)
const reload = vi.fn()

beforeEach(() => {
  isServerThere = false
  isThere = false
  load.mockClear()
  reload.mockClear()
  vi.spyOn(window.location, 'reload').mockImplementation(reload)
  vi.stubGlobal('fetch', () => (isServerThere ? Promise.resolve(new Response('')) : Promise.reject(new TypeError())))
})

afterEach(() => vi.unstubAllGlobals())

function page() {
  const Page = lazyPage(load)
  return render(<Page />)
}

function dialog() {
  const Dialog = lazyDialog<{ onClose: () => void }>(load)
  function Opener() {
    const [isOpen, setOpen] = useState(false)
    return (
      <>
        <button type="button" onClick={() => setOpen(true)}>
          Open
        </button>
        {isOpen && <Dialog onClose={() => setOpen(false)} />}
      </>
    )
  }
  return render(<Opener />)
}

test('a page that cannot be loaded says so and leads back to the chat', async () => {
  page()
  expect((await screen.findByRole('alert')).textContent).toBe(EN)
  expect(screen.getByRole('link').getAttribute('href')).toBe('/')
})

test('it says so in Chinese', async () => {
  await speak('zh')
  page()
  expect((await screen.findByRole('alert')).textContent).toMatch(/未能加载/)
  expect(screen.getByRole('button').textContent).toBe('重试')
  await act(() => speak('en'))
})

test('what is there at the second try is shown, without a reload', async () => {
  page()
  await screen.findByRole('alert')
  isThere = isServerThere = true
  await userEvent.click(screen.getByRole('button'))
  await screen.findByText('Here it is')
  expect(reload).not.toHaveBeenCalled()
})

test('without a server the page is kept, and the message is said once more', async () => {
  page()
  const alert = await screen.findByRole('alert')
  await userEvent.click(screen.getByRole('button'))
  await waitFor(() => expect(screen.getByRole('alert')).not.toBe(alert))
  expect(document.activeElement).toBe(screen.getByRole('button'))
  expect(reload).not.toHaveBeenCalled()
})

test('a server that is there and has other files by now is a reason to load the page anew, when one asks for it', async () => {
  isServerThere = true
  page()
  await screen.findByRole('alert')
  act(() => void window.dispatchEvent(new Event('online')))
  await waitFor(() => expect(load).toHaveBeenCalledTimes(2))
  expect(reload).not.toHaveBeenCalled()
  await userEvent.click(screen.getByRole('button'))
  await waitFor(() => expect(reload).toHaveBeenCalledOnce())
})

test('what could not be loaded comes by itself with the connection', async () => {
  page()
  await screen.findByRole('alert')
  isThere = true
  act(() => useConnection.setState({ connection: 'open' }))
  await screen.findByText('Here it is')
  act(() => useConnection.setState({ connection: 'closed' }))
})

test('a dialog that cannot be loaded is a smaller one, which Escape and a button close, and the focus goes back', async () => {
  dialog()
  for (const close of [() => userEvent.click(screen.getByText('Close')), escape]) {
    await userEvent.click(screen.getByText('Open'))
    expect((await screen.findByRole('alertdialog')).textContent).toContain(EN)
    await close()
    await waitFor(() => expect(screen.queryByRole('alertdialog')).toBeNull())
    expect(document.activeElement).toBe(screen.getByText('Open'))
  }
  isThere = true
  await userEvent.click(screen.getByText('Open'))
  await screen.findByText('Here it is')
})

/** What browsers make of that key. */
function escape(): Promise<void> {
  return act(() => {
    screen.getByRole('alertdialog').dispatchEvent(new Event('cancel', { cancelable: true }))
    return Promise.resolve()
  })
}

test('what decorates is tried once, says nothing, and comes with the connection', async () => {
  const fetching = vi.fn(() => (isThere ? Promise.resolve('bold') : Promise.reject(new TypeError('Failed to fetch'))))
  const useStyle = extra(fetching)
  const Word = () => <i>{useStyle(true) ?? 'plain'}</i>
  const { container } = render(
    <>
      <Word />
      <Word />
    </>,
  )
  await act(() => Promise.resolve())
  expect([container.textContent, fetching.mock.calls.length]).toEqual(['plainplain', 1])
  isThere = true
  act(() => void window.dispatchEvent(new Event('online')))
  await waitFor(() => expect(container.textContent).toBe('boldbold'))
  expect(fetching).toHaveBeenCalledTimes(2)
})
