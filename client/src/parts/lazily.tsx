/** Pages, dialogs and parts of a page that are fetched when they are first shown, and what stands there if they do not come. */

import { type ComponentType, type ReactNode, useCallback, useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'wouter'

import { fetched, whenBack } from './fetched'
import { useFocusBack } from './focus-back'
import style from './lazily.module.css'

type Load<P> = () => Promise<{ default: ComponentType<P> }>

/** Milliseconds that a server may take to show that it is there. */
const PATIENCE = 6_000

/** How it stands with what is being fetched. */
export interface Absence {
  failures: number
  tryAgain: () => Promise<void>
}

/** A component that is fetched when it is first shown; `instead` stands there before that, and if it does not come. */
export function lazily<P extends object>(load: Load<P>, instead: (props: P, absence: Absence) => ReactNode) {
  let loaded: ComponentType<P> | null = null
  return function Lazily(props: P) {
    const [Part, setPart] = useState(() => loaded)
    const [failures, setFailures] = useState(0)
    const attempt = useCallback(async (): Promise<boolean> => {
      try {
        loaded = (await fetched(load)).default
        setPart(() => loaded)
        return true
      } catch {
        setFailures((count) => count + 1)
        return false
      }
    }, [])
    useEffect(() => {
      if (Part) return
      if (failures > 0) return whenBack(() => void attempt())
      void attempt()
    }, [Part, failures, attempt])
    const tryAgain = async () => {
      // A server that is there and does not have it is a newer one: its pages name other files.
      if (!(await attempt()) && (await isServerThere())) window.location.reload()
    }
    return Part ? <Part {...props} /> : instead(props, { failures, tryAgain })
  }
}

/** A page: while it cannot be loaded, it says so and leads back to the chat. */
export function lazyPage<P extends object>(load: Load<P>) {
  return lazily(load, (_, absence) => (absence.failures > 0 ? <MissingPage absence={absence} /> : <Waiting />))
}

interface DialogProps {
  isOpen?: boolean
  /** It cannot be closed. */
  isForced?: boolean
  onClose?: () => void
}

/** A dialog: while it cannot be loaded, a smaller one says so. */
export function lazyDialog<P extends DialogProps>(load: Load<P>) {
  const Part = lazily(load, ({ isOpen = true, isForced = false, onClose }: P, absence) =>
    absence.failures > 0 && isOpen ? <MissingDialog absence={absence} onClose={isForced ? undefined : onClose} /> : null,
  )
  return function LazyDialog(props: P) {
    useFocusBack() // what it takes for its opener may be the button of the smaller dialog
    return <Part {...props} />
  }
}

async function isServerThere(): Promise<boolean> {
  try {
    return (await fetch('/', { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) })).ok
  } catch {
    return false
  }
}

function Waiting() {
  const { t } = useTranslation()
  return (
    <p role="status" className="visually-hidden">
      {t('loading')}
    </p>
  )
}

function MissingPage({ absence }: { absence: Absence }) {
  const { t } = useTranslation()
  return (
    <main className={style.page}>
      <Missing absence={absence}>
        <Link href="/" className="as-link">{t('back')}</Link>
      </Missing>
    </main>
  )
}

function MissingDialog({ absence, onClose }: { absence: Absence; onClose: (() => void) | undefined }) {
  const { t } = useTranslation()
  const dialog = useRef<HTMLDialogElement>(null)
  useFocusBack()
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog
      ref={dialog}
      role="alertdialog"
      aria-label={t('missing')}
      className={style.dialog}
      onCancel={(event) => {
        event.preventDefault()
        onClose?.()
      }}
    >
      <Missing absence={absence}>
        {onClose && (
          <button type="button" className="as-link" onClick={onClose}>
            {t('close')}
          </button>
        )}
      </Missing>
    </dialog>
  )
}

/** That something could not be loaded, and the ways on. */
export function Missing({ absence, children }: { absence: Absence; children?: ReactNode }) {
  const { t } = useTranslation()
  return (
    <>
      {/* A new one each time: what has failed once more is said once more. */}
      <p key={absence.failures} role="alert">
        {t('missing')}
      </p>
      <p className={style.ways}>
        <button type="button" className="as-link" onClick={() => void absence.tryAgain()}>
          {t('retry')}
        </button>
        {children}
      </p>
    </>
  )
}
