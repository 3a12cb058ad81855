import { type ReactNode, type Ref } from 'react'

import style from './icon-button.module.css'

interface IconButtonProps extends Omit<React.ComponentProps<'button'>, 'children'> {
  label: string
  isPressed?: boolean
  children: ReactNode
  ref?: Ref<HTMLButtonElement>
}

/** A quiet button that is only an icon; its name is its tooltip and what a screen reader says. */
export function IconButton({ label, isPressed, children, className, ref, ...rest }: IconButtonProps) {
  return (
    <button
      {...rest}
      ref={ref}
      type="button"
      className={className ? `${style.button} ${className}` : style.button}
      aria-label={label}
      title={label}
      aria-pressed={isPressed}
    >
      {children}
    </button>
  )
}
