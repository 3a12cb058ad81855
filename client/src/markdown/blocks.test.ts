import { expect, test } from 'vitest'

import { blocksOf, mended, withDollarMath } from './blocks'

test('blocks joined are the text again, wherever the stream was cut', () => {
  const text = '# Title\n\nOne *two*.\n\n- a\n- b\n\n```py\nx = 1\n\ny = 2\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n$$\nx\n\ny\n$$\n\nEnd.'
  for (let cut = 0; cut <= text.length; cut += 1) {
    const start = text.slice(0, cut)
    expect(blocksOf(start).join('').trimEnd()).toBe(start.trimEnd())
  }
})

test('a finished block stays the same while the next one grows', () => {
  const [first] = blocksOf('One.\n\nTw')
  expect(blocksOf('One.\n\nTwo three.')[0]).toBe(first)
})

test('a formula with a blank line is one block', () => {
  expect(blocksOf('$$\na\n\nb\n$$')).toHaveLength(1)
})

test('half-finished emphasis is closed', () => {
  expect(mended('so **bol')).toBe('so **bol**')
})

test('formulas in brackets become formulas in dollars, but not in code', () => {
  expect(withDollarMath('see \\(x^2\\) and `\\(y\\)`')).toBe('see $x^2$ and `\\(y\\)`')
  expect(withDollarMath('\\[x\\]')).toBe('\n$$\nx\n$$\n')
})

test('a formula in double dollars that has a line to itself is displayed', () => {
  expect(withDollarMath('so\n\n$$x^2$$\n\nholds')).toBe('so\n\n$$\nx^2\n$$\n\nholds')
  expect(withDollarMath('- as in\n  $$x$$')).toBe('- as in\n  $$\n  x\n  $$')
  expect(withDollarMath('here $$x$$ too')).toBe('here $$x$$ too')
})
