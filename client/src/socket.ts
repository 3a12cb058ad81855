/**
 * A websocket that comes back by itself: JSON text frames in, JSON text frames out, back-off between attempts.
 *
 * A connection can die without a word: a laptop sleeps, a router forgets it. Whenever that may have happened the socket
 * asks whether the server is there, and opens another one if no answer comes. While nothing of the kind happens it asks
 * nothing.
 */

export type Connection = 'connecting' | 'open' | 'waiting' | 'closed'

interface Listener {
  onFrame: (frame: unknown) => void
  onConnection: (connection: Connection) => void
  /** The server would not talk to whoever this browser says it is, or could not be reached at all. */
  onTurnedAway?: () => void
  /** Does the server owe an answer? Then silence is suspicious too. */
  isWaiting?: () => boolean
}

const SHORTEST_WAIT = 400
const LONGEST_WAIT = 15_000
/** A socket that lived this long was healthy: the next failure starts again from the shortest wait. */
const HEALTHY_AFTER = 5_000
const SIGNED_OUT = 4401
/** How often the clock is looked at. */
const TICK = 5_000
/** A clock that jumps this far has slept. */
const SLEPT = 3 * TICK
/** Silence this long, from a server that owes an answer, is suspicious. */
const SILENT = 20_000
/** How long a server may take to say that it is there, and to open a socket. */
const PATIENCE = 6_000
const OPENING = 15_000

/** Milliseconds before the given attempt (1, 2, 3 …): doubling, with jitter so that clients do not return in step. */
export function backOff(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** (attempt - 1))
  return ceiling * (0.5 + random / 2)
}

export class Socket {
  private socket: WebSocket | null = null
  private timer: ReturnType<typeof setTimeout> | undefined
  private clock: ReturnType<typeof setInterval> | undefined
  /** Runs while the server has to show that it is there. */
  private verdict: ReturnType<typeof setTimeout> | undefined
  private attempt = 0
  private openedAt = 0
  private heardAt = 0
  private tickedAt = 0
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
    this.tickedAt = Date.now()
    this.clock = setInterval(this.tick, TICK)
    this.connect()
  }

  close(): void {
    this.wanted = false
    window.removeEventListener('online', this.hurry)
    document.removeEventListener('visibilitychange', this.hurry)
    clearInterval(this.clock)
    clearTimeout(this.timer)
    this.leave()
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
    this.judgeIn(OPENING)
    socket.onopen = () => {
      this.openedAt = Date.now()
      this.heard()
      this.listener.onConnection('open')
    }
    socket.onmessage = (event) => {
      if (this.socket !== socket) return
      this.heard()
      if (typeof event.data !== 'string') return
      const frame = JSON.parse(event.data) as { type?: unknown }
      if (frame.type !== 'pong') this.listener.onFrame(frame)
    }
    socket.onclose = ({ code }) => {
      if (this.socket !== socket) return
      this.leave()
      if (code === SIGNED_OUT || this.openedAt === 0) this.listener.onTurnedAway?.()
      if (this.wanted) this.waitAndConnect()
    }
  }

  /** Lets go of the socket, in whatever state it is. */
  private leave(): void {
    clearTimeout(this.verdict)
    this.verdict = undefined
    const socket = this.socket
    this.socket = null
    socket?.close(1000)
  }

  private waitAndConnect(): void {
    if (this.openedAt && Date.now() - this.openedAt > HEALTHY_AFTER) this.attempt = 0
    this.openedAt = 0
    this.attempt += 1
    this.listener.onConnection('waiting')
    this.timer = setTimeout(() => this.connect(), backOff(this.attempt, Math.random()))
  }

  /** The network or the person is back: no reason to wait out the back-off, nor to trust what was open before. */
  private readonly hurry = (): void => {
    if (!this.wanted || document.hidden) return
    if (this.socket) {
      this.doubt()
    } else {
      clearTimeout(this.timer)
      this.connect()
    }
  }

  private readonly tick = (): void => {
    const now = Date.now()
    const hasSlept = now - this.tickedAt > SLEPT && !document.hidden // the timers of hidden pages are slow
    this.tickedAt = now
    if (hasSlept || (now - this.heardAt > SILENT && this.listener.isWaiting?.())) this.doubt()
  }

  /** Ask whether the server is there; while that is being asked, once is enough. */
  private doubt(): void {
    if (this.verdict === undefined && this.send({ type: 'ping' })) this.judgeIn(PATIENCE)
  }

  private judgeIn(milliseconds: number): void {
    this.verdict = setTimeout(() => {
      this.leave()
      this.waitAndConnect()
    }, milliseconds)
  }

  private heard(): void {
    this.heardAt = Date.now()
    clearTimeout(this.verdict)
    this.verdict = undefined
  }
}
