/** English and Chinese. English is in the bundle, Chinese is fetched when it is spoken. */

import i18next from 'i18next'
import { initReactI18next } from 'react-i18next'

import { fetched, whenBack } from '../parts/fetched'
import { en } from './en'

export const languages = ['en', 'zh'] as const
export type Language = (typeof languages)[number]

const CHOSEN = 'backtalk.language'

export function isLanguage(value: string): value is Language {
  return (languages as readonly string[]).includes(value)
}

export function currentLanguage(): Language {
  return isLanguage(i18next.language) ? i18next.language : 'en'
}

function firstLanguage(): Language {
  const chosen = localStorage.getItem(CHOSEN)
  if (chosen !== null && isLanguage(chosen)) return chosen
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en'
}

/** A moment as people write it. */
export function moment(at: string): string {
  return new Intl.DateTimeFormat(currentLanguage(), { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(at))
}

export async function startWords(): Promise<void> {
  await i18next.use(initReactI18next).init({
    lng: 'en',
    fallbackLng: 'en',
    resources: { en: { translation: en } },
    interpolation: { escapeValue: false },
  })
  await speak(firstLanguage())
}

/** Speaks this language from now on; where its words do not come, as soon as the connection is back. */
export async function speak(language: Language): Promise<void> {
  localStorage.setItem(CHOSEN, language)
  if (language === 'zh' && !i18next.hasResourceBundle('zh', 'translation')) {
    try {
      const { zh } = await fetched(() => import('./zh'))
      i18next.addResourceBundle('zh', 'translation', zh)
    } catch {
      const stop = whenBack(() => {
        stop()
        if (localStorage.getItem(CHOSEN) === language) void speak(language)
      })
      return
    }
  }
  document.documentElement.lang = language === 'zh' ? 'zh-Hans' : 'en'
  if (i18next.language !== language) await i18next.changeLanguage(language)
}
