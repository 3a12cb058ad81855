/** A cron text in Chinese, as `cronsim` understands it: Sunday is 0 and 7, `L` is the last, `5#2` the second Friday.
 *
 * The server tells in English what a cron text means and whether it means anything; only what it took comes here.
 */

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC']
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT']
const DAY_NAMES = '日一二三四五六日'
/** More clock times than these are told by hours and minutes. */
const MOST_TIMES = 6

interface Bounds {
  least: number
  most: number
  names?: string[]
}

const bounds = {
  minute: { least: 0, most: 59 },
  hour: { least: 0, most: 23 },
  day: { least: 1, most: 31 },
  month: { least: 1, most: 12, names: MONTHS },
  weekday: { least: 0, most: 7, names: WEEKDAYS },
} satisfies Record<string, Bounds>

type Term =
  | { kind: 'every'; step: number }
  | { kind: 'range'; from: number; to: number; step: number }
  | { kind: 'one'; value: number }
  | { kind: 'nth'; value: number; nth: number }
  | { kind: 'last'; value: number | 'day' | 'workday' }

/** Null where a text is none of those that the server takes. */
export function explainChinese(cron: string): string | null {
  const [minute, hour, day, month, weekday, ...more] = cron.trim().toUpperCase().split(/\s+/)
  if (minute === undefined || hour === undefined || day === undefined || month === undefined || weekday === undefined) return null
  if (more.length > 0) return null
  try {
    const time = clock(terms(minute, bounds.minute), terms(hour, bounds.hour))
    const isBoth = day.startsWith('*') || weekday.startsWith('*')
    const date = days(terms(day, bounds.day), terms(month, bounds.month), terms(weekday, bounds.weekday), isBoth)
    if (date === '') return time.isAtTimes ? `每天 ${time.text}` : time.text
    return `${date} ${time.text}`
  } catch {
    return null
  }
}

function terms(field: string, of: Bounds): Term[] {
  return field.split(',').flatMap((text) => term(text, of))
}

function term(text: string, of: Bounds): Term[] {
  const { least, most } = of
  if (of === bounds.weekday && /^\w+L$/.test(text)) return [{ kind: 'last', value: value(text.slice(0, -1), of) }]
  if (of === bounds.day && /^LW?(\/|$)/.test(text)) return [{ kind: 'last', value: text.startsWith('LW') ? 'workday' : 'day' }]
  const [named = '', nth] = text.split('#')
  if (nth !== undefined) return [{ kind: 'nth', value: value(named, of), nth: value(nth, { least: 1, most: 5 }) }]
  const [span = '', steps] = text.split('/')
  const step = steps === undefined ? 1 : value(steps, { least: 1, most: 99 })
  if (span === '*') return [{ kind: 'every', step }]
  const [first = '', last] = span.split('-')
  const from = value(first, of)
  if (last === undefined && steps === undefined) return [{ kind: 'one', value: from }]
  const to = last === undefined ? most : value(last, of)
  if (from <= least && to >= most) return [{ kind: 'every', step }]
  if (to === from + 1 && step === 1) return [{ kind: 'one', value: from }, { kind: 'one', value: to }]
  return [{ kind: 'range', from, to, step }]
}

function value(text: string, { least, most, names }: Bounds): number {
  const named = names?.indexOf(text) ?? -1
  if (named >= 0) return named + (least === 1 ? 1 : 0)
  const found = Number(text)
  if (!/^\d+$/.test(text) || found < least || found > most) throw new RangeError(text)
  return found
}

/** Whether only certain moments of a day are named: those come every day unless something else is said. */
function clock(minutes: Term[], hours: Term[]): { text: string; isAtTimes: boolean } {
  const [m, h] = [ones(minutes), ones(hours)]
  if (m && h && m.length * h.length <= MOST_TIMES) {
    const times = h.flatMap((hour) => m.map((minute) => `${two(hour)}:${two(minute)}`))
    return { text: times.sort().join('、'), isAtTimes: true }
  }
  const past = m?.length === 1 && m[0] === 0 ? '整点' : minutesOf(minutes)
  const [hour] = hours
  if (hours.length === 1 && hour?.kind === 'every') {
    if (hour.step > 1) return { text: `0 点起每 ${hour.step} 小时的${past}`, isAtTimes: true }
    return { text: past.startsWith('每') ? past : `每小时${past}`, isAtTimes: false }
  }
  return { text: `${listed(hours, (at) => `${at} 点`, '小时')}的${past}`, isAtTimes: true }
}

function minutesOf(minutes: Term[]): string {
  const only = ones(minutes)
  if (only) return `第 ${only.join('、')} 分`
  return listed(minutes, (at) => `第 ${at} 分`, '分钟')
}

/** Empty: every day. */
function days(day: Term[], month: Term[], weekday: Term[], isBoth: boolean): string {
  const months = isStar(month) ? '' : listed(month, (one) => `${one} 月`, '个月')
  const date = isStar(day) ? '' : listed(day, (one) => `${one} 日`, '天')
  const names = isStar(weekday) ? '' : listed(weekday, (one) => `周${DAY_NAMES[one] ?? ''}`, '天')
  const monthly = months === '' ? '每月' : months
  if (date === '' && names === '') return months === '' ? '' : `${months}每天`
  if (names === '') return after(monthly, date)
  const weekly = weekday.some((one) => one.kind === 'nth' || one.kind === 'last') ? `${monthly}${names}` : `${months}每${names}`
  if (date === '') return weekly
  return `${after(monthly, date)}${isBoth ? '且为' : '或'}${names}`
}

function listed(all: Term[], name: (value: number) => string, unit: string): string {
  const several = all.map((one) => {
    switch (one.kind) {
      case 'one':
        return name(one.value)
      case 'every':
        return one.step === 1 ? `每${unit}` : `每 ${one.step} ${unit}`
      case 'range':
        return `${after(`${name(one.from)}至`, name(one.to))}${one.step === 1 ? '' : `间每 ${one.step} ${unit}`}`
      case 'nth':
        return `第 ${one.nth} 个${name(one.value)}`
      case 'last':
        if (one.value === 'day') return '最后一天'
        return one.value === 'workday' ? '最后一个工作日' : `最后一个${name(one.value)}`
    }
  })
  return several.join('、')
}

/** The values, if nothing else is named. */
function ones(all: Term[]): number[] | null {
  const found = all.flatMap((one) => (one.kind === 'one' ? [one.value] : []))
  return found.length === all.length ? found.sort((a, b) => a - b) : null
}

function isStar(all: Term[]): boolean {
  return all.every((one) => one.kind === 'every' && one.step === 1)
}

/** Figures stand apart from the words before them. */
function after(words: string, more: string): string {
  return /^\d/.test(more) ? `${words} ${more}` : words + more
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
