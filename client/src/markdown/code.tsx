import { toJsxRuntime } from 'hast-util-to-jsx-runtime'
import type { createLowlight } from 'lowlight'
import { type ReactNode, useEffect, useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Fragment, jsx, jsxs } from 'react/jsx-runtime'

import { CopyButton } from '../parts/copy-button'
import style from './markdown.module.css'

type Lowlight = ReturnType<typeof createLowlight>

let lowlight: Lowlight | null = null
let loading: Promise<Lowlight> | null = null

/** The highlighter is fetched when the first code appears, and never for a chat without code. */
function useLowlight(isWanted: boolean): Lowlight | null {
  const [loaded, setLoaded] = useState(lowlight)
  useEffect(() => {
    if (!isWanted || loaded) return
    loading ??= import('lowlight').then((module) => (lowlight = module.createLowlight(module.common)))
    let isShown = true
    void loading.then((it) => isShown && setLoaded(it))
    return () => {
      isShown = false
    }
  }, [isWanted, loaded])
  return loaded
}

/** Beyond this a block is shown plain: colouring it on every frame would cost more than it tells. */
const LONGEST_COLOURED = 20_000

export function Code({ text, language }: { text: string; language: string | null }) {
  const { t } = useTranslation()
  const highlighter = useLowlight(language !== null)
  const coloured = useMemo((): ReactNode => {
    if (!highlighter || !language || text.length > LONGEST_COLOURED || !highlighter.registered(language)) return text
    const tree: unknown = toJsxRuntime(highlighter.highlight(language, text), { Fragment, jsx, jsxs })
    return tree as ReactNode
  }, [highlighter, language, text])
  return (
    <figure className={style.code}>
      <figcaption>
        <span>{language ?? t('code.plain')}</span>
        <CopyButton text={text} />
      </figcaption>
      <pre tabIndex={0} aria-label={t('code.label', { language: language ?? t('code.plain') })}>
        <code>{coloured}</code>
      </pre>
    </figure>
  )
}
