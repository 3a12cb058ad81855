/**
 * Reads the markdown of replies: GitHub's dialect, dollar formulas, Chinese emphasis. Out come elements; raw HTML stays
 * the words it was written as.
 */

import type { Nodes, Text } from 'hast'
import { fromMarkdown } from 'mdast-util-from-markdown'
import { gfmFromMarkdown } from 'mdast-util-gfm'
import { mathFromMarkdown } from 'mdast-util-math'
import { toHast } from 'mdast-util-to-hast'
import { cjkFriendlyExtension } from 'micromark-extension-cjk-friendly'
import { gfm } from 'micromark-extension-gfm'
import { math } from 'micromark-extension-math'

const dialects = { extensions: [gfm(), math(), cjkFriendlyExtension()], mdastExtensions: [gfmFromMarkdown(), mathFromMarkdown()] }
const handlers = { html: (_: unknown, { value }: { value: string }): Text => ({ type: 'text', value }) }

export function read(text: string): Nodes {
  return toHast(fromMarkdown(text, dialects), { handlers })
}
