/** The one place that knows uPlot: lines over steps, in the colours of the page, with the same told in words. */

import 'uplot/dist/uPlot.min.css'

import { useComputedColorScheme } from '@mantine/core'
import { memo, useEffect, useRef } from 'react'
import UPlot from 'uplot'

import { plain } from './figures'
import style from './plot.module.css'
import { aligned, type Curve, extent, smooth } from './series'
import { useLocale } from './times'
import { useWords } from './words'

interface PlotProps {
  title: string
  meaning?: string | undefined
  curves: Curve[]
  /** What a curve is called beside the plot. */
  nameOf: (measure: string) => string
}

const HEIGHT = 168
/** With fewer values than this an average would only blur them. */
const FEWEST_TO_SMOOTH = 40
const tints = ['--accent', '--code-number', '--code-title', '--code-string', '--code-keyword']

/** Curves of one unit. What is drawn is decoration for a screen reader: the caption says it in words. */
export const Plot = memo(function Plot({ title, meaning, curves, nameOf }: PlotProps) {
  const t = useWords()
  const locale = useLocale()
  const scheme = useComputedColorScheme('light')
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<Drawing | null>(null)
  const latest = useRef(curves)
  useEffect(() => {
    latest.current = curves
    plot.current?.draw(curves)
  }, [curves])

  const names = curves.map((curve) => nameOf(curve.measure)).join('\n')
  const isSmoothed = isLong(curves)
  useEffect(() => {
    const element = place.current
    if (!element) return
    const made = new Drawing(element, options(element, names.split('\n'), isSmoothed, t('plot.step'), locale), latest.current)
    plot.current = made
    return () => {
      made.end()
      plot.current = null
    }
    // Colours are read from the page when the plot is made, so another scheme makes another plot.
  }, [scheme, names, isSmoothed, t, locale])

  return (
    <figure className={style.figure}>
      <figcaption>
        <span className={style.title}>{title}</span>
        {curves.map((curve, index) => {
          const told = extent(curve.values)
          return (
            <span key={curve.measure} className={style.told}>
              {curves.length > 1 && (
                <span className={style.name}>
                  <span className={style.key} style={{ background: `var(${tint(index)})` }} />
                  {nameOf(curve.measure)}
                </span>
              )}
              {told && (
                <span className={curves.length > 1 ? 'visually-hidden' : undefined}>
                  {t('plot.summary', {
                    count: told.count,
                    first: plain(told.first, locale),
                    last: plain(told.last, locale),
                    least: plain(told.least, locale),
                    most: plain(told.most, locale),
                  })}
                </span>
              )}
              {curves.length > 1 && told && <span aria-hidden="true">{plain(told.last, locale)}</span>}
            </span>
          )
        })}
      </figcaption>
      <div ref={place} className={style.place} aria-hidden="true" />
      {meaning !== undefined && <p className={style.meaning}>{meaning}</p>}
    </figure>
  )
})

/** A plot on the page. It is drawn at most once a frame, however much comes, and only while it can be seen. */
class Drawing {
  private readonly plot: UPlot
  private readonly sizes: ResizeObserver
  private readonly sight: IntersectionObserver
  private waiting: Curve[] | null = null
  private frame = 0
  private isSeen = false

  constructor(element: HTMLElement, look: UPlot.Options, curves: Curve[]) {
    this.plot = new UPlot(look, columns(curves), element)
    this.sizes = new ResizeObserver(() => this.plot.setSize({ width: element.clientWidth, height: HEIGHT }))
    this.sizes.observe(element)
    this.sight = new IntersectionObserver((seen) => {
      this.isSeen = seen.at(-1)?.isIntersecting ?? false
      this.ask()
    })
    this.sight.observe(element)
  }

  draw(curves: Curve[]): void {
    this.waiting = curves
    this.ask()
  }

  end(): void {
    cancelAnimationFrame(this.frame)
    this.sizes.disconnect()
    this.sight.disconnect()
    this.plot.destroy()
  }

  private ask(): void {
    if (!this.isSeen || this.waiting === null || this.frame !== 0) return
    this.frame = requestAnimationFrame(() => {
      this.frame = 0
      if (this.waiting !== null) this.plot.setData(columns(this.waiting))
      this.waiting = null
    })
  }
}

function isLong(curves: Curve[]): boolean {
  return curves.some((curve) => curve.steps.length >= FEWEST_TO_SMOOTH)
}

function columns(curves: Curve[]): UPlot.AlignedData {
  const { steps, columns: raw } = aligned(curves)
  const drawn = isLong(curves) ? raw.flatMap((column) => [column, smooth(column, Math.max(9, steps.length / 20))]) : raw
  return [steps, ...drawn] as UPlot.AlignedData
}

function tint(index: number): string {
  return tints[index % tints.length] ?? '--accent'
}

function options(element: HTMLElement, names: string[], isSmoothed: boolean, step: string, locale: string): UPlot.Options {
  const page = getComputedStyle(element)
  const colour = (name: string) => page.getPropertyValue(name).trim()
  const axis: UPlot.Axis = {
    stroke: colour('--ink-faint'),
    font: `11px ${page.fontFamily}`,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    border: { show: false },
    gap: 4,
  }
  const number = (value: number | null) => (value === null ? '–' : plain(value, locale))
  const series = names.flatMap((label, index): UPlot.Series[] => {
    const stroke = colour(tint(index))
    const line: UPlot.Series = { label, stroke, width: 1.75, spanGaps: true, points: { show: false } }
    if (!isSmoothed) return [{ ...line, points: { show: true, size: 4, fill: stroke } }]
    const each: UPlot.Series = { label, stroke: `${stroke}66`, width: 1, spanGaps: true, points: { show: false } }
    return [each, line]
  })
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false } },
    legend: { show: false },
    scales: { x: { time: false } },
    axes: [
      { ...axis, size: 24, space: 60, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? number(tick) : '')) },
      { ...axis, size: 48, space: 28, values: (_, ticks) => ticks.map(number) },
    ],
    series: [{ label: step }, ...series],
    plugins: [readout(names, isSmoothed, step, number)],
  }
}

/** Beside the cursor: the step and each curve's value there. */
function readout(names: string[], isSmoothed: boolean, step: string, number: (value: number | null) => string): UPlot.Plugin {
  const box = document.createElement('div')
  box.className = style.readout ?? ''
  return {
    hooks: {
      ready: (made) => {
        made.over.append(box)
      },
      setCursor: (made) => {
        const { idx, left = -1 } = made.cursor
        const at = idx === null || idx === undefined ? undefined : made.data[0][idx]
        box.hidden = at === undefined || left < 0
        if (box.hidden || idx === null || idx === undefined) return
        const values = names.map((name, index) => {
          const value = made.data[1 + index * (isSmoothed ? 2 : 1)]?.[idx] ?? null
          return names.length > 1 ? `${name} ${number(value)}` : number(value)
        })
        box.textContent = `${step} ${number(at ?? null)} · ${values.join(' · ')}`
        const isRight = left > made.over.clientWidth / 2
        box.style.left = isRight ? '' : `${left + 10}px`
        box.style.right = isRight ? `${made.over.clientWidth - left + 10}px` : ''
      },
    },
  }
}
