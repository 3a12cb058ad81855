import '@chatscope/chat-ui-kit-styles/dist/default/styles.min.css'

import { ChatContainer, MainContainer, Message, MessageList } from '@chatscope/chat-ui-kit-react'
import { memo, useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'
import ReactMarkdown from 'react-markdown'
import remarkGfm from 'remark-gfm'

import { done, earlier, playByFrame } from './stage'

const plugins = [remarkGfm]
const Text = memo(({ text }) => <ReactMarkdown remarkPlugins={plugins}>{text}</ReactMarkdown>)

const shown = (id, role, text) => (
  <Message key={id} model={{ direction: role === 'user' ? 'outgoing' : 'incoming', position: 'single' }}>
    <Message.CustomContent>
      <Text text={text} />
    </Message.CustomContent>
  </Message>
)

function Page({ messages }) {
  const [text, setText] = useState(null)
  useEffect(() => {
    window.start = () => playByFrame(setText, done)
    window.isReady = true
  }, [])
  return (
    <MainContainer>
      <ChatContainer>
        <MessageList>
          {messages.map(({ id, role, content }) => shown(id, role, content))}
          {text !== null && shown('new', 'assistant', text)}
        </MessageList>
      </ChatContainer>
    </MainContainer>
  )
}

createRoot(document.getElementById('root')).render(<Page messages={await earlier()} />)
