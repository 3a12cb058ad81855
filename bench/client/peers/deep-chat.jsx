import 'deep-chat'

import { done, earlier, play } from './stage'

const chat = document.createElement('deep-chat')
chat.style.width = '100%'
chat.style.height = '100%'
chat.history = (await earlier()).map(({ role, content }) => ({ role: role === 'user' ? 'user' : 'ai', text: content }))
chat.connect = {
  stream: true,
  handler: (_, signals) => {
    signals.onOpen()
    play(
      (text) => void signals.onResponse({ text }),
      () => {
        signals.onClose()
        done()
      },
    )
  },
}
window.start = () => chat.submitUserMessage({ text: 'Go on.' })
document.getElementById('root').append(chat)

const waiting = setInterval(() => {
  if (!chat.shadowRoot?.querySelector('.message-bubble')) return
  clearInterval(waiting)
  window.isReady = true
}, 50)
