/** The console's socket: one for all its pages. */

import { type QueryClient, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'

import { type Connection, Socket } from '../socket'
import { keys } from './keys'
import { changes, holed } from './live'
import { isEnded, type Metric, type OperateEvent } from './shapes'

/** Messages come in bursts of hundreds; the page changes at most this often. */
const FLUSH_MILLISECONDS = 200

/** Opens the socket while the console is on the page, and says how it stands. */
export function useLive(): Connection {
  const client = useQueryClient()
  const [connection, setConnection] = useState<Connection>('connecting')
  useEffect(() => watch(client, setConnection), [client])
  return connection
}

function watch(client: QueryClient, onConnection: (connection: Connection) => void): () => void {
  let waiting: OperateEvent[] = []
  let timer: ReturnType<typeof setTimeout> | undefined
  let wasOpen = false
  const flush = () => {
    timer = undefined
    const events = waiting
    waiting = []
    const missed = holed(events, (id) => client.getQueryData<Metric[]>(keys.metrics(id)))
    for (const { key, update } of changes(events)) client.setQueryData(key, update)
    for (const id of missed) void client.invalidateQueries({ queryKey: keys.metrics(id) })
    if (events.some((event) => event.type === 'run' && isEnded(event.run))) {
      void client.invalidateQueries({ queryKey: keys.summary })
      void client.invalidateQueries({ queryKey: keys.allSamples })
      void client.invalidateQueries({ queryKey: keys.allGivers })
    }
  }
  const socket = new Socket('/ws/operate', {
    onFrame: (frame) => {
      waiting.push(frame as OperateEvent)
      timer ??= setTimeout(flush, FLUSH_MILLISECONDS)
    },
    onConnection: (connection) => {
      onConnection(connection)
      if (connection !== 'open') return
      // What happened while nobody listened is asked for again.
      if (wasOpen) void client.invalidateQueries({ queryKey: keys.all })
      wasOpen = true
    },
  })
  socket.open()
  return () => {
    clearTimeout(timer)
    socket.close()
  }
}
