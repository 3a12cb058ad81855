/** Times for people: short on the page, exact in the title. */

import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { parts } from './reckon'
import { useWords } from './words'

export function useLocale(): string {
  const { i18n } = useTranslation()
  return i18n.language === 'zh' ? 'zh-CN' : (navigator.languages.find((one) => one.startsWith('en')) ?? 'en')
}

/** The moment, ticking while something on the page counts on it. */
export function useNow(isTicking: boolean): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    if (!isTicking) return
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [isTicking])
  return now
}

/** A moment in local time: the hour alone for today, with its day otherwise. */
export function When({ at, zone }: { at: string; zone?: string }) {
  const locale = useLocale()
  const moment = new Date(at)
  const today = new Date()
  const isToday = moment.toDateString() === today.toDateString() && zone === undefined
  const clock: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }
  const day: Intl.DateTimeFormatOptions = { month: 'short', day: 'numeric' }
  const year: Intl.DateTimeFormatOptions = moment.getFullYear() === today.getFullYear() ? {} : { year: 'numeric' }
  const shown = moment.toLocaleString(locale, {
    ...clock,
    ...(isToday ? {} : { ...day, ...year }),
    ...(zone === undefined ? {} : { weekday: 'short', timeZone: zone }),
  })
  return (
    <time dateTime={at} title={exact(moment, locale)}>
      {shown}
    </time>
  )
}

/** To the second and with its zone, in local time. */
export function exact(moment: Date, locale: string): string {
  return moment.toLocaleString(locale, { dateStyle: 'full', timeStyle: 'long', hourCycle: 'h23' })
}

export function Duration({ seconds }: { seconds: number }) {
  const t = useWords()
  const { hours, minutes, seconds: rest } = parts(seconds)
  if (hours > 0) return <>{t('time.hours', { hours, minutes })}</>
  if (minutes > 0) return <>{t('time.minutes', { minutes, seconds: rest })}</>
  return <>{t('time.seconds', { seconds: rest })}</>
}
