import { expect, test } from 'vitest'

import { difference, words } from './difference'

const told = (before: string, after: string, language?: string) =>
  difference(before, after, language).map(({ kind, text }) => [kind, text])

test('one changed word is one change', () => {
  expect(told('The big dog barks at night.', 'The small dog barks at night.')).toEqual([
    ['same', 'The '],
    ['removed', 'big '],
    ['added', 'small '],
    ['same', 'dog barks at night.'],
  ])
})

test('Chinese is compared by words, not by whole sentences', () => {
  expect(told('法国的首都是柏林。', '法国的首都是巴黎。', 'zh')).toContainEqual(['added', '巴黎'])
})

test('short islets between changes are no islets', () => {
  expect(told('a b c d e f', 'a X c Y e f').map(([kind]) => kind)).toEqual(['same', 'removed', 'added', 'same'])
})

test('nothing is lost: the pieces make both texts again', () => {
  const before = 'It walked her home  every day after that.\n\nThe end.'
  const after = 'It ran home every night.\nThe very end!'
  const pieces = difference(before, after)
  const joined = (kind: string) => pieces.filter((it) => it.kind !== kind).map((it) => it.text).join('')
  expect(joined('added')).toBe(before)
  expect(joined('removed')).toBe(after)
  expect(words(before).join('')).toBe(before)
})
