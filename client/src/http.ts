/** Every HTTP call of the client goes through `call`: same header, same errors. */

import { newKey } from './key'

/** The name of this page. The server tells the person's other pages what was done here, and not this one. */
export const page = newKey()

export class HttpError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfter: number | null = null,
  ) {
    super(message)
    this.name = 'HttpError'
  }
}

/** The server could not be reached at all; the same call may be made again later. */
export class Offline extends Error {
  constructor() {
    super('The server could not be reached.')
    this.name = 'Offline'
  }
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/**
 * One call.
 *
 * @param patience Milliseconds after which a server that has not answered counts as out of reach: a connection can die
 *   without a word, and then nobody else would say so for minutes.
 */
export async function call<T>(method: Method, path: string, body?: unknown, patience?: number): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (method !== 'GET') {
    headers['X-Backtalk'] = page
    headers['Content-Type'] = 'application/json'
  }
  let response: Response
  let text: string
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: 'same-origin',
      ...(patience !== undefined && { signal: AbortSignal.timeout(patience) }),
      ...(method !== 'GET' && { body: JSON.stringify(body ?? {}) }),
    })
    text = await response.text()
  } catch {
    throw new Offline()
  }
  if (!response.ok) throw refusal(response, text)
  return (text ? JSON.parse(text) : null) as T
}

function refusal(response: Response, text: string): HttpError {
  const after = Number(response.headers.get('Retry-After'))
  const retryAfter = after > 0 ? after : null
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string } }
    return new HttpError(response.status, error.code, error.message, retryAfter)
  } catch {
    return new HttpError(response.status, 'unknown', `${response.status} ${response.statusText}`.trim(), retryAfter)
  }
}

export interface Items<T> {
  items: T[]
}
