/** Markdown of strangers, shown safely: no raw HTML, no remote images, links that say where they lead. */

import type { Element } from 'hast'
import { toJsxRuntime } from 'hast-util-to-jsx-runtime'
import { memo, type ReactNode, useMemo } from 'react'
import { Fragment, jsx, jsxs } from 'react/jsx-runtime'

import { blocksOf, mended, withDollarMath } from './blocks'
import { Code } from './code'
import style from './markdown.module.css'
import { Formula } from './math'
import { read } from './reading'

type Drawn<Tag extends 'a' | 'img' | 'pre' | 'code' | 'table'> = React.ComponentProps<Tag> & { node?: Element }

const components = {
  a: ({ href, children }: Drawn<'a'>) => <Link href={href ?? ''}>{children}</Link>,
  img: ({ src, alt }: Drawn<'img'>) => <Link href={typeof src === 'string' ? src : ''}>{alt ?? ''}</Link>,
  pre: ({ node, children }: Drawn<'pre'>) => {
    const code = node?.children[0]
    if (code?.type !== 'element' || code.tagName !== 'code') return <pre>{children}</pre>
    const tex = formulaIn(code)
    if (tex !== null) return <Formula tex={tex} display />
    return <Code text={textOf(code).replace(/\n$/, '')} language={languageOf(code)} />
  },
  code: ({ node, children }: Drawn<'code'>) => {
    const tex = node ? formulaIn(node) : null
    return tex === null ? <code>{children}</code> : <Formula tex={tex} display={false} />
  },
  table: ({ children }: Drawn<'table'>) => (
    <div className={style.table} tabIndex={0} role="group">
      <table>{children}</table>
    </div>
  ),
}

const Block = memo(function Block({ text }: { text: string }) {
  const drawn: unknown = toJsxRuntime(read(text), { Fragment, jsx, jsxs, components, passNode: true })
  return drawn as ReactNode
})

/** `isGrowing`: more text is on its way, so the last block may be half a thing. */
export const Markdown = memo(function Markdown({ text, isGrowing = false }: { text: string; isGrowing?: boolean }) {
  const blocks = useMemo(() => blocksOf(withDollarMath(text)), [text])
  return (
    <div className={style.markdown} dir="auto">
      {blocks.map((block, index) => (
        <Block key={index} text={isGrowing && index === blocks.length - 1 ? mended(block) : block} />
      ))}
    </div>
  )
})

function Link({ href, children }: { href: string; children: React.ReactNode }) {
  const host = hostOf(href)
  if (host === null) return <span>{children}</span>
  const saysWhere = typeof children === 'string' && children.includes(host)
  return (
    <>
      <a href={href} target="_blank" rel="noopener noreferrer nofollow ugc">
        {children}
      </a>
      {!saysWhere && host !== '' && <span className={style.host}>{` (${host})`}</span>}
    </>
  )
}

/** Host of an address that may be followed, '' for a mail address, null for every other scheme. */
function hostOf(href: string): string | null {
  try {
    const address = new URL(href)
    if (address.protocol === 'mailto:') return ''
    return address.protocol === 'https:' || address.protocol === 'http:' ? address.host : null
  } catch {
    return null
  }
}

function classesOf(element: Element): string[] {
  const { className } = element.properties
  return Array.isArray(className) ? className.map(String) : []
}

function formulaIn(element: Element): string | null {
  return classesOf(element).includes('language-math') ? textOf(element) : null
}

function languageOf(element: Element): string | null {
  const name = classesOf(element).find((it) => it.startsWith('language-'))
  return name ? name.slice('language-'.length).toLowerCase() : null
}

function textOf(element: Element): string {
  return element.children.map((child) => (child.type === 'text' ? child.value : child.type === 'element' ? textOf(child) : '')).join('')
}
