/** A conversation as a file: what is shown as Markdown, or the whole tree as JSON. Pure, but for `download`. */

import type { Conversation, Message } from './message'
import { type Choices, visiblePath } from './tree'

export interface Names {
  you: string
  model: (version: number | null) => string
}

/** The visible branch, each turn under its name. */
export function asMarkdown(conversation: Conversation, messages: Message[], choices: Choices, names: Names): string {
  const byId = new Map(messages.map((message) => [message.id, message]))
  const turns = visiblePath(messages, choices, conversation.id).flatMap(({ id }) => {
    const message = byId.get(id)
    if (!message) return []
    const name = message.role === 'user' ? names.you : names.model(message.policy_version)
    return [`## ${name}\n\n${message.content.trim()}`]
  })
  return [`# ${conversation.title}`, ...turns].join('\n\n') + '\n'
}

export function asJson(conversation: Conversation, messages: Message[]): string {
  return JSON.stringify({ ...conversation, messages }, null, 2) + '\n'
}

/** A name that every file system takes. */
export function fileName(title: string, ending: string): string {
  const name = title
    .replace(/[\p{C}\\/:*?"<>|]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .replace(/^[.\s]+|[.\s]+$/g, '')
    .slice(0, 80)
  return `${name || 'conversation'}.${ending}`
}

export function download(name: string, text: string, type: string): void {
  const address = URL.createObjectURL(new Blob([text], { type }))
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), 10_000)
}
