/** Cuts markdown into top-level blocks, so that while a reply streams only its last block is read anew. Pure. */

import remend from 'remend'

const BLANK = /^\s*$/
const HEADING = /^#{1,6}(?:\s|$)/
const ITEM = /^ {0,3}(?:[-+*]|\d{1,9}[.)])(?:\s|$)/
/** What may stand before a thing that is in a list. */
const BEFORE = String.raw`^((?:\s*(?:[-+*]|\d{1,9}[.)])\s)*\s*)`
/** Code or a formula, which may hold blank lines: its marks and the rest of their line. */
const FENCE = new RegExp(BEFORE + '(`{3,}|~{3,}|\\${2,})(.*)')
const TAG = new RegExp(BEFORE + '<')
/** HTML that may hold blank lines. */
const RAW = new RegExp(BEFORE + '<(?:script|pre|style|textarea|[!?])', 'i')
/** What a reference or a footnote points to, wherever in the text that stands. */
const DEFINITION = new RegExp(BEFORE + String.raw`[\s>]*\[[^\]]+\]:`)

interface Fence {
  indent: number
  marks: string
}

/** Of HTML it is not looked for where it ends. */
const ENDLESS: Fence = { indent: 0, marks: '' }

/**
 * Where in doubt it does not cut: a block that holds two is read rightly, half a block is not. So a list goes on through
 * blank lines and whatever is indented, and a text with definitions, which reach over every border, is one block.
 */
export function blocksOf(text: string): string[] {
  const blocks: string[] = []
  let block = ''
  let open: Fence | null = null
  let mayCut = false
  let isList = false
  let isTagged = false
  for (const line of text.match(/.*\n|.+$/g) ?? []) {
    if (open === null && BLANK.test(line)) {
      mayCut = !BLANK.test(block)
      isTagged = false
    } else if (open === null) {
      if (DEFINITION.test(line)) return [text]
      const fence = fenceOf(line)
      const isHeading = HEADING.test(line) && !isTagged
      const isItem = ITEM.test(line)
      const goesOn = /^\s/.test(line) || (isList && isItem)
      if (block !== '' && (isHeading || (fence?.indent === 0 && !isTagged) || (mayCut && !goesOn))) {
        blocks.push(block)
        block = ''
        isList = false
      }
      mayCut = isHeading
      isList ||= isItem
      isTagged ||= TAG.test(line)
      open = RAW.test(line) || (fence && isTagged) ? ENDLESS : fence
    } else if (closes(line, open)) {
      mayCut = open.indent === 0
      open = null
    }
    block += line
  }
  return block === '' ? blocks : [...blocks, block]
}

function fenceOf(line: string): Fence | null {
  const [, before, marks, rest] = FENCE.exec(line) ?? []
  if (before === undefined || marks === undefined) return null
  const mark = marks.charAt(0)
  return mark !== '~' && rest?.includes(mark) ? null : { indent: before.length, marks }
}

function closes(line: string, { indent, marks }: Fence): boolean {
  const found = line.trim()
  const isLong = marks !== '' && found.length >= marks.length && found === marks.charAt(0).repeat(found.length)
  return isLong && line.search(/\S/) <= indent + 3
}

/** Closes what the stream has not closed yet (`**bold`, a link's half, a fence, a table's head), so that it renders sanely. */
export function mended(block: string): string {
  return remend(withTable(block))
}

/** A table is one from its first line on: the line that says so comes after it. */
function withTable(block: string): string {
  const [, head] = /^(\|[^\n]*)\n?[|:\s-]*$/.exec(block) ?? []
  if (head === undefined) return block
  const columns = head.replace(/\\\||^\||\|\s*$/g, '').split('|').length
  return `${head}\n${'|-'.repeat(columns)}|`
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
