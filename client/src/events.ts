/** The words of the chat socket, as the server declares them, and names for some of their parts. */

import type { Continue, Ended, Refused, Regenerate, SamplingWish, Say } from './wire/chat'

export type * from './wire/chat'

/** Everything that begins a reply. */
export type Asked = Say | Regenerate | Continue
export type Sampling = SamplingWish
export type EndState = Ended['state']
export type FinishReason = Ended['finish_reason']
export type RefusedCode = Refused['code']
