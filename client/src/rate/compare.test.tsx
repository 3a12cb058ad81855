import { MantineProvider } from '@mantine/core'
import { QueryClientProvider } from '@tanstack/react-query'
import { cleanup, render } from '@testing-library/react'
import { expect, test } from 'vitest'

import type { Message } from '../chat/message'
import { useChat } from '../chat/session'
import { queries } from '../people/me'
import { startWords } from '../words'
import ComparisonDialog from './compare'
import { compare } from './comparison'

await startWords()

function reply(id: string): Message {
  const at = '2026-01-01T00:00:00Z'
  return {
    id,
    conversation_id: 'c',
    learned: [],
    parent_id: 'q',
    role: 'assistant',
    content: id,
    state: 'done',
    policy_version: 0,
    finish_reason: 'stop',
    created_at: at,
    ended_at: at,
    feedback: null,
  }
}

test('either answer stands on the left about as often as the other', () => {
  queries.setQueryData(['me'], null)
  useChat.setState({ messages: { old: reply('old'), new: reply('new') } })
  compare('old', 'new')
  const firsts = Array.from({ length: 32 }, () => {
    render(
      <MantineProvider env="test">
        <QueryClientProvider client={queries}>
          <ComparisonDialog />
        </QueryClientProvider>
      </MantineProvider>,
    )
    const first = document.querySelector('[aria-label="Answer 1"]')?.textContent ?? ''
    cleanup()
    return first
  })
  // A fair coin shows fewer than three of either side in 32 throws once in four million times.
  expect(firsts.filter((first) => first.includes('old')).length).toBeGreaterThan(2)
  expect(firsts.filter((first) => first.includes('new')).length).toBeGreaterThan(2)
}, 60_000)
