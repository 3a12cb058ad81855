/**
 * What people have judged and the server has not stored yet: opinions, comparisons, and what raters said.
 *
 * Each is kept in the browser by itself, under what it is about, so that tabs do not write over each other, and is sent
 * until the server has it, whichever tab is there by then. Storing the same twice is storing it once, so sending it
 * again never harms.
 */

import i18next from 'i18next'
import { create } from 'zustand'

import { useConnection } from '../chat/session'
import { call, HttpError } from '../http'
import { toast } from '../parts/toast'

export type Kind = 'opinion' | 'comparison' | 'judgement'

/** The call that stores it. */
export interface Parcel {
  method: 'PUT' | 'POST' | 'DELETE'
  path: string
  body: object
}

interface OutboxState {
  /** By kind and what it is about (`opinion/<reply>`), the newest that the server has not stored yet. */
  waiting: Record<string, Parcel>
  /** What the server said to an opinion that it would not store. */
  refusals: Record<string, string>
  isReachable: boolean
}

const PREFIX = 'backtalk.outbox.'
const RETRY = 5_000
/** How long a server may take to store something. */
const PATIENCE = 20_000

export const useOutbox = create<OutboxState>(() => ({ waiting: {}, refusals: {}, isReachable: true }))

type Hear = (id: string, stored: unknown) => void
const listeners = new Set<{ kind: Kind; hear: Hear }>()

/** Calls back with what the server stored of this kind; returns the way to stop that. */
export function whenStored(kind: Kind, hear: Hear): () => void {
  const listener = { kind, hear }
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** What was judged last is what counts, and takes the place of what was said of the same thing before. */
export function post(kind: Kind, id: string, parcel: Parcel): void {
  const place = `${kind}/${id}`
  own.add(place)
  put(place, parcel)
  useOutbox.setState(({ refusals }) => ({ refusals: without(refusals, place) }))
  try {
    localStorage.setItem(PREFIX + place, JSON.stringify(parcel))
  } catch {
    // Storage may be full or forbidden; it still goes out while the page is open.
  }
  void send(place)
}

/** Ids of this kind that are on their way. */
export function waitingFor(kind: Kind): string[] {
  const places = Object.keys(useOutbox.getState().waiting).filter((place) => place.startsWith(`${kind}/`))
  return places.map((place) => place.slice(kind.length + 1))
}

/** Call once when the page starts: sends what an earlier visit left, and what waits whenever the server is back. */
export function startOutbox(): void {
  for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) takeUp(key, localStorage.getItem(key))
  window.addEventListener('storage', ({ key, newValue }) => {
    if (key?.startsWith(PREFIX)) takeUp(key, newValue)
  })
  window.addEventListener('online', sendAll)
  useConnection.subscribe(({ connection }) => connection === 'open' && sendAll())
  sendAll()
}

/** Somebody else sits here now: nobody could deliver what the former person left waiting. */
export function forgetOutbox(): void {
  useOutbox.setState({ waiting: {}, refusals: {} })
  for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key)
}

/** Places that were last written here. What another tab has written, it may have delivered as well. */
const own = new Set<string>()
const underWay = new Set<string>()
const retries = new Map<string, ReturnType<typeof setTimeout>>()

/** Follows what another tab, or an earlier visit, has written. */
function takeUp(key: string, text: string | null): void {
  const place = key.slice(PREFIX.length)
  if (text === null) {
    if (!own.has(place)) drop(place)
    return
  }
  own.delete(place)
  try {
    put(place, JSON.parse(text) as Parcel)
  } catch {
    localStorage.removeItem(key)
  }
}

function sendAll(): void {
  for (const place of Object.keys(useOutbox.getState().waiting)) void send(place)
}

async function send(place: string): Promise<void> {
  if (underWay.has(place)) return
  underWay.add(place)
  clearTimeout(retries.get(place))
  await alone(place, () => deliver(place))
  underWay.delete(place)
}

/** Tabs take turns, so that what was said first arrives first. Browsers have locks only for safe addresses. */
async function alone(place: string, work: () => Promise<void>): Promise<void> {
  const { locks } = navigator as { locks?: LockManager }
  if (locks) await locks.request(PREFIX + place, work)
  else await work()
}

async function deliver(place: string): Promise<void> {
  for (;;) {
    const parcel = useOutbox.getState().waiting[place]
    if (!parcel) return
    try {
      const stored = await store(parcel)
      useOutbox.setState({ isReachable: true })
      settle(place, parcel, (kind, id) => {
        for (const listener of listeners) if (listener.kind === kind) listener.hear(id, stored)
      })
    } catch (error) {
      const refusal = refusalIn(error)
      if (refusal === null) {
        useOutbox.setState({ isReachable: false })
        const wait = error instanceof HttpError && error.retryAfter !== null ? error.retryAfter * 1000 : RETRY
        retries.set(place, setTimeout(() => void send(place), wait))
        return
      }
      settle(place, parcel, (kind) => {
        if (kind === 'opinion') useOutbox.setState(({ refusals }) => ({ refusals: { ...refusals, [place]: refusal } }))
        else void toast({ color: 'red', message: i18next.t('opinion.refused', { message: refusal }) })
      })
    }
    // Once more round: the person may have changed their mind meanwhile.
  }
}

async function store({ method, path, body }: Parcel): Promise<unknown> {
  try {
    return await call(method, path, body, PATIENCE)
  } catch (error) {
    if (method === 'DELETE' && error instanceof HttpError && error.status === 404) return null
    throw error
  }
}

/** What the server has against it; null where it may think otherwise later. */
function refusalIn(error: unknown): string | null {
  if (!(error instanceof HttpError)) return null
  const { status, message } = error
  return status >= 500 || status === 429 || status === 401 ? null : message
}

/** Tells of it and takes it off, unless something newer has taken its place. */
function settle(place: string, parcel: Parcel, tell: (kind: Kind, id: string) => void): void {
  if (useOutbox.getState().waiting[place] !== parcel) return
  const slash = place.indexOf('/')
  tell(place.slice(0, slash) as Kind, place.slice(slash + 1))
  own.delete(place)
  drop(place)
  if (localStorage.getItem(PREFIX + place) === JSON.stringify(parcel)) localStorage.removeItem(PREFIX + place)
}

function put(place: string, parcel: Parcel): void {
  useOutbox.setState(({ waiting }) => ({ waiting: { ...waiting, [place]: parcel } }))
}

function drop(place: string): void {
  useOutbox.setState(({ waiting }) => ({ waiting: without(waiting, place) }))
}

function without<T>(record: Record<string, T>, key: string): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([other]) => other !== key))
}
