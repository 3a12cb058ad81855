/** What a rewrite changed, word by word; Chinese words are found by the browser's own segmenter. Pure. */

import { diffArrays } from 'diff'

export interface Piece {
  kind: 'same' | 'added' | 'removed'
  text: string
}

/** The words of a text, each with the space that follows it: joined they are the text again. */
export function words(text: string, language?: string): string[] {
  const segmenter = new Intl.Segmenter(language, { granularity: 'word' })
  const found: string[] = []
  for (const { segment } of segmenter.segment(text)) {
    const last = segment.trim() === '' ? found.pop() : undefined
    found.push((last ?? '') + segment)
  }
  return found
}

/** How few words between two changes are not worth keeping: a reader would have to hop from islet to islet. */
const ISLET = 2

export function difference(before: string, after: string, language?: string): Piece[] {
  const changes = diffArrays(words(before, language), words(after, language))
  const pieces: Piece[] = []
  let removed = ''
  let added = ''
  const land = () => {
    if (removed) pieces.push({ kind: 'removed', text: removed })
    if (added) pieces.push({ kind: 'added', text: added })
    removed = added = ''
  }
  changes.forEach((change, index) => {
    const text = change.value.join('')
    if (change.removed) removed += text
    else if (change.added) added += text
    else if (index > 0 && index < changes.length - 1 && change.value.length <= ISLET) {
      removed += text
      added += text
    } else {
      land()
      pieces.push({ kind: 'same', text })
    }
  })
  land()
  return pieces
}
