import { expect, test } from 'vitest'

import { changeManner, setManner, STYLES, styleOf, useManner, wishOf } from './manner'

test('nothing wished is nothing sent', () => {
  expect(wishOf({})).toBeUndefined()
  expect(wishOf(STYLES.balanced)).toBeUndefined()
})

test('a style is two numbers, and two numbers are a style', () => {
  for (const [name, manner] of Object.entries(STYLES)) expect(styleOf(manner)).toBe(name)
  expect(styleOf({ temperature: 0.35 })).toBeNull()
})

test('going back to the balanced style keeps what else was wished', () => {
  setManner({ ...STYLES.lively, max_tokens: 64 })
  changeManner(STYLES.balanced)
  expect(wishOf(useManner.getState().manner)).toEqual({ max_tokens: 64 })
  expect(localStorage.getItem('backtalk.manner')).toBe('{"max_tokens":64}')
  setManner({})
  expect(localStorage.getItem('backtalk.manner')).toBeNull()
})
