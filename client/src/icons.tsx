/** Line icons on a 20-unit square. They are decoration: the control around them carries the name. */

import type { ReactNode } from 'react'

interface IconProps {
  size?: number
  filled?: boolean
}

function icon(paths: ReactNode, filledPaths?: ReactNode) {
  return function Icon({ size = 18, filled = false }: IconProps) {
    return (
      <svg
        width={size}
        height={size}
        viewBox="0 0 20 20"
        fill="none"
        stroke="currentColor"
        strokeWidth={1.5}
        strokeLinecap="round"
        strokeLinejoin="round"
        aria-hidden="true"
        focusable="false"
      >
        {filled && filledPaths ? filledPaths : paths}
      </svg>
    )
  }
}

const thumb = 'M6.5 9.2 9.4 3c1.2 0 2.1.9 2.1 2.1v2.6h3.9c1 0 1.7.9 1.5 1.9l-1.1 5.6c-.2.8-.8 1.3-1.6 1.3H6.5'
const thumbCuff = 'M6.5 16.5h-2A1.5 1.5 0 0 1 3 15v-4.300c0-.8.7-1.5 1.5-1.500h2z'

export const ThumbUp = icon(
  <>
    <path d={thumb} />
    <path d={thumbCuff} />
  </>,
  <>
    <path d={thumb} fill="currentColor" />
    <path d={thumbCuff} fill="currentColor" />
  </>,
)
export const ThumbDown = icon(
  <g transform="rotate(180 10 10)">
    <path d={thumb} />
    <path d={thumbCuff} />
  </g>,
  <g transform="rotate(180 10 10)">
    <path d={thumb} fill="currentColor" />
    <path d={thumbCuff} fill="currentColor" />
  </g>,
)
export const Pencil = icon(<path d="m3.5 16.5.7-3.2 9-9a1.77 1.77 0 0 1 2.5 2.500l-9 9zM11.7 5.800l2.5 2.5" />)
export const Copy = icon(
  <>
    <rect x="7" y="7" width="10" height="10" rx="2" />
    <path d="M13 7V5a2 2 0 0 0-2-2H5a2 2 0 0 0-2 2v6a2 2 0 0 0 2 2h2" />
  </>,
)
export const Check = icon(<path d="m4 10.5 4 4 8-9" />)
export const Again = icon(<path d="M16.5 10a6.5 6.5 0 1 1-2-4.700L16.5 7m0-3.800V7h-3.8" />)
export const Left = icon(<path d="m12 5-5 5 5 5" />)
export const Right = icon(<path d="m8 5 5 5-5 5" />)
export const Up = icon(<path d="M10 16V4.500M5 9.200l5-5 5 5" />)
export const Square = icon(<rect x="5.5" y="5.5" width="9" height="9" rx="1.5" fill="currentColor" />)
export const Plus = icon(<path d="M10 4v12M4 10h12" />)
export const Search = icon(
  <>
    <circle cx="9" cy="9" r="5.5" />
    <path d="m13.2 13.2 3.3 3.3" />
  </>,
)
export const Dots = icon(
  <>
    <circle cx="4.5" cy="10" r="1" fill="currentColor" />
    <circle cx="10" cy="10" r="1" fill="currentColor" />
    <circle cx="15.5" cy="10" r="1" fill="currentColor" />
  </>,
)
export const Bin = icon(<path d="M4 5.500h12M8 5.500V4a1 1 0 0 1 1-1h2a1 1 0 0 1 1 1v1.500M5.5 5.500l.7 10a1.5 1.5 0 0 0 1.5 1.500h4.600a1.5 1.5 0 0 0 1.5-1.500l.7-10M8.5 9v4.500M11.5 9v4.5" />)
export const Archive = icon(<path d="M3 4h14v3.500H3zM4.5 7.500V15A1.5 1.5 0 0 0 6 16.500h8a1.5 1.5 0 0 0 1.5-1.500V7.500M8 10.500h4" />)
export const Person = icon(
  <>
    <circle cx="10" cy="7" r="3.2" />
    <path d="M3.8 16.800c.8-3 3.2-4.6 6.2-4.600s5.4 1.6 6.2 4.6" />
  </>,
)
export const Panel = icon(
  <>
    <rect x="3" y="4" width="14" height="12" rx="2" />
    <path d="M8 4v12" />
  </>,
)
export const Close = icon(<path d="m5 5 10 10M15 5 5 15" />)
export const Gauge = icon(<path d="M3.5 14.500a7.5 7.5 0 1 1 13 0M10 12.500l3-4M10 13.500a1 1 0 1 0 0-2 1 1 0 0 0 0 2" />)
export const Receipt = icon(<path d="M5 3h10v14l-2.5-1.600L10 17l-2.5-1.600L5 17zM8 7.200h4M8 10.500h4" />)
export const Globe = icon(<path d="M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM3.3 10h13.400M10 3c2 2 2.9 4.4 2.9 7S12 15 10 17c-2-2-2.9-4.4-2.9-7S8 5 10 3z" />)
export const Sun = icon(<path d="M10 13.200a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.400zM10 2.500v1.300M10 16.200v1.300M2.5 10h1.300M16.2 10h1.300M4.7 4.700l.9.9M14.4 14.400l.9.9M15.3 4.700l-.9.9M5.6 14.400l-.9.9" />)
export const Download = icon(<path d="M10 3.500v9M6 9l4 4 4-4M4 16.500h12" />)
export const Door = icon(<path d="M8 3.500H5A1.5 1.5 0 0 0 3.5 5v10A1.5 1.5 0 0 0 5 16.500h3M13 13.500l3.5-3.500L13 6.500M16.5 10H8" />)
export const Columns = icon(
  <>
    <rect x="3" y="4" width="6" height="12" rx="1.5" />
    <rect x="11" y="4" width="6" height="12" rx="1.5" />
  </>,
)
export const Gear = icon(
  <>
    <circle cx="10" cy="10" r="2.4" />
    <path d="M10 3v2.200M10 14.800V17M3 10h2.200M14.8 10H17M5.05 5.050l1.55 1.550M13.4 13.400l1.55 1.550M14.95 5.050l-1.55 1.550M6.6 13.400l-1.55 1.550" />
  </>,
)
export const Sliders = icon(
  <>
    <path d="M3.5 6.500h6.500M14.5 6.500h2M3.5 13.500h2M10 13.500h6.500" />
    <circle cx="12.2" cy="6.5" r="2.2" />
    <circle cx="7.8" cy="13.5" r="2.2" />
  </>,
)
export const Clock = icon(<path d="M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM10 6.200V10l2.6 1.7" />)
export const Shut = icon(<path d="M5.500 9h9v7.500h-9zM7 9V6.500a3 3 0 0 1 6 0V9" />)
export const Play = icon(<path d="M6.5 4.500v11l9-5.500z" />)
export const Pause = icon(<path d="M7 5v10M13 5v10" />)
export const Spark = icon(<path d="M10 3.500c.5 3.6 2.9 6 6.5 6.5-3.6.5-6 2.9-6.5 6.5-.5-3.6-2.9-6-6.5-6.5 3.6-.5 6-2.9 6.5-6.500z" />)
export const Warning = icon(<path d="M10 3.5 17.5 16h-15zM10 8.500v3.500M10 14v.1" />)

/** The mark: a speech bubble that an arrow comes back out of. */
export function Mark({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="none" stroke="#fff" strokeLinejoin="round" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#0f6b5c" stroke="none" />
      <path
        d="M8 11.500A3.5 3.5 0 0 1 11.5 8h9a3.5 3.5 0 0 1 3.5 3.500v5a3.5 3.5 0 0 1-3.5 3.500H14l-4.6 3.700A.85.85 0 0 1 8 23z"
        strokeWidth="2.2"
      />
      <path d="M19.6 14h-6m2.3-2.600L13.2 14l2.7 2.6" strokeWidth="2.2" strokeLinecap="round" />
    </svg>
  )
}
