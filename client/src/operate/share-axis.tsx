/** The lines of a plot of shares, with their percentages on the left. For the eye: the data say themselves. */

import { percent } from './figures'
import style from './share-axis.module.css'
import { useLocale } from './times'

interface ShareAxisProps {
  values: number[]
  left: number
  right: number
  y: (value: number) => number
}

export function ShareAxis({ values, left, right, y }: ShareAxisProps) {
  const locale = useLocale()
  return (
    <g aria-hidden="true">
      {values.map((value) => (
        <g key={value}>
          <line x1={left} x2={right} y1={y(value)} y2={y(value)} className={style.grid} />
          <text x={left - 6} y={y(value) + 4} textAnchor="end" className={style.axis}>
            {percent(value, locale)}
          </text>
        </g>
      ))}
    </g>
  )
}
