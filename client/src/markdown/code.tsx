import { toJsxRuntime } from 'hast-util-to-jsx-runtime'
import { type ReactNode, useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { Fragment, jsx, jsxs } from 'react/jsx-runtime'

import { CopyButton } from '../parts/copy-button'
import { extra } from '../parts/fetched'
import style from './markdown.module.css'

/** The highlighter is fetched when the first code appears, and never for a chat without code. */
const useLowlight = extra(() => import('lowlight').then(({ common, createLowlight }) => createLowlight(common)))

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
