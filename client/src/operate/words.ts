/** The console's own words, kept beside those of the chat in a namespace of their own: they come with the console. */

import i18next from 'i18next'
import { useTranslation } from 'react-i18next'

import { en } from './words-en'
import { zh } from './words-zh'

/** The same words in every language; a language that knows one plural form writes only that. */
type Texts<T> = {
  [Name in keyof T as Name extends `${string}_one` ? never : Name]: T[Name] extends string ? string : Texts<T[Name]>
}
export type Words = Texts<typeof en>

type Plain<Name> = Name extends `${infer Base}_one` | `${infer Base}_other` ? Base : Name
type Path<T> = {
  [Name in keyof T & string]: T[Name] extends string ? Plain<Name> : `${Name}.${Path<T[Name]>}`
}[keyof T & string]
/** Every word there is: `run.title`; of a plural without its ending. */
export type Word = Path<typeof en>

const NAMESPACE = 'operate'

export type Say = (word: Word, values?: Record<string, string | number>) => string

i18next.addResourceBundle('en', NAMESPACE, en)
i18next.addResourceBundle('zh', NAMESPACE, zh)

export function useWords(): Say {
  return useTranslation(NAMESPACE).t as Say
}

/** Whether there is a word for a name that the server made up: a measure, a count. */
export function isWord(word: string): word is Word {
  return i18next.exists(word, { ns: NAMESPACE, lng: 'en' })
}
