/**
 * Runs the chat: hands events to the reducer, sends what waits, asks for what is missing.
 *
 * Deltas are gathered and applied with the animation frames, some thirty times a second, however many arrive. What the
 * server has not acknowledged survives a reload in the tab's own storage and goes out again under its key, so a question
 * is asked exactly once.
 */

import { create } from 'zustand'

import type { Asked, ChatEvent } from '../events'
import { call, HttpError, type Items, page } from '../http'
import { newKey } from '../key'
import { type Connection, Socket } from '../socket'
import { useManner, wishOf } from './manner'
import type { Message } from './message'
import { type ChatAction, type ChatState, nothingYet, type Pending, reduce } from './state'

export const useChat = create<ChatState>(() => nothingYet)
export const useConnection = create<{ connection: Connection }>(() => ({ connection: 'closed' }))

const OUTBOX = 'backtalk.outbox'
/** How often a reply that cannot be resumed is asked for before it is given up. */
const FOLLOW_TRIES = 3
/** Milliseconds between two changes of a growing text: no eye reads faster, and drawing each token costs twice as much. */
const SHOWN_EVERY = 28
/** Milliseconds that a conversation may take to come. */
const PATIENCE = 20_000
/** Milliseconds that changes are gathered: what comes together is fetched once. */
const GATHERED = 250
/** A hidden page gets no animation frames; its replies still have to grow. */
const HIDDEN_FRAME = 250

export class ChatSession {
  private readonly socket: Socket
  private buffered: ChatEvent[] = []
  private isScheduled = false
  private flushedAt = -Infinity
  private readonly followTries = new Map<string, number>()
  private readonly unsentStops = new Set<string>()
  private readonly retries = new Map<string, ReturnType<typeof setTimeout>>()
  private readonly loads = new Map<string, Promise<void>>()
  /** Runs while changes are gathered. */
  private gathering: ReturnType<typeof setTimeout> | undefined
  private isShownStale = false
  private shown: string | null = null
  private hasBeenOpen = false
  /** Told whenever a conversation has begun, one of its replies has ended, or something was done on another page. */
  onConversationChanged: () => void = () => undefined
  /** Told when the server turns the socket away: the session may have been ended elsewhere. */
  onTurnedAway: () => void = () => undefined

  constructor() {
    this.socket = new Socket(`/ws/chat?changes=true&page=${page}`, {
      onFrame: (frame) => this.receive(frame as ChatEvent),
      onConnection: (connection) => this.connected(connection),
      onTurnedAway: () => this.onTurnedAway(),
      isWaiting: isWaiting,
    })
  }

  open(): void {
    for (const request of storedOutbox()) {
      if (!useChat.getState().outbox.some((p) => p.request.key === request.key)) {
        this.dispatch({ type: 'queued', pending: { request, attempts: 1, refused: null } })
      }
    }
    this.socket.open()
    window.addEventListener('focus', this.lookAgain)
  }

  close(): void {
    window.removeEventListener('focus', this.lookAgain)
    clearTimeout(this.gathering)
    this.gathering = undefined
    this.socket.close()
  }

  /** Everything of the former person is forgotten and the socket comes back as the present one. */
  becomeSomebodyElse(): void {
    this.buffered = []
    this.dispatch({ type: 'reset' })
    this.renew()
  }

  /** The cookie changed: the socket comes back under the new one. */
  renew(): void {
    this.socket.renew()
  }

  say(conversation: string | null, parent: string | null, text: string): void {
    const sampling = wishOf(useManner.getState().manner)
    this.queue({
      type: 'say',
      key: newKey(),
      conversation_id: conversation,
      parent_id: parent,
      text,
      ...(sampling && { sampling }),
    })
  }

  /** Returns the key of the request. */
  regenerate(reply: string): string {
    // The seed that made the reply would make it again.
    const sampling = wishOf({ ...useManner.getState().manner, seed: undefined })
    const key = newKey()
    this.queue({ type: 'regenerate', key, reply_id: reply, ...(sampling && { sampling }) })
    return key
  }

  goOn(reply: string): void {
    this.queue({ type: 'continue', key: newKey(), reply_id: reply })
  }

  stop(reply: string): void {
    if (!this.socket.send({ type: 'stop', reply_id: reply })) this.unsentStops.add(reply)
  }

  retry(key: string): void {
    clearTimeout(this.retries.get(key))
    this.retries.delete(key)
    const pending = useChat.getState().outbox.find((p) => p.request.key === key)
    if (pending) this.send(pending)
  }

  withdraw(key: string): void {
    clearTimeout(this.retries.get(key))
    this.dispatch({ type: 'withdrawn', key })
  }

  /** The conversation that is on the page now: it is kept as it is stored, whoever changes it. */
  show(conversation: string | null): void {
    this.shown = conversation
    if (conversation !== null) void this.load(conversation)
  }

  /** Fetches what is stored of a conversation; twice at the same time is once. */
  load(conversation: string): Promise<void> {
    const running = this.loads.get(conversation)
    if (running) return running
    const load = this.fetchMessages(conversation).finally(() => this.loads.delete(conversation))
    this.loads.set(conversation, load)
    return load
  }

  dispatch(action: ChatAction): void {
    const before = useChat.getState().outbox
    useChat.setState((state) => reduce(state, action), true)
    const { outbox } = useChat.getState()
    if (outbox !== before) storeOutbox(outbox)
  }

  private queue(request: Asked): void {
    const pending: Pending = { request, attempts: 0, refused: null }
    this.dispatch({ type: 'queued', pending })
    this.send(pending)
  }

  private send(pending: Pending): void {
    if (this.socket.send(pending.request)) this.dispatch({ type: 'sent', key: pending.request.key })
  }

  private connected(connection: Connection): void {
    useConnection.setState({ connection })
    if (connection !== 'open') return
    this.flush()
    for (const pending of useChat.getState().outbox) if (!pending.refused) this.send(pending)
    for (const reply of this.unsentStops) this.stop(reply)
    this.unsentStops.clear()
    this.dispatch({ type: 'reconnected' })
    this.settleDebts()
    if (this.hasBeenOpen) this.lookAgain()
    this.hasBeenOpen = true
  }

  /** Something may have happened elsewhere meanwhile. */
  private readonly lookAgain = (): void => this.changed(null)

  /** Fetches what is shown of a conversation that was changed elsewhere; null where it could be any. */
  private changed(conversation: string | null): void {
    this.isShownStale ||= conversation === null || conversation === this.shown
    this.gathering ??= setTimeout(() => {
      this.gathering = undefined
      if (this.isShownStale && this.shown !== null) void this.reload(this.shown)
      this.isShownStale = false
      this.onConversationChanged()
    }, GATHERED)
  }

  /** Under each opinion stands which version learned from it. Where none is shown, not all pages ask at once for nothing. */
  private askWhatLearned(): void {
    const { shown } = this
    const messages = Object.values(useChat.getState().messages)
    if (shown !== null && messages.some((one) => one.conversation_id === shown && one.feedback !== null)) {
      void this.reload(shown)
    }
  }

  private async reload(conversation: string): Promise<void> {
    await this.loads.get(conversation) // it may have been asked for too early to tell of the change
    await this.load(conversation)
  }

  private receive(event: ChatEvent): void {
    this.buffered.push(event)
    if (event.type !== 'delta') this.flush()
    else this.schedule()
  }

  private schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    if (document.hidden) setTimeout(() => this.flush(), HIDDEN_FRAME)
    else requestAnimationFrame(this.frame)
  }

  private readonly frame = (now: number): void => {
    if (now - this.flushedAt < SHOWN_EVERY) requestAnimationFrame(this.frame)
    else this.flush()
  }

  private flush(): void {
    this.isScheduled = false
    this.flushedAt = performance.now()
    const events = this.buffered
    if (events.length === 0) return
    this.buffered = []
    this.dispatch({ type: 'events', events })
    for (const event of events) this.after(event)
    this.settleDebts()
  }

  private after(event: ChatEvent): void {
    if (event.type === 'changed') this.changed(event.conversation_id)
    if (['started', 'ended'].includes(event.type) || isTitled(event)) this.onConversationChanged()
    if (event.type === 'notice' && event.kind === 'policy_live') this.askWhatLearned()
    if (event.type === 'delta' || event.type === 'ended') this.followTries.delete(event.reply_id)
    if (event.type === 'refused' && event.key !== null && event.retry_after !== null) {
      const { key } = event
      this.retries.set(key, setTimeout(() => this.retry(key), event.retry_after * 1000))
    }
  }

  private settleDebts(): void {
    const { gaps, stale, seqs } = useChat.getState()
    for (const reply of gaps) {
      const tries = this.followTries.get(reply) ?? 0
      if (tries >= FOLLOW_TRIES) {
        this.followTries.delete(reply)
        this.dispatch({ type: 'abandoned', reply })
      } else if (this.socket.send({ type: 'follow', reply_id: reply, after: seqs[reply] ?? 0 })) {
        this.followTries.set(reply, tries + 1)
        this.dispatch({ type: 'followed', reply })
      }
    }
    for (const conversation of stale) void this.load(conversation)
  }

  private async fetchMessages(conversation: string): Promise<void> {
    this.dispatch({ type: 'loading', conversation })
    try {
      const path = `/api/conversations/${conversation}/messages`
      const { items } = await call<Items<Message>>('GET', path, undefined, PATIENCE)
      this.dispatch({ type: 'loaded', conversation, messages: items })
      this.settleDebts()
    } catch (error) {
      const missing = error instanceof HttpError && (error.status === 404 || error.status === 422)
      this.dispatch({ type: 'not_loaded', conversation, missing })
    }
  }
}

/** Is there anything that the server owes an answer to? */
function isWaiting(): boolean {
  const { outbox, messages } = useChat.getState()
  return outbox.some((p) => p.refused === null) || Object.values(messages).some((m) => m.state === 'streaming')
}

function isTitled(event: ChatEvent): boolean {
  return event.type === 'notice' && event.kind === 'conversation_titled'
}

function storedOutbox(): Asked[] {
  try {
    return JSON.parse(sessionStorage.getItem(OUTBOX) ?? '[]') as Asked[]
  } catch {
    return []
  }
}

function storeOutbox(outbox: Pending[]): void {
  try {
    if (outbox.length === 0) sessionStorage.removeItem(OUTBOX)
    else sessionStorage.setItem(OUTBOX, JSON.stringify(outbox.map((p) => p.request)))
  } catch {
    // Storage may be full or forbidden; the request then lives only as long as the page.
  }
}

export const session = new ChatSession()
