/** The lineage as a picture: each version a knot that leads to its card. */

import { Link } from 'wouter'

import { MOST_RUNS } from './calls'
import style from './lineage-view.module.css'
import { lineage, type Place } from './lineage'
import { StateBadge } from './parts'
import { useReason } from './reasons'
import type { Policy, PolicyState, Run } from './shapes'
import { useWords } from './words'

const COLUMN = 64
const LINE = 52
const MARGIN = 28
const RADIUS = 15

const shownStates: PolicyState[] = ['live', 'canary', 'candidate', 'retired', 'rejected', 'withdrawn']

export function LineageView({ policies, runs }: { policies: Policy[]; runs: Run[] }) {
  const t = useWords()
  const said = useReason()
  const { places, links, stubs, columns, lines } = lineage(policies, runs)
  const width = MARGIN * 2 + COLUMN * (columns - 1)
  const height = MARGIN * 2 + LINE * (lines - 1)
  return (
    <>
      <div className={style.scroll} ref={(box) => box?.scrollTo({ left: box.scrollWidth })}>
        <svg viewBox={`0 0 ${width} ${height}`} width={width} height={height} role="group" aria-label={t('lineage.label')}>
          <g aria-hidden="true">
            {links.map(({ from, to }) => (
              <path key={to.policy.number} d={bend(from, to)} className={style.link} data-state={to.policy.state} />
            ))}
            {stubs.map((stub) => (
              <path key={stub.run.id} d={bend(stub.from, stub)} className={style.link} data-state="rejected" />
            ))}
          </g>
          {stubs.map((stub) => {
            const name = t('lineage.stub', { parent: stub.from.policy.number, reason: said(stub.run.error ?? '–') })
            return (
              <Link key={stub.run.id} href={`/operate/runs/${stub.run.id}`} aria-label={name} className={style.stub}>
                <title>{name}</title>
                <circle cx={x(stub)} cy={y(stub)} r={RADIUS * 0.6} />
                <path d={cross(x(stub), y(stub))} />
              </Link>
            )
          })}
          {places.map((place) => {
            const { number, parent, state } = place.policy
            const from = parent === null ? t('lineage.first') : t('version', { number: parent })
            const name = t('lineage.node', { number, state: t(`state.${state}`), parent: from })
            return (
              <a key={number} href={`#v${number}`} className={style.node} data-state={state}>
                {/* It names the link too: a label beside it would have to hold the number as it stands there. */}
                <title>{name}</title>
                <circle cx={x(place)} cy={y(place)} r={RADIUS} />
                <text x={x(place)} y={y(place) + 4} textAnchor="middle" aria-hidden="true">
                  {number}
                </text>
              </a>
            )
          })}
        </svg>
      </div>
      <ul className={style.legend} aria-label={t('lineage.legend')}>
        {shownStates
          .filter((state) => policies.some((policy) => policy.state === state))
          .map((state) => (
            <li key={state}>
              <StateBadge state={state} />
            </li>
          ))}
        {stubs.length > 0 && <li className={style.turnedDown}>{t('lineage.turnedDown')}</li>}
        {runs.length >= MOST_RUNS && (
          <li className={style.turnedDown}>{t('lineage.olderRuns', { count: MOST_RUNS })}</li>
        )}
      </ul>
    </>
  )
}

type Spot = Pick<Place, 'column' | 'line'>

function x(place: Spot): number {
  return MARGIN + place.column * COLUMN
}

function y(place: Spot): number {
  return MARGIN + place.line * LINE
}

/** Along the parent's line, then down to the child's own. */
function bend(from: Spot, to: Spot): string {
  if (from.line === to.line) return `M${x(from)} ${y(from)}H${x(to)}`
  const turn = x(from) + COLUMN * 0.5
  return `M${x(from)} ${y(from)}C${turn} ${y(from)} ${turn - COLUMN * 0.25} ${y(to)} ${x(from) + COLUMN} ${y(to)}H${x(to)}`
}

function cross(x: number, y: number): string {
  return `M${x - 3.5} ${y - 3.5}l7 7m0 -7l-7 7`
}
