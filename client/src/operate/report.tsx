/** A report as key figures, checks and small tables; the raw text stays one click away. */

import { Check, Close } from '../icons'
import { type Figure, type Numeral, percent, plain, sections, spaced } from './figures'
import { useReason } from './reasons'
import style from './report.module.css'
import type { Json } from './shapes'
import tables from './table.module.css'
import { useLocale } from './times'
import { isWord, useWords } from './words'

/** Sections with more figures than these are folded. */
const LONG = 16
/** Columns whose cells are names that the learner made up. */
const NAMING = new Set(['suite', 'group', 'opinions'])
const REASONS = new Set(['reason', 'told'])
/** Text that fits in the place of a number. */
const SHORT = 24

export function Report({ report, hasRaw = true }: { report: Json; hasRaw?: boolean }) {
  const parts = sections(report)
  const word = useReportWord()
  return (
    <div className={style.report}>
      {parts.map((section) => {
        const name = section.name.split('.').map(word).join(' › ')
        return section.figures.length > LONG ? (
          <details key={section.name} className={style.long}>
            <summary>{name}</summary>
            <Figures figures={section.figures} />
          </details>
        ) : (
          <div key={section.name}>
            {name && <h3 className={style.section}>{name}</h3>}
            <Meaning of={section.name.split('.').at(-1) ?? ''} />
            <Figures figures={section.figures} />
          </div>
        )
      })}
      {hasRaw && <Raw value={report} />}
    </div>
  )
}

function Figures({ figures }: { figures: Figure[] }) {
  return (
    <>
      <dl className={style.figures}>
        {figures.map((figure) => figure.kind !== 'table' && <Small key={figure.name} figure={figure} />)}
      </dl>
      {figures.map((figure) => figure.kind === 'table' && <Table key={figure.name} table={figure} />)}
    </>
  )
}

function Small({ figure }: { figure: Exclude<Figure, { kind: 'table' }> }) {
  const word = useReportWord()
  const isWide = (figure.kind === 'text' && figure.text.length > SHORT) || figure.kind === 'list'
  const isExplained = isWord(`reportMeaning.${figure.name}`)
  return (
    <div className={isWide ? style.wide : isExplained ? style.explained : undefined}>
      <dt>{word(figure.name)}</dt>
      <Value figure={figure} />
      <Meaning of={figure.name} as="dd" />
    </div>
  )
}

function Value({ figure }: { figure: Exclude<Figure, { kind: 'table' }> }) {
  const t = useWords()
  const word = useReportWord()
  const said = useSaid()
  switch (figure.kind) {
    case 'number':
      return (
        <dd>
          <Amount of={figure} />
        </dd>
      )
    case 'group':
      return (
        <dd>
          {figure.parts.map((part) => (
            <span key={part.name}>
              <Amount of={part} /> <span className={style.beside}>{word(part.name)}</span>
            </span>
          ))}
        </dd>
      )
    case 'check':
      return (
        <dd className={figure.isPassed ? style.passed : style.failed}>
          {figure.isPassed ? <Check size={15} /> : <Close size={15} />}
          {figure.isPassed ? t('check.passed') : t('check.failed')}
        </dd>
      )
    case 'text':
      return <dd>{said(figure.text)}</dd>
    case 'list':
      return <dd>{figure.items.join(', ')}</dd>
  }
}

function Amount({ of }: { of: Numeral }) {
  const locale = useLocale()
  const shown = (value: number) => (of.isShare ? percent(value, locale) : plain(value, locale))
  return (
    <span title={String(of.value)}>
      {shown(of.value)}
      {of.low !== null && of.high !== null && (
        <span className={style.beside}>
          {' '}
          {shown(of.low)} – {shown(of.high)}
        </span>
      )}
    </span>
  )
}

function Table({ table }: { table: Extract<Figure, { kind: 'table' }> }) {
  const word = useReportWord()
  const said = useSaid()
  return (
    // It scrolls sideways where it is wide, by keyboard too.
    <div className={style.table} tabIndex={0} role="group" aria-label={word(table.name)}>
      <p className={style.name}>{word(table.name)}</p>
      <Meaning of={table.name} />
      <table className={tables.table}>
        <thead>
          <tr>
            {table.columns.map((column) => (
              <th key={column} scope="col">
                {word(column)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, place) => (
                <td key={place} data-name={word(table.columns[place] ?? '')}>
                  {said(cell, table.columns[place])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

export function Raw({ value }: { value: Json }) {
  const t = useWords()
  return (
    <details className={style.raw}>
      <summary>{t('raw')}</summary>
      <pre tabIndex={0}>{JSON.stringify(value, null, 2)}</pre>
    </details>
  )
}

/** One line on what a figure says, where it is not plain from its name. */
function Meaning({ of, as: Tag = 'p' }: { of: string; as?: 'p' | 'dd' }) {
  const t = useWords()
  const word = `reportMeaning.${of}`
  return isWord(word) ? <Tag className={style.meaning}>{t(word)}</Tag> : null
}

/** What stands in a cell or as a text: a name of the learner's, a reason, or words of people, which stay as they are. */
function useSaid(): (text: string, column?: string) => string {
  const t = useWords()
  const reason = useReason()
  return (text, column = 'reason') => {
    const word = `report.${text}`
    if (NAMING.has(column) && isWord(word)) return t(word)
    return REASONS.has(column) ? reason(text) : text
  }
}

/** The learner names what it measures; where no word is known, its name is made readable. */
function useReportWord(): (name: string) => string {
  const t = useWords()
  return (name) => {
    for (const word of [`report.${name}`, `counts.${name}`, `metric.${name}`, `reward.${name}`]) {
      if (isWord(word)) return t(word)
    }
    return spaced(name)
  }
}
