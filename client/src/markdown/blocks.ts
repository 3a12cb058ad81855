/** Cuts markdown into top-level blocks, so that while a reply streams only its last block is rendered anew. Pure. */

import { lexer } from 'marked'
import remend from 'remend'

export function blocksOf(text: string): string[] {
  const tokens = lexer(text, { gfm: true })
  // Reference links and footnotes reach over block borders: such a text is one block.
  if (Object.keys(tokens.links).length > 0 || /^\[\^[^\]]+\]:/m.test(text)) return [text]
  const blocks: string[] = []
  for (const token of tokens) {
    const last = blocks.length - 1
    const open = blocks[last]
    if (open !== undefined && (token.type === 'space' || hasOpenMath(open))) blocks[last] = open + token.raw
    else blocks.push(token.raw)
  }
  return blocks
}

/** `$$` on its own opens a formula that may hold blank lines. */
function hasOpenMath(block: string): boolean {
  if (block.startsWith('```') || block.startsWith('~~~')) return false
  return (block.match(/\$\$/g)?.length ?? 0) % 2 === 1
}

/** Closes what the stream has not closed yet (`**bold`, a link's half, a fence), so that it renders sanely. */
export function mended(block: string): string {
  return remend(block)
}

/**
 * Models write `\(…\)` and `\[…\]` as often as dollars, and `$$…$$` on one line where they mean a displayed formula;
 * code is left as it is.
 */
export function withDollarMath(text: string): string {
  if (!/\\[([]|\$\$/.test(text)) return text
  return text
    .split(/(```[\s\S]*?(?:```|$)|`[^`\n]*`)/)
    .map((part, index) =>
      index % 2 === 1
        ? part
        : part
            .replace(/\\\[([\s\S]+?)\\\]/g, (_, tex: string) => `\n$$\n${tex.trim()}\n$$\n`)
            .replace(/\\\(([\s\S]+?)\\\)/g, (_, tex: string) => `$${tex.trim()}$`)
            .replace(/^([ \t]*)\$\$([^$\n]+)\$\$[ \t]*$/gm, (_, indent: string, tex: string) =>
              ['$$', tex.trim(), '$$'].map((line) => indent + line).join('\n'),
            ),
    )
    .join('')
}
