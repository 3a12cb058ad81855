/** A websocket that comes back by itself: JSON text frames in, JSON text frames out, back-off between attempts. */

export type Connection = 'connecting' | 'open' | 'waiting' | 'closed'

interface Listener {
  onFrame: (frame: unknown) => void
  onConnection: (connection: Connection) => void
  /** The server would not talk to whoever this browser says it is, or could not be reached at all. */
  onTurnedAway?: () => void
}

const SHORTEST_WAIT = 400
const LONGEST_WAIT = 15_000
/** A socket that lived this long was healthy: the next failure starts again from the shortest wait. */
const HEALTHY_AFTER = 5_000
const SIGNED_OUT = 4401

/** Milliseconds before the given attempt (1, 2, 3 …): doubling, with jitter so that clients do not return in step. */
export function backOff(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** (attempt - 1))
  return ceiling * (0.5 + random / 2)
}

export class Socket {
  private socket: WebSocket | null = null
  private timer: ReturnType<typeof setTimeout> | undefined
  private attempt = 0
  private openedAt = 0
  private wanted = false

  constructor(
    private readonly path: string,
    private readonly listener: Listener,
  ) {}

  open(): void {
    if (this.wanted) return
    this.wanted = true
    window.addEventListener('online', this.hurry)
    document.addEventListener('visibilitychange', this.hurry)
    this.connect()
  }

  close(): void {
    this.wanted = false
    window.removeEventListener('online', this.hurry)
    document.removeEventListener('visibilitychange', this.hurry)
    clearTimeout(this.timer)
    this.socket?.close(1000)
    this.socket = null
    this.listener.onConnection('closed')
  }

  /** Starts over, for instance because the person signed in as somebody else. */
  renew(): void {
    if (!this.wanted) return
    this.close()
    this.attempt = 0
    this.open()
  }

  /** True when the frame was handed to an open socket; otherwise whoever sends must send again after `open`. */
  send(frame: object): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false
    this.socket.send(JSON.stringify(frame))
    return true
  }

  private connect(): void {
    this.listener.onConnection('connecting')
    const address = new URL(this.path, window.location.href)
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:'
    const socket = new WebSocket(address)
    this.socket = socket
    socket.onopen = () => {
      this.openedAt = Date.now()
      this.listener.onConnection('open')
    }
    socket.onmessage = (event) => {
      if (typeof event.data === 'string') this.listener.onFrame(JSON.parse(event.data))
    }
    socket.onclose = ({ code }) => {
      if (this.socket !== socket) return
      this.socket = null
      if (code === SIGNED_OUT || this.openedAt === 0) this.listener.onTurnedAway?.()
      if (this.wanted) this.waitAndConnect()
    }
  }

  private waitAndConnect(): void {
    if (this.openedAt && Date.now() - this.openedAt > HEALTHY_AFTER) this.attempt = 0
    this.openedAt = 0
    this.attempt += 1
    this.listener.onConnection('waiting')
    this.timer = setTimeout(() => this.connect(), backOff(this.attempt, Math.random()))
  }

  /** The network or the person is back: no reason to wait out the back-off. */
  private readonly hurry = (): void => {
    if (this.socket || !this.wanted || document.hidden) return
    clearTimeout(this.timer)
    this.connect()
  }
}
