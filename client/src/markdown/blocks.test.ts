import { expect, test } from 'vitest'

import { blocksOf, mended, withDollarMath } from './blocks'
import { read } from './reading'

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

const PIECES = [
  'One line.', 'Two\nlines', '# Title', 'Title\n===', '- a\n- b', '* c\n  d', '1. one\n2. two', '- a\n\n  b', '- ```py\n  x\n\n  y\n  ```',
  '```\ncode\n\n- more\n```', '~~~\n```\n\n~~~', '  ```\n  in\n\n  out\n  ```', '| a | b |\n|---|---|\n| 1 | 2 |', '> said\n> so', '> ```\n> cut',
  '$$\nx\n\ny\n$$', 'a $x$ b', '---', '    indented\n\n    code', '<div>\nhi\n</div>', '<!-- a\n\nb -->', '#tag', '```open\n\nto the end', '[a]: /b', '[a] b',
  '1) other', '- [ ] todo', 'x\ny\n- z', '**中文**',
]

/** What is drawn of these blocks, without where it stood in the text. */
function drawn(...blocks: string[]): string {
  const nodes = blocks.flatMap((block) => {
    const tree = read(block)
    return 'children' in tree ? tree.children : []
  })
  return JSON.stringify(
    nodes.filter((node) => node.type !== 'text' || node.value !== '\n'),
    (key, value: unknown) => (key === 'position' ? undefined : value),
  )
}

test('blocks drawn one by one are the text drawn as a whole', () => {
  let lot = 1
  const draw = (count: number) => (lot = (lot * 48271) % 2147483647) % count
  for (let round = 0; round < 60; round += 1) {
    const text = Array.from({ length: 4 }, () => (PIECES[draw(PIECES.length)] ?? '') + (draw(3) ? '\n\n' : '\n')).join('')
    expect({ text, drawn: drawn(...blocksOf(text)) }).toEqual({ text, drawn: drawn(text) })
  }
}, 60_000)

test('a long reply is cut into many blocks', () => {
  expect(blocksOf('# A\nb\n\nc\n```\nd\n```\ne\n\n| f |\n|---|\n\n- g\n- h\n\n> i\n\nj')).toEqual([
    '# A\n', 'b\n\n', 'c\n', '```\nd\n```\n', 'e\n\n', '| f |\n|---|\n\n', '- g\n- h\n\n', '> i\n\n', 'j',
  ])
})
