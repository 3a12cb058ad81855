import { expect, test } from 'vitest'

import { asJson, asMarkdown, fileName } from './export'
import type { Message } from './message'

const conversation = { id: 'c', title: 'Tales', created_at: '', updated_at: '', archived: false, train: true }

function message(id: string, parent_id: string | null, role: 'user' | 'assistant', content: string): Message {
  const rest = { created_at: '', ended_at: '', feedback: null, finish_reason: null, state: 'done' } as const
  return { id, conversation_id: 'c', parent_id, role, content, policy_version: role === 'user' ? null : 3, learned: [], ...rest }
}

const messages = [
  message('q', null, 'user', 'Tell me one.'),
  message('a', 'q', 'assistant', 'Once.'),
  message('b', 'q', 'assistant', 'Twice.'),
]
const names = { you: 'You', model: (version: number | null) => `Backtalk, version ${version}` }

test('Markdown holds the branch that is shown', () => {
  expect(asMarkdown(conversation, messages, {}, names)).toBe(
    '# Tales\n\n## You\n\nTell me one.\n\n## Backtalk, version 3\n\nTwice.\n',
  )
  expect(asMarkdown(conversation, messages, { q: 'a' }, names)).toContain('Once.')
})

test('JSON holds every branch', () => {
  const kept = JSON.parse(asJson(conversation, messages)) as { title: string; messages: Message[] }
  expect(kept.title).toBe('Tales')
  expect(kept.messages.map(({ content }) => content)).toEqual(['Tell me one.', 'Once.', 'Twice.'])
})

test('a title becomes a name that every file system takes', () => {
  expect(fileName('What is 1/2? "half"', 'md')).toBe('What is 1 2 half.md')
  expect(fileName('../..', 'json')).toBe('conversation.json')
  expect(fileName('长城有多长？', 'md')).toBe('长城有多长？.md')
})
