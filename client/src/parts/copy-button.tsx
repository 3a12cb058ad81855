import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { Check, Copy } from '../icons'
import { IconButton } from './icon-button'

export function CopyButton({ text, label }: { text: string; label?: string }) {
  const { t } = useTranslation()
  const [isCopied, setCopied] = useState(false)
  useEffect(() => {
    if (!isCopied) return
    const timer = setTimeout(() => setCopied(false), 1600)
    return () => clearTimeout(timer)
  }, [isCopied])
  const copy = async () => {
    await write(text)
    setCopied(true)
  }
  return (
    <IconButton label={isCopied ? t('copied') : (label ?? t('copy'))} onClick={() => void copy()}>
      {isCopied ? <Check size={16} /> : <Copy size={16} />}
    </IconButton>
  )
}

/** To the clipboard. Browsers give pages that came without encryption the older way alone. */
async function write(text: string): Promise<void> {
  const { clipboard } = navigator as { clipboard?: Clipboard }
  if (clipboard) {
    await clipboard.writeText(text)
    return
  }
  const take = (event: ClipboardEvent) => {
    event.clipboardData?.setData('text/plain', text)
    event.preventDefault()
  }
  document.addEventListener('copy', take)
  document.execCommand('copy') // eslint-disable-line @typescript-eslint/no-deprecated
  document.removeEventListener('copy', take)
}
