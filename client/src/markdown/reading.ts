/**
 * The dialects of markdown that replies are read in: GitHub's, dollar formulas, Chinese emphasis.
 *
 * The plugins of the same names also bring what writes markdown back, some 15 KB that a page which only reads never
 * runs; so their reading halves are put together here.
 */

import { gfmFromMarkdown } from 'mdast-util-gfm'
import { mathFromMarkdown } from 'mdast-util-math'
import type { Extension as FromMarkdown } from 'mdast-util-from-markdown'
import { gfm } from 'micromark-extension-gfm'
import { math } from 'micromark-extension-math'
import type { Extension as Syntax } from 'micromark-util-types'
import remarkCjkFriendly from 'remark-cjk-friendly/parseOnly'
import type { PluggableList, Processor } from 'unified'

interface Parsing {
  micromarkExtensions?: Syntax[]
  fromMarkdownExtensions?: (FromMarkdown | FromMarkdown[])[]
}

function dialects(this: Processor): void {
  const data = this.data() as Parsing
  data.micromarkExtensions = [...(data.micromarkExtensions ?? []), gfm(), math()]
  data.fromMarkdownExtensions = [...(data.fromMarkdownExtensions ?? []), gfmFromMarkdown(), mathFromMarkdown()]
}

export const reading: PluggableList = [dialects, remarkCjkFriendly]
