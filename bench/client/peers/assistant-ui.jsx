import { AssistantRuntimeProvider, MessagePrimitive, ThreadPrimitive, useLocalRuntime } from '@assistant-ui/react'
import { MarkdownTextPrimitive } from '@assistant-ui/react-markdown'
import { useEffect } from 'react'
import { createRoot } from 'react-dom/client'
import remarkGfm from 'remark-gfm'

import { done, earlier, playByFrame } from './stage'

const plugins = [remarkGfm]
const Text = () => <MarkdownTextPrimitive remarkPlugins={plugins} />
const parts = { Text }
const Said = () => (
  <MessagePrimitive.Root>
    <article>
      <MessagePrimitive.Parts components={parts} />
    </article>
  </MessagePrimitive.Root>
)
const components = { UserMessage: Said, AssistantMessage: Said }

const model = {
  async *run() {
    let wake
    let text = ''
    let isOver = false
    playByFrame(
      (now) => {
        text = now
        wake?.()
      },
      () => {
        isOver = true
        wake?.()
      },
    )
    while (!isOver) {
      await new Promise((resolve) => (wake = resolve))
      yield { content: [{ type: 'text', text }] }
    }
    done()
  },
}

function Page({ messages }) {
  const runtime = useLocalRuntime(model, {
    initialMessages: messages.map(({ id, role, content }) => ({ id, role, content: [{ type: 'text', text: content }] })),
  })
  useEffect(() => {
    window.start = () => runtime.thread.append({ role: 'user', content: [{ type: 'text', text: 'Go on.' }] })
    window.isReady = true
  }, [runtime])
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <ThreadPrimitive.Root style={{ height: '100%' }}>
        <ThreadPrimitive.Viewport id="thread">
          <ThreadPrimitive.Messages components={components} />
        </ThreadPrimitive.Viewport>
      </ThreadPrimitive.Root>
    </AssistantRuntimeProvider>
  )
}

createRoot(document.getElementById('root')).render(<Page messages={await earlier()} />)
