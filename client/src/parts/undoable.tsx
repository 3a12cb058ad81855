import { newKey } from '../key'
import { hideToast, toast } from './toast'
import style from './undoable.module.css'

/** How long something may be taken back. */
export const GRACE = 6_000

/** Says that something was done, with a button that undoes it. */
export function undoable(message: string, label: string, undo: () => void): void {
  const id = newKey()
  void toast({
    id,
    autoClose: GRACE,
    message: (
      <span className={style.note}>
        {message}
        <button
          type="button"
          autoFocus // what it belonged to may be gone, and with it the focus
          onClick={() => {
            void hideToast(id)
            undo()
          }}
        >
          {label}
        </button>
      </span>
    ),
  })
}
