/** What every peer's page has in common: the earlier messages, and the stream. */

const conversation = new URLSearchParams(location.search).get('conversation')

export async function earlier() {
  const answer = await fetch(`/api/conversations/${conversation}/messages`)
  return (await answer.json()).items
}

/** Asks for the standard stream; `onPiece` is given each piece as it comes. */
export function play(onPiece, onEnd) {
  const socket = new WebSocket(`ws://${location.host}/ws/chat`)
  socket.onopen = () =>
    socket.send(JSON.stringify({ type: 'say', key: crypto.randomUUID(), conversation_id: conversation, text: 'Go on.' }))
  socket.onmessage = ({ data }) => {
    const word = JSON.parse(data)
    if (word.type === 'delta') onPiece(word.text)
    if (word.type === 'ended') onEnd()
  }
}

/** The same, with the pieces gathered once per animation frame, as our page does it. */
export function playByFrame(onText, onEnd) {
  let text = ''
  let isScheduled = false
  const show = () => {
    isScheduled = false
    onText(text)
  }
  play(
    (piece) => {
      text += piece
      if (!isScheduled) requestAnimationFrame(show)
      isScheduled = true
    },
    () => {
      onText(text)
      onEnd()
    },
  )
}

export function done() {
  requestAnimationFrame(() => requestAnimationFrame(() => (window.isDone = true)))
}
