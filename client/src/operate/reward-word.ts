/** What a reward is called: in words where there are words for it, otherwise as its rule is named. */

import { spaced } from './figures'
import { isWord, useWords } from './words'

const named = ['preference', 'quality', 'fluency', 'accuracy', 'objective', 'humorous', 'formal', 'brevity', 'format']

export function useRewardWord(): (name: string) => string {
  const t = useWords()
  return (name) => {
    const word = `reward.${name}`
    return named.includes(name) && isWord(word) ? t(word) : spaced(name)
  }
}
