import { memo, useEffect, useLayoutEffect, useRef, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { Streamdown } from 'streamdown'

import { done, earlier, playByFrame } from './stage'

const Message = memo(({ text }) => (
  <article>
    <Streamdown>{text}</Streamdown>
  </article>
))

function Page({ messages }) {
  const [text, setText] = useState(null)
  const view = useRef(null)
  useEffect(() => {
    window.start = () => playByFrame(setText, done)
    window.isReady = true
  }, [])
  useLayoutEffect(() => {
    view.current.scrollTop = view.current.scrollHeight
  }, [text])
  return (
    <div id="thread" ref={view}>
      {messages.map(({ id, content }) => (
        <Message key={id} text={content} />
      ))}
      {text !== null && <Message text={text} />}
    </div>
  )
}

createRoot(document.getElementById('root')).render(<Page messages={await earlier()} />)
