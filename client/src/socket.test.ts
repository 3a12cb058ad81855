import { expect, test } from 'vitest'

import { backOff } from './socket'

test('the wait doubles, is never longer than a quarter of a minute, and is never nothing', () => {
  expect(backOff(1, 1)).toBe(400)
  expect(backOff(2, 1)).toBe(800)
  expect(backOff(50, 1)).toBe(15_000)
  expect(backOff(1, 0)).toBe(200)
})
