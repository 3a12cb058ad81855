import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { Sliders, Square, Up } from '../icons'
import { useGrowing } from '../parts/growing'
import { IconButton } from '../parts/icon-button'
import { lazyDialog } from '../parts/lazily'
import style from './chat.module.css'
import { useDraft } from './drafts'
import { useManner, wishOf } from './manner'
import { session } from './session'

const MannerDrawer = lazyDialog(() => import('./manner-drawer'))

interface ComposerProps {
  conversation: string | null
  limit: number
  runningReply: string | null
  isBlocked: boolean
  onSay: (text: string) => void
  onEditLast: () => void
}

/** Where one speaks. What is not sent yet survives a reload. */
export function Composer({ conversation, limit, runningReply, isBlocked, onSay, onEditLast }: ComposerProps) {
  const { t } = useTranslation()
  const { text, keep } = useDraft(conversation ?? 'new')
  const area = useGrowing(text)
  const hasManner = useManner(({ manner }) => wishOf(manner) !== undefined)
  const [isMannerOpen, setMannerOpen] = useState(false)
  useEffect(() => {
    if (window.matchMedia('(pointer: fine)').matches) area.current?.focus()
  }, [area])
  useEffect(() => {
    const giveBack = (event: Event) => {
      keep((event as CustomEvent<string>).detail)
      area.current?.focus()
    }
    window.addEventListener('backtalk:draft', giveBack)
    return () => window.removeEventListener('backtalk:draft', giveBack)
  }, [area, keep])

  const size = new TextEncoder().encode(text).length
  const isTooLong = size > limit
  const maySend = text.trim() !== '' && !isTooLong && !isBlocked && runningReply === null
  const send = () => {
    if (!maySend) return
    onSay(text)
    keep('')
  }
  return (
    <div className={style.composerPlace}>
      <form
        className={style.composer}
        onSubmit={(event) => {
          event.preventDefault()
          send()
        }}
      >
        <IconButton
          label={t('manner.open')}
          className={style.manner}
          data-changed={hasManner}
          onClick={() => setMannerOpen(true)}
        >
          <Sliders size={19} />
        </IconButton>
        <textarea
          id="composer"
          ref={area}
          rows={1}
          value={text}
          placeholder={t('composer.placeholder')}
          aria-label={t('composer.label')}
          aria-describedby="composer-hint"
          onChange={(event) => keep(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.nativeEvent.isComposing) return
            if (event.key === 'Enter' && !event.shiftKey) {
              event.preventDefault()
              send()
            } else if (event.key === 'ArrowUp' && text === '') {
              event.preventDefault()
              onEditLast()
            }
          }}
        />
        {runningReply !== null ? (
          <button
            type="button"
            className={style.send}
            aria-label={t('composer.stop')}
            title={t('composer.stop')}
            onClick={() => session.stop(runningReply)}
          >
            <Square size={18} />
          </button>
        ) : (
          <button type="submit" className={style.send} aria-label={t('composer.send')} title={t('composer.send')} disabled={!maySend}>
            <Up size={18} />
          </button>
        )}
      </form>
      <p className={style.hint} id="composer-hint" data-fault={isTooLong}>
        {isTooLong
          ? t('composer.tooLong', { size: Math.ceil(size / 1024), limit: Math.floor(limit / 1024) })
          : (
              <>
                <span className={style.keys}>{t('composer.keys')} </span>
                {t('composer.hint')}
              </>
            )}
      </p>
      {isMannerOpen && <MannerDrawer onClose={() => setMannerOpen(false)} />}
    </div>
  )
}

